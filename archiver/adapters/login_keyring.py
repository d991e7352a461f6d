"""The system's keyring, through the package ``keyring``, where both are there and answer.

Rule 1: nobody waits for a keyring for ever: a locked one may be asking a screen that nobody sees.
Rule 2: only a keyring that encrypts is one; the package's stand-ins that write plain files are not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")
SERVICE = "archiver"
WAIT_S = 20.0


class KeyringTroubleError(Exception):
    """The keyring is locked, silent or broken.  The message is for a person."""


class Keyring:
    """Texts under names, of this user and this program.

    Args:
        package: the module ``keyring``.
        wait_s: how long it may take to answer.
    """

    def __init__(self, package: Any, wait_s: float = WAIT_S) -> None:
        self._package, self._wait_s = package, wait_s

    @classmethod
    def found(cls, wait_s: float = WAIT_S) -> Keyring | None:
        """The system's, or None where none is fit for a secret."""
        try:
            package = import_module("keyring")
        except ImportError:
            return None
        keyring = cls(package, wait_s)
        try:
            fit = keyring._in_time(lambda: import_module("keyring.core").recommended(
                package.get_keyring()
            ))  # fmt: skip
        except KeyringTroubleError:
            return None
        return keyring if fit else None

    def get(self, name: str) -> str | None:
        """The text under *name*, None for nothing.

        Raises:
            KeyringTroubleError: nobody knows.
        """
        found = self._in_time(lambda: self._package.get_password(SERVICE, name))
        return None if found is None else str(found)

    def put(self, name: str, text: str) -> None:
        """Keep *text* under *name*, and see that it is there.

        Raises:
            KeyringTroubleError: it is not.
        """
        self._in_time(lambda: self._package.set_password(SERVICE, name, text))
        if self.get(name) != text:
            raise KeyringTroubleError("the system keyring did not keep what it was given")

    def drop(self, name: str) -> None:
        """Forget *name*; what was not there is as good as forgotten.

        Raises:
            KeyringTroubleError: it may still be there.
        """
        if self.get(name) is not None:
            self._in_time(lambda: self._package.delete_password(SERVICE, name))

    def _in_time(self, work: Callable[[], T]) -> T:
        done: list[T] = []
        wrong: list[BaseException] = []
        errors = import_module("keyring.errors").KeyringError

        def do() -> None:
            try:
                done.append(work())
            except (errors, OSError, RuntimeError, ValueError) as error:
                wrong.append(error)

        # Of its own and a daemon: one that never answers must not hold up the end of the program.
        thread = threading.Thread(target=do, name="keyring", daemon=True)
        thread.start()
        thread.join(self._wait_s)
        if done:
            return done[0]
        if not wrong:
            raise KeyringTroubleError("the system keyring does not answer: it may be locked")
        kind = type(wrong[0]).__name__
        if kind == "KeyringLocked":
            raise KeyringTroubleError("the system keyring is locked")
        raise KeyringTroubleError(f"the system keyring cannot be used ({kind})")
