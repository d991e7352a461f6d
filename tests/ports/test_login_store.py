"""The stored login: private, whole, and replaced in an order that no failure can lose."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from archiver.account import Login, Secret
from archiver.adapters.disk import Os
from archiver.adapters.login_keyring import Keyring, KeyringTroubleError
from archiver.adapters.login_store import LoginStore, users_own
from archiver.core.model import Instant
from archiver.errors import AuthError, SettingsError

CANARY = "canary-refresh-1f00"
ONE = Login(
    "https://api.example", "https://example/token", "c" * 40, Secret(CANARY), Secret("access-1"),
    Instant(2_000.0), Instant(1_000.0),
)  # fmt: skip
TWO = replace(ONE, refresh_token=Secret("refresh-2"), access_token=Secret("access-2"))
STAND_INS = Path(__file__).parent.parent / "cli" / "stand_ins"


@pytest.fixture
def store(tmp_path: Path) -> LoginStore:
    return LoginStore(tmp_path / "state" / "archiver")


def test_what_is_stored_is_read_and_what_is_forgotten_is_gone(store: LoginStore) -> None:
    """Nothing, one, the next, nothing; and nothing can be forgotten twice."""
    assert (store.is_there, store.read()) == (False, None)
    store.begin(ONE)
    assert (store.is_there, store.read(), store.place) == (True, ONE, str(store.path))
    store.write(TWO)
    assert store.read() == TWO
    store.forget()
    store.forget()
    assert (store.is_there, store.read()) == (False, None)


def test_nobody_else_may_read_it_whatever_the_umask(store: LoginStore) -> None:
    """The file and its folder are their owner's alone."""
    before = os.umask(0)
    try:
        store.begin(ONE)
        store.write(TWO)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def open_to_group(path: Path) -> None:
    path.chmod(0o640)


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def written(text: str) -> Callable[[Path], None]:
    return lambda path: (path.write_text(text), None)[1]


def of_another(path: Path) -> None:
    os.chown(path, 12_345, -1)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (open_to_group, "open to other users"),
        (linked, "cannot be read"),
        (piped, "not a file of this user"),
        (a_folder, "not a file of this user"),
        (written(""), "damaged"),
        (written('{"schema": 1'), "damaged"),
        (written("[]"), "damaged"),
        (written('{"schema": 1}'), "damaged"),
        (written('{"schema": 1, "login": {"api_url": "x"}}'), "damaged"),
        (written("[" * 100_000), "damaged"),
        (written('{"schema": 2}'), "another version"),
        pytest.param(of_another, "not a file of this user", marks=pytest.mark.skipif(
            os.geteuid() != 0, reason="only root can give a file away")),
    ],
)  # fmt: skip
def test_a_file_that_is_not_to_be_trusted_is_refused(
    store: LoginStore, spoil: Callable[[Path], None], said: str
) -> None:
    """S04: with a sentence that quotes nothing; a new login takes its place, or a logout."""
    store.begin(ONE)
    spoil(store.path)
    with pytest.raises(AuthError, match=said) as caught:
        store.read()
    assert CANARY not in str(caught.value) + caught.value.hint
    if spoil is not a_folder:  # which stays, and is said
        store.begin(TWO)
        assert store.read() == TWO
        store.forget()
        assert not store.is_there


def test_a_link_is_replaced_and_what_it_leads_to_is_not(store: LoginStore) -> None:
    """Whoever may write into the folder cannot have another file overwritten."""
    store.begin(ONE)
    linked(store.path)
    store.begin(TWO)
    assert not store.path.is_symlink()
    assert CANARY in store.path.with_name("elsewhere").read_text()


STEPS = ("create", "write_all", "chmod", "fsync", "close", "replace", "sync_folder")


class Failing(Os):
    """A disk on which one call fails, or after it the process is gone."""

    def __init__(self, step: str, error: BaseException) -> None:
        super().__init__()
        self.step, self.error, self.done = step, error, [""]

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in STEPS:
            return found

        def call(*args: Any) -> Any:
            if name == self.step and isinstance(self.error, OSError):
                raise self.error
            answer = found(*args)
            self.done.append(name)
            if name == self.step:
                raise self.error
            return answer

        return call


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kill", [False, True])
def test_at_every_step_one_whole_login_is_there(tmp_path: Path, step: str, kill: bool) -> None:
    """A full disk, or a kill: the login before or the next, never none and never half of one."""
    LoginStore(tmp_path).begin(ONE)
    error = KeyboardInterrupt() if kill else OSError(errno.ENOSPC, "No space left on device")
    disk = Failing(step, error)
    with pytest.raises(KeyboardInterrupt if kill else AuthError) as caught:
        LoginStore(tmp_path, system=disk).write(TWO)
    assert CANARY not in str(caught.value)
    assert LoginStore(tmp_path).read() == (TWO if "replace" in disk.done else ONE)
    LoginStore(tmp_path).write(TWO)
    assert LoginStore(tmp_path).read() == TWO
    assert {path.name for path in tmp_path.iterdir()} == {"login.json"}


def test_the_bytes_are_on_the_disk_before_they_have_the_name(tmp_path: Path) -> None:
    """A power cut after the renaming must not leave an empty file."""
    disk = Failing("", KeyboardInterrupt())
    LoginStore(tmp_path, system=disk).begin(ONE)
    assert disk.done[1:] == [*STEPS[:-1], "fsync", STEPS[-1]]  # the folder's name, too


def test_one_process_at_a_time(store: LoginStore) -> None:
    """The lock is the system's: a process that is gone holds none."""
    with store.alone(), pytest.raises(BlockingIOError), LoginStore(store.path.parent).alone():
        pass
    with store.alone():
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """Where the state folder should be stands a file."""
    (tmp_path / "state").write_text("")
    store = LoginStore(tmp_path / "state" / "archiver")
    assert store.read() is None
    with pytest.raises(AuthError, match="cannot be kept"):
        store.begin(ONE)
    with pytest.raises(AuthError, match="cannot be kept"), store.alone():
        pass


def test_the_state_folder_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the working directory, where a stranger's login could be lying."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert users_own().path.is_relative_to(tmp_path)
    monkeypatch.setattr(platformdirs, "user_state_path", lambda name: Path("here") / name)
    with pytest.raises(SettingsError, match="no absolute path"):
        users_own()


@pytest.fixture
def mood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A package ``keyring`` in this process, in a given mood."""
    monkeypatch.syspath_prepend(str(STAND_INS))
    monkeypatch.setenv("KEYRING_FILE", str(tmp_path / "keyring"))
    yield lambda mood: monkeypatch.setenv("KEYRING_MOOD", mood)
    for name in ("keyring", "keyring.core", "keyring.errors"):
        sys.modules.pop(name, None)


def test_a_keyring_holds_the_tokens_and_the_file_their_name(
    tmp_path: Path, mood: Callable[[str], None]
) -> None:
    """Two names take turns; the old tokens go when the file names the new."""
    mood("well")
    store = LoginStore(tmp_path / "state", Keyring.found())
    store.begin(ONE)
    assert CANARY not in store.path.read_text()
    assert (store.read(), store.place) == (ONE, "the system keyring")
    first = json.loads(store.path.read_text())["keyring"]
    LoginStore(tmp_path / "state").write(TWO)  # as a run does, which chooses no place
    kept = json.loads((tmp_path / "keyring").read_text())
    assert (len(kept), f"archiver {first}" in kept, CANARY in str(kept)) == (1, False, False)
    assert store.read() == TWO
    store.forget()
    assert json.loads((tmp_path / "keyring").read_text()) == {}


@pytest.mark.parametrize("step", STEPS)
def test_a_keyring_has_the_old_tokens_until_the_file_names_the_new(
    tmp_path: Path, step: str, mood: Callable[[str], None]
) -> None:
    """A kill at any step leaves a login; the next writing clears away what it left."""
    mood("well")
    state = tmp_path / "state"
    LoginStore(state, Keyring.found()).begin(ONE)
    disk = Failing(step, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        LoginStore(state, system=disk).write(TWO)
    assert LoginStore(state).read() == (TWO if "replace" in disk.done else ONE)
    LoginStore(state).write(TWO)
    LoginStore(state).write(TWO)
    assert len(json.loads((tmp_path / "keyring").read_text())) == 1
    LoginStore(state).forget()
    assert json.loads((tmp_path / "keyring").read_text()) == {}


@pytest.mark.parametrize("how", ["locked", "forgetful", "plain"])
def test_a_keyring_that_is_of_no_use_is_left_alone(
    tmp_path: Path, how: str, mood: Callable[[str], None]
) -> None:
    """The file takes its place."""
    mood(how)
    store = LoginStore(tmp_path / "state", Keyring.found())
    store.begin(ONE)
    assert (store.read(), store.place) == (ONE, str(store.path))


def test_a_keyring_that_is_locked_later_is_said(
    tmp_path: Path, mood: Callable[[str], None]
) -> None:
    """Neither reading nor renewing goes on without it, and nothing is lost."""
    mood("well")
    store = LoginStore(tmp_path / "state", Keyring.found())
    store.begin(ONE)
    mood("locked")
    with pytest.raises(AuthError, match="keyring is locked") as caught:
        store.read()
    assert "Open the keyring" in str(caught.value.hint), "a new login is not all that helps"
    with pytest.raises(AuthError, match="keyring"):
        store.write(TWO)
    mood("well")
    assert store.read() == ONE
    (tmp_path / "keyring").unlink()
    with pytest.raises(AuthError, match="gone from the system keyring"):
        store.read()


def test_nobody_waits_for_a_keyring_for_ever(mood: Callable[[str], None]) -> None:
    """S04: one that asks a screen which nobody sees is as good as locked."""
    mood("silent")
    keyring = Keyring.found(wait_s=0.05)
    assert keyring is not None
    with pytest.raises(KeyringTroubleError, match="does not answer"):
        keyring.get("x")


def test_without_the_package_there_is_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it a complaint."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert Keyring.found() is None
