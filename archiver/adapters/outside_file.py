"""Files that the owner wants beside an archive: a log that grows, a text that is replaced.

A text may also go where nothing can be replaced: a pipe, a device, ``/dev/stderr``.

Rule 1: neither ever breaks a run; what could not be written is told once, by whoever asked for it.
Rule 2: a log may be moved away at any time, as logrotate does: the next line makes a new file.
Rule 3: a text is replaced whole: whoever reads it sees the old one or the new one.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from archiver.adapters.disk import FILE_MODE, Os, exists
from archiver.errors import SettingsError
from archiver.met import met

# A pipe in its place must not hang us.
_APPENDING: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_TEXT_MOST_BYTES: Final = 1_000_000  # of a text that is to be replaced: it is a page
_DESCRIPTORS: Final = re.compile(r"/dev/fd|/proc/(self|\d+)/(task/\d+/)?fd")
Write: TypeAlias = Callable[[str], object]


class LogFile:
    """Lines at the end of a file that only we can read.

    Raises:
        SettingsError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.trouble = ""  # why lines are missing; "" where none is
        try:
            self._fd = os.open(path, _APPENDING, 0o600)
        except OSError as error:
            raise SettingsError(f"The log {path} cannot be written: {error.strerror}.") from error

    def append(self, line: str) -> None:
        """Add one line, to the file that has the name now."""
        try:
            if self._is_moved():
                met("O15")
                moved, self._fd = self._fd, os.open(self._path, _APPENDING, 0o600)
                os.close(moved)
            data = f"{line}\n".encode()
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:  # a full disk, say: the next line may find room again
            met("O15")  # lines are lost, and nothing else
            self.trouble = error.strerror or str(error)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _is_moved(self) -> bool:
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return True


def require_writable(path: str) -> None:
    """Find out before a long run that a text could not be written.

    Raises:
        SettingsError: it could not.
    """
    place = os.path.realpath(path)
    if _is_open_elsewhere(path):
        why = "" if os.access(path, os.W_OK) else "permission denied"
    elif Path(place).is_dir():
        why = "it is a folder"
    else:
        folder = os.path.dirname(place)
        why = "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is not writable"
        why = why if Path(folder).is_dir() else f"{folder} is no folder"
    if why:
        raise SettingsError(f"The file {path} cannot be written: {why}.")


def whole_text(path: str) -> str:
    """What the file holds; "" where there is none, or none of ours."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_TEXT_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def write_text(path: str, text: str, *, mode: int | None = None) -> None:
    """Let what is at *path* hold, or receive, *text*: see ``writing``.

    Raises:
        OSError: it could not be written; a file is as it was.
    """
    with writing(path, mode=mode) as write:
        write(text)


@contextmanager
def writing(path: str, *, mode: int | None = None) -> Iterator[Write]:
    """Write a text piece by piece into a file, wherever links lead, or into a pipe or a device.

    A file is replaced at the end, durably, and only if nothing was raised.

    Args:
        mode: who may read the file, whatever the umask; None: who may read the one it replaces,
            or whom the umask lets.

    Raises:
        OSError: it could not be written; a file is as it was.
    """
    if _is_open_elsewhere(path):
        # A pipe without a reader must not hang us; a file behind a descriptor keeps what it has.
        fd = os.open(path, _APPENDING & ~os.O_CREAT)
        with os.fdopen(fd, "w", encoding="utf-8") as stream:
            os.set_blocking(fd, True)
            yield stream.write
        return
    place = os.path.realpath(path)
    with _replacing(place, _usual_mode(place) if mode is None else mode, Os()) as write:
        yield write


def replace_text(path: str, text: str, *, mode: int, system: Os | None = None) -> None:
    """Let *path* be a file that holds *text*, durably; a link in its place is not followed.

    Args:
        mode: who may read it, whatever the umask.

    Raises:
        OSError: it could not be written; the old one still stands.
    """
    with _replacing(path, mode, system or Os()) as write:
        write(text)


@contextmanager
def _replacing(path: str, mode: int, system: Os) -> Iterator[Write]:
    name, is_whole = os.path.basename(path), False
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        temporary = f".{name}.new"  # not `*.prom`: a collector must not take half for the whole
        if exists(temporary, folder):
            system.unlink(temporary, folder)  # of a run that was killed here
        try:
            with _filling(system, system.create(temporary, folder), mode) as write:
                yield write
            system.replace(temporary, folder, name, folder)
            is_whole = True
        finally:
            if not is_whole and exists(temporary, folder):
                system.unlink(temporary, folder)
        system.sync_folder(folder)
    finally:
        os.close(folder)


@contextmanager
def _filling(system: Os, fd: int, mode: int) -> Iterator[Write]:
    size = 0

    def write(text: str) -> None:
        nonlocal size
        data = text.encode()
        system.write_all(fd, memoryview(data), size)
        size += len(data)

    try:
        yield write
        system.chmod(fd, mode)
        system.fsync(fd)  # the mode, too
    finally:
        system.close(fd)


def _is_open_elsewhere(path: str) -> bool:
    """A pipe, a device, or an open descriptor, as ``/dev/stderr``: there is no file to replace."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    if not stat.S_ISREG(mode):
        return not stat.S_ISDIR(mode)
    # Of the links on the way to a file, one may be a descriptor's.
    while not _DESCRIPTORS.fullmatch(folder := os.path.realpath(os.path.dirname(path))):
        if not Path(path).is_symlink():
            return False
        path = os.path.join(folder, Path(path).readlink())
    return True


def _usual_mode(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        umask = os.umask(0o077)
        os.umask(umask)
        return FILE_MODE & ~umask
