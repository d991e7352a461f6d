"""Files that the owner wants beside an archive: a log that grows, a text that is replaced.

Rule 1: neither ever breaks a run; what could not be written is told once, by whoever asked for it.
Rule 2: a log may be moved away at any time, as logrotate does: the next line makes a new file.
Rule 3: a text is replaced whole: whoever reads it sees the old one or the new one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from archiver.adapters.disk import FILE_MODE, Os, exists
from archiver.errors import SettingsError
from archiver.met import met

# A pipe in its place must not hang us.
_APPENDING: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_TEXT_MOST_BYTES: Final = 1_000_000  # of a text that is to be replaced: it is a page


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


def require_folder(path: str) -> None:
    """Find out before a long run that a text could not be replaced.

    Raises:
        SettingsError: it could not.
    """
    folder = os.path.dirname(path) or "."
    if not os.access(folder, os.W_OK | os.X_OK):
        why = "not writable" if Path(folder).is_dir() else "no folder"
        raise SettingsError(f"The file {path} cannot be written: {folder} is {why}.")


def whole_text(path: str) -> str:
    """What the file holds; "" where there is none, or none of ours."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_TEXT_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def replace_text(path: str, text: str, *, mode: int = FILE_MODE, system: Os | None = None) -> None:
    """Let the file hold *text*, durably; the old one stands until all of it is on the disk.

    Args:
        mode: who may read it, whatever the umask.

    Raises:
        OSError: it could not be written; the old one still stands.
    """
    system, name = system or Os(), os.path.basename(path)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        temporary = f".{name}.new"  # not `*.prom`: a collector must not take half for the whole
        if exists(temporary, folder):
            system.unlink(temporary, folder)  # of a run that was killed here
        try:
            _fill(system, system.create(temporary, folder), text, mode)
            system.replace(temporary, folder, name, folder)
        except OSError:
            if exists(temporary, folder):
                system.unlink(temporary, folder)
            raise
        system.sync_folder(folder)
    finally:
        os.close(folder)


def _fill(system: Os, fd: int, text: str, mode: int) -> None:
    try:
        system.write_all(fd, memoryview(text.encode()), 0)
        system.chmod(fd, mode)
        system.fsync(fd)  # the mode, too
    finally:
        system.close(fd)
