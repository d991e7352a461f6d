"""Reading a ledger that nobody writes, without leaving a trace beside it.

Rule 1: SQLite's own way of reading a write-ahead log makes two files; a question changes nothing.
Rule 2: an answer counts only if the files stood still from the opening until it was complete;
otherwise it is asked again, beside whoever writes.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

from archiver.adapters.ledger.opening import open_beside, open_reading
from archiver.adapters.ledger.trouble import TROUBLE
from archiver.adapters.mounts import is_local

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]
Mark: TypeAlias = tuple[int, int, int]


def mark(path: Path) -> Mark | None:
    """What changes with the first thing that is written; None where somebody may be writing."""
    for suffix in ("-wal", "-journal"):
        log = path.with_name(path.name + suffix)
        if log.exists() and log.stat().st_size:
            return None
    # A share may show its files as they were a while ago.
    if not (path.is_file() and is_local(path.parent)):
        return None
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


class ReadFile:
    """A ledger's file that was opened for questions: an unchanging one as long as it is that.

    Raises:
        DestinationError: there is none, it is damaged, or newer than this program.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._seen = path, mark(path)
        self.db, self._scratch = open_reading(path, still=self._seen is not None)

    def answer(self, work: Work[T]) -> T:
        """What *work* finds.

        Raises:
            sqlite3.Error, UnicodeDecodeError: the file is damaged or cannot be read.
        """
        if self._seen is not None:
            try:
                answer = work(self.db)
            except TROUBLE:
                if mark(self._path) == self._seen:
                    raise
            else:
                if mark(self._path) == self._seen:
                    return answer
            self._seen = None
            self.db.close()
            self.db = open_beside(self._path)
        return work(self.db)

    def close(self) -> None:
        """Let go of the file, and remove what had to be made for it."""
        self.db.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
