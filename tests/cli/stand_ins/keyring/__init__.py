"""The package ``keyring``, as far as the program uses it: a file in place of a system's keyring.

``KEYRING_FILE`` names the file.  ``KEYRING_MOOD`` is how it behaves: ``well``, ``locked`` (an
error), ``silent`` (it never answers), ``forgetful`` (it keeps nothing) or ``plain`` (not
recommended).
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from keyring.errors import KeyringLocked, PasswordDeleteError  # type: ignore[import-not-found]


def _mood() -> str:
    return os.environ.get("KEYRING_MOOD", "well")


def _read() -> dict[str, str]:
    if _mood() == "locked":
        raise KeyringLocked("locked")
    if _mood() == "silent":
        threading.Event().wait()
    path = Path(os.environ["KEYRING_FILE"])
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _write(kept: dict[str, str]) -> None:
    if _mood() != "forgetful":
        Path(os.environ["KEYRING_FILE"]).write_text(json.dumps(kept))


def get_keyring() -> str:
    return _mood()


def get_password(service: str, name: str) -> str | None:
    return _read().get(f"{service} {name}")


def set_password(service: str, name: str, text: str) -> None:
    _write({**_read(), f"{service} {name}": text})


def delete_password(service: str, name: str) -> None:
    kept = _read()
    if kept.pop(f"{service} {name}", None) is None:
        raise PasswordDeleteError("not found")
    _write(kept)
