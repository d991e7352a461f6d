"""What the user set: flags before environment before the settings file before defaults.

click itself keeps that order: every option names its ``ARCHIVER_…`` variable, and the settings
file is the ``default_map``.  Only what has no flag is read here: addresses and secrets.

Rule 1: the settings file is one that the user named, or lies in the user's configuration folder;
never in the working directory, where a stranger's file could point the credentials elsewhere.
Rule 2: a secret is never a flag, and no message, default or help text ever holds one.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from archiver.account import (
    API_URL,
    AUTHORIZE_URL,
    TOKEN_URL,
    Account,
    Secret,
    require_safe_url,
)
from archiver.errors import SettingsError
from archiver.met import met

PREFIX: Final = "ARCHIVER_"
FILE_NAME: Final = "archiver.toml"
_SETTINGS_MOST_BYTES: Final = 1_000_000  # a settings file is a page; more is another file
_SECRET_MOST_BYTES: Final = 65_536

_TEXT, _NUMBER, _AMOUNT, _FLAG = (str,), (int,), (int, float, str), (bool,)
FLAGS: Final[Mapping[str, tuple[type, ...]]] = {
    "accept_replaced": _FLAG, "accept_shrunk": _FLAG, "ca_file": _TEXT, "contact_email": _TEXT,
    "contact_name": _TEXT, "contact_phone": _TEXT, "demo_to": _TEXT, "demo_videos": _NUMBER,
    "description": _TEXT, "downloads": _NUMBER, "dry_run": _FLAG, "events_since": _TEXT,
    "format": _TEXT, "full_listing": _FLAG, "json": _FLAG, "limit": _NUMBER, "limit_rate": _AMOUNT,
    "list_channel": (str, int), "list_since": _TEXT, "list_state": _TEXT, "list_text": _TEXT,
    "list_until": _TEXT, "log_file": _TEXT, "log_format": _TEXT, "match": _TEXT,
    "max_duration": _AMOUNT, "max_wait": _AMOUNT, "metrics_file": _TEXT, "name": _TEXT,
    "no_browser": _FLAG, "no_extras": _FLAG, "no_progress": _FLAG, "notify_on": _TEXT,
    "organization": _TEXT, "premis": _TEXT, "protect": _TEXT, "proxy": _TEXT, "quiet": _FLAG,
    "repair": _FLAG, "report": _TEXT, "requests": _NUMBER, "sample": _AMOUNT, "since": _TEXT,
    "extras_calls": _NUMBER, "refresh": _FLAG,
    "to": _TEXT, "until": _TEXT, "verbose": _FLAG,
}  # fmt: skip
CREDENTIALS: Final = ("client_secret", "access_token")
SECRETS: Final = (*CREDENTIALS, "ping", "notify")  # who knows these addresses can write to them
ADDRESSES: Final = ("api_url", "token_url", "authorize_url", "redirect_url")
KEYS: Final[Mapping[str, tuple[type, ...]]] = {
    **FLAGS, **dict.fromkeys(ADDRESSES, _TEXT), **dict.fromkeys(SECRETS, _TEXT),
    **{f"{name}_file": _TEXT for name in SECRETS}, "client_id": _TEXT,
    "allow_insecure_http": _FLAG,
}  # fmt: skip
_NAMES = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A settings file, read and checked; ``path`` is None where there is none.

    ``flags`` are the keys that stand for a flag, ``hidden`` all others: addresses and secrets.
    """

    path: Path | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)
    hidden: Mapping[str, Any] = field(default_factory=dict, repr=False)


def load(named: str | None) -> SettingsFile:
    """Read the settings file *named*, else the one in the user's configuration folder, if any.

    Raises:
        SettingsError: it is missing though named, unreadable, no TOML, open to others though it
            holds a secret, or has a key or a value that means nothing.
    """
    path = Path(named).expanduser() if named else _users_own()
    if not named and os.access(FILE_NAME, os.F_OK):
        met("S11")  # one in the working directory may be a stranger's: it has no say
    if path is None:
        return SettingsFile()
    values = _checked(path, *_read(path))
    flags = {key: value for key, value in values.items() if key in FLAGS}
    return SettingsFile(path, flags, {key: values[key] for key in values if key not in FLAGS})


def account(
    file: SettingsFile, environ: Mapping[str, str], *, proxy: str | None, ca_file: str | None
) -> tuple[Account, list[str]]:
    """Whose videos, and how to reach them; with warnings for the user.

    Where no credentials are set, they are those of the stored login, if there is one.

    Raises:
        SettingsError: an address or a secret's file that cannot be used.
    """
    warnings: list[str] = []
    secrets = {name: _secret(name, file, environ, warnings) for name in CREDENTIALS}
    if _only_client(environ):
        secrets["access_token"] = Secret()  # the environment's way beats the file's other way
    built = Account(
        api_url=_setting("api_url", file, environ) or API_URL,
        token_url=_setting("token_url", file, environ) or TOKEN_URL,
        authorize_url=_setting("authorize_url", file, environ) or AUTHORIZE_URL,
        client_id=_setting("client_id", file, environ),
        client_secret=secrets["client_secret"],
        access_token=secrets["access_token"],
        redirect_url=_setting("redirect_url", file, environ),
        proxy=proxy or None,
        ca_file=ca_file or None,
        allow_insecure_http=_insecure(file, environ),
    )
    if not built.has_credentials:
        from archiver.adapters.login_store import with_login  # only where nothing was set

        built = with_login(built)
    return built.checked(), warnings


def outlet(name: str, file: SettingsFile, environ: Mapping[str, str]) -> tuple[Secret, list[str]]:
    """Where news of a night go: the address that is pinged ("ping"), or Apprise's ("notify").

    Raises:
        SettingsError: it is no address, or its file cannot be used.
    """
    warnings: list[str] = []
    told = _secret(name, file, environ, warnings)
    if told and name == "ping":
        # Plain http is a choice here: services in the owner's own network often have no other.
        like = "https://hc.example/ping/0f3b4c52"
        require_safe_url("ARCHIVER_PING", told.reveal(), like, allow_insecure_http=True)
        if "@" in urlsplit(told.reveal()).netloc:
            raise SettingsError("ARCHIVER_PING holds a user or a password, which are not sent.")
    return told, warnings


def _users_own() -> Path | None:
    from platformdirs import user_config_path  # only where no file was named

    places = (user_config_path("archiver") / FILE_NAME, user_config_path() / FILE_NAME)
    try:
        return next((path for path in places if path.is_absolute() and path.is_file()), None)
    except OSError as error:
        raise SettingsError(f"The configuration folder cannot be read: {error}.") from error


def _read(path: Path) -> tuple[dict[str, Any], int]:
    """The table in the file, and the file's permission bits."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_SETTINGS_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"The settings file {path} cannot be read: {error.strerror}."
        ) from error
    if len(text) > _SETTINGS_MOST_BYTES:
        raise SettingsError(f"The settings file {path} is larger than a settings file can be.")
    try:
        return tomllib.loads(text.decode("utf-8-sig")), mode
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        # The parser names the place, never the text there: that may be a secret.
        place = re.search(r"\(at [^)]*\)", str(error))
        where = f" {place[0]}" if place else ""
        raise SettingsError(f"The settings file {path} is not valid TOML{where}.") from None


def _checked(path: Path, table: Mapping[str, Any], mode: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for written, value in table.items():
        key = written.replace("-", "_")
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(sorted(KEYS))}."
            raise SettingsError(f"The settings file {path} has an unknown key {written!r}.", hint)
        # A bool is an int to Python, not to the user.
        if type(value) not in KEYS[key]:
            wanted = " or ".join(_NAMES[kind] for kind in KEYS[key])
            raise SettingsError(f"In the settings file {path}, {key} must be {wanted}.")
        values[key] = value
    if any(values.get(name) for name in SECRETS) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        met("S04")
        raise SettingsError(
            f"The settings file {path} holds a secret and is open to other users.",
            f"Run: chmod 600 {path}",
        )
    return values


def _setting(name: str, file: SettingsFile, environ: Mapping[str, str]) -> str:
    """A text from the environment, else from the file, else empty.  Blank ends are slips."""
    return (environ.get(PREFIX + name.upper()) or str(file.hidden.get(name, ""))).strip()


def _insecure(file: SettingsFile, environ: Mapping[str, str]) -> bool:
    text = environ.get(f"{PREFIX}ALLOW_INSECURE_HTTP", "").strip().lower()
    if text in ("", "0", "false", "no", "off"):
        return text == "" and bool(file.hidden.get("allow_insecure_http", False))
    if text in ("1", "true", "yes", "on"):
        return True
    raise SettingsError("ARCHIVER_ALLOW_INSECURE_HTTP must be 1 or 0.")


def _only_client(environ: Mapping[str, str]) -> bool:
    names = ("CLIENT_SECRET", "CLIENT_SECRET_FILE")
    token = any(environ.get(f"{PREFIX}{name}") for name in ("ACCESS_TOKEN", "ACCESS_TOKEN_FILE"))
    return not token and any(environ.get(PREFIX + name) for name in names)


def _secret(
    name: str, file: SettingsFile, environ: Mapping[str, str], warnings: list[str]
) -> Secret:
    """The secret itself or from a file, of the environment; then the same of the settings file."""
    variable = f"{PREFIX}{name.upper()}"
    if text := environ.get(variable, "").strip():
        return _plain(variable, text)
    if path := environ.get(f"{variable}_FILE", "").strip():
        return _from_file(f"{variable}_FILE", Path(path).expanduser(), warnings)
    if text := str(file.hidden.get(name, "")).strip():
        return _plain(name, text)
    if file.path and (path := str(file.hidden.get(f"{name}_file", "")).strip()):
        place = file.path.absolute().parent / Path(path).expanduser()
        return _from_file(f"{name}_file", place, warnings)
    return Secret()


def _plain(setting: str, text: str) -> Secret:
    """A secret that can stand in a request's head: printable, on one line."""
    if setting.lower().removeprefix(PREFIX.lower()).startswith("notify"):
        text = " ".join(text.split())  # several addresses, as well one a line
    if not text.isprintable() or not text.isascii():
        raise SettingsError(f"{setting} has characters that no credential has.")
    return Secret(text)


def _from_file(setting: str, path: Path, warnings: list[str]) -> Secret:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_SECRET_MOST_BYTES + 1).decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{setting}: {path} cannot be read: {why}.") from None
    if not text or len(text) > _SECRET_MOST_BYTES:
        raise SettingsError(f"{setting}: {path} holds no secret.")
    if mode & stat.S_IROTH:
        # No refusal: container platforms mount secrets as 0444.
        met("S04")
        warnings.append(f"{setting}: {path} can be read by every user; chmod 600 is safer.")
    return _plain(setting, text)
