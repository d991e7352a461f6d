"""Reading a ledger that nobody writes, without leaving a trace beside it.

Rule 1: SQLite's own way of reading a write-ahead log makes two files; a question changes nothing.
Rule 2: an answer counts only if the files stood still from the opening until it was complete;
otherwise it is asked again, beside whoever writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

from archiver.adapters.ledger.opening import open_beside
from archiver.adapters.ledger.trouble import TROUBLE
from archiver.adapters.ledger.writer import Work, Writer
from archiver.adapters.mounts import is_local

T = TypeVar("T")
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


class StillReader(Writer):
    """Answers from an unchanging file as long as it is one."""

    def __init__(self, db: sqlite3.Connection, path: Path, seen: Mark) -> None:
        super().__init__(db)
        self._path, self._seen = path, seen
        self._still = True

    async def read(self, work: Work[T]) -> T:
        """See ``Writer.read``."""
        return await super().read(self._surely(work))

    def _surely(self, work: Work[T]) -> Callable[[sqlite3.Connection], T]:
        def look(db: sqlite3.Connection) -> T:
            if self._still:
                try:
                    answer = work(db)
                except TROUBLE:
                    if mark(self._path) == self._seen:
                        raise
                else:
                    if mark(self._path) == self._seen:
                        return answer
                self._still = False
                self._db.close()
                self._db = open_beside(self._path)
            return work(self._db)

        return look
