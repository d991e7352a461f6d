"""Questions to a ledger's file from a loop that has other things to do meanwhile."""

from __future__ import annotations

import sqlite3
from typing import TypeVar

from archiver.adapters.ledger.still import ReadFile, Work
from archiver.adapters.ledger.writer import Writer

T = TypeVar("T")


class Beside(Writer):
    """Answers in a thread of its own."""

    def __init__(self, file: ReadFile) -> None:
        super().__init__(file.db)
        self._file = file

    async def read(self, work: Work[T]) -> T:
        """See ``Writer.read``."""

        def look(_: sqlite3.Connection) -> T:
            try:
                return self._file.answer(work)
            finally:
                self._db = self._file.db  # it may have been opened anew

        return await super().read(look)

    def _shut(self) -> None:
        self._file.close()
