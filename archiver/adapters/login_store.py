"""The stored login: one small file of its owner's, which holds the tokens or names their keyring.

Rule 1: the file is replaced as a whole and durably; the new is kept before the old is forgotten.
Rule 2: it is read only where it is a plain file of this user that nobody else may read.
Rule 3: in a keyring two names take turns, so that the old tokens are there until the file names
the new ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from archiver.account import AGAIN, Account, KeptLogin, Login
from archiver.adapters import login_record
from archiver.adapters.disk import Os
from archiver.adapters.login_keyring import Keyring, KeyringTroubleError
from archiver.adapters.outside_file import replace_text
from archiver.errors import AuthError, SettingsError
from archiver.met import met

FILE, NEW, LOCK = "login.json", ".login.json.new", "login.lock"
_OPEN_IT = "Open the keyring; where nobody can: archiver login"
_MOST_BYTES = 100_000  # three texts of 8 KiB, escaped
_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in its place must not hang us


class LoginStore(KeptLogin):
    """``account.KeptLogin`` in a folder of the user.

    Args:
        folder: made, for its owner alone, when something is kept.
        keyring: where a new login's tokens go; None: into the file.  One that is stored is read
            from where it is.
    """

    def __init__(
        self, folder: Path, keyring: Keyring | None = None, system: Os | None = None
    ) -> None:
        self._folder, self._keyring = folder, keyring
        self._os = Os() if system is None else system
        self.path = folder / FILE

    @property
    def is_there(self) -> bool:
        """Something is stored; whether it is good shows when it is read."""
        return os.path.lexists(self.path)

    @property
    def place(self) -> str:
        """Where the tokens are, for people."""
        with contextlib.suppress(AuthError):
            if self._keyring_name():
                return "the system keyring"
        return str(self.path)

    def read(self) -> Login | None:
        """See ``KeptLogin``."""
        found = self._found()
        if found is None:
            return None
        if name := found.get("keyring"):
            try:
                text = (self._keyring or _keyring()).get(str(name))
            except KeyringTroubleError as error:
                raise AuthError(f"The stored login cannot be had: {error}.", _OPEN_IT) from error
            if text is None:
                raise AuthError("The stored login is gone from the system keyring.", AGAIN)
            found = login_record.parsed(text)
        return login_record.login(found)

    def write(self, login: Login) -> None:
        """See ``KeptLogin``.  Tokens stay where they are, in the keyring or in the file."""
        try:
            self._write(login, self._keyring_name())
        except KeyringTroubleError as error:
            raise AuthError(f"The login cannot be kept: {error}.", _OPEN_IT) from error

    def begin(self, login: Login) -> None:
        """Keep the tokens of a new login: in the keyring if there is one, else in the file.

        Raises:
            AuthError: they cannot be kept.
        """
        before = ""
        with contextlib.suppress(AuthError):  # damaged or not trusted: replaced all the same
            before = self._keyring_name()
        if self._keyring is not None:
            try:
                self._write(login, before or f"{secrets.token_hex(4)}-1")
            except KeyringTroubleError:
                pass  # such as one that takes no text of this length
            else:
                return
        self._write(login, "")
        self._drop(before)

    def forget(self) -> None:
        """Delete what is stored, whatever it is.

        Raises:
            AuthError: it cannot be deleted.
        """
        name = ""
        with contextlib.suppress(AuthError):
            name = self._keyring_name()
        try:
            for each in (FILE, NEW):
                (self._folder / each).unlink(missing_ok=True)
        except OSError as error:
            raise AuthError(f"{self.path} cannot be deleted: {error.strerror}.") from error
        for each in (name, _other(name)):
            self._drop(each)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """See ``KeptLogin``.  The lock's file stays: a name that comes and goes would be two."""
        try:
            self._make_folder()
            descriptor = os.open(self._folder / LOCK, _OPEN | os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise
            except OSError as error:
                raise self._unusable(error) from error
            yield
        finally:
            os.close(descriptor)  # which lets go of the lock

    def _write(self, login: Login, name: str) -> None:
        """Into the keyring under the other name than *name*; without one, into the file."""
        if not name:
            self._replace({"login": login_record.as_json(login)})
            return
        keyring = self._keyring or _keyring()
        keyring.put(_other(name), login_record.text({"login": login_record.as_json(login)}))
        self._replace({"keyring": _other(name)})
        self._drop(name)

    def _keyring_name(self) -> str:
        """Under which name the tokens are in the keyring; "" where they are in the file."""
        return str((self._found() or {}).get("keyring") or "")

    def _drop(self, name: str) -> None:
        """Forget a name in the keyring; one that stays is overwritten, or revoked, or dies."""
        if name:
            with contextlib.suppress(KeyringTroubleError):
                (self._keyring or _keyring()).drop(name)

    def _found(self) -> dict[str, Any] | None:
        """What the file says.

        Raises:
            AuthError: it cannot be read, is not this user's alone, or says nothing.
        """
        try:
            descriptor = os.open(self.path, _OPEN | os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise AuthError(f"{self.path} cannot be read: {error.strerror}.", AGAIN) from error
        try:
            self._require_private(os.fstat(descriptor))
            with os.fdopen(os.dup(descriptor), "rb") as file:
                text = file.read(_MOST_BYTES + 1)
        finally:
            os.close(descriptor)
        return login_record.parsed(text.decode("utf-8", "replace"))

    def _require_private(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            met("S04")
            raise AuthError(
                f"{self.path} is not a file of this user, so that it is not trusted.",
                "Use the user who logged in, or: archiver logout, then archiver login",
            )
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            met("S04")
            raise AuthError(
                f"{self.path} holds a login and is open to other users.",
                f"Run: chmod 600 {self.path}; if others may have read it: archiver logout",
            )

    def _replace(self, value: dict[str, Any]) -> None:
        text = f"{login_record.text(value)}\n"
        try:
            self._make_folder()
            replace_text(str(self.path), text, mode=0o600, system=self._os)
        except OSError as error:
            raise self._unusable(error) from error

    def _make_folder(self) -> None:
        self._folder.mkdir(0o700, parents=True, exist_ok=True)

    def _unusable(self, error: OSError) -> AuthError:
        return AuthError(
            f"The login cannot be kept in {self._folder}: {error.strerror}.",
            "That folder has to be this user's, and writable.",
        )


def users_own(keyring: Keyring | None = None) -> LoginStore:
    """The store in this user's folder for what programs remember.

    Raises:
        SettingsError: this user has no such folder.
    """
    from platformdirs import user_state_path  # only where no other credential was set

    folder = user_state_path("archiver")
    if not folder.is_absolute():
        raise SettingsError(f"There is no place for a login: {folder} is no absolute path.")
    return LoginStore(folder, keyring)


def with_login(account: Account) -> Account:
    """*account* with this user's stored login, if there is one.

    Raises:
        SettingsError: this user has no folder for it.
    """
    store = users_own()
    return replace(account, login=store) if store.is_there else account


def _keyring() -> Keyring:
    found = Keyring.found()
    if found is None:
        raise KeyringTroubleError("the system keyring is not there, or the package keyring is not")
    return found


def _other(name: str) -> str:
    """The name that takes turns with *name*."""
    return name and name[:-1] + ("0" if name.endswith("1") else "1")
