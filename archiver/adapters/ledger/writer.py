"""One connection, one thread, one transaction at a time; what waits together commits together.

Rule 1: a caller hears of his work only after the commit that holds it.
Rule 2: work is a closure and runs as a whole or not at all; a cancelled caller changes nothing
        about it.  It may run twice: what the first time wrote is undone before.
Rule 3: work that raises is undone alone; its neighbours in the same commit stay.
Rule 4: after a commit that the disk failed, nothing more is written: what a failed sync left
        behind is unknown, and asking again would only pretend to know.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from archiver.adapters.ledger.still import Work
from archiver.adapters.ledger.trouble import told, told_asking
from archiver.errors import DestinationError, LedgerLostError

T = TypeVar("T")

COMMIT_MOST = 1000  # works in one commit: some 20 ms of work


class Transaction:
    """Begins, and commits or rolls back, whatever ends it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # SQLite may have rolled back already
                self._db.execute("ROLLBACK")


class _Savepoint:
    """One work among others: what it raises is kept for its caller, and its writes are undone."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.error: Exception | None = None

    def __enter__(self) -> None:
        self._db.execute("SAVEPOINT work")

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not self._db.in_transaction:
            return False  # the disk is full or failing: SQLite undid the whole transaction
        if error is not None:
            self._db.execute("ROLLBACK TO work")
        self._db.execute("RELEASE work")
        if isinstance(error, Exception):
            self.error = error
            return True
        return False


class _Kept:
    """One question among others: what it raises is kept for who asked."""

    error: Exception | None = None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self.error = error
            return True
        return False


@dataclass(slots=True, eq=False)
class _Queued:
    """A work, who waits for it, and what came of it."""

    work: Work[Any]
    waiter: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = field(default=None)

    def attempt(self, db: sqlite3.Connection) -> None:
        savepoint = _Savepoint(db)
        with savepoint:
            self.result = self.work(db)
        self.error = savepoint.error

    def look(self, db: sqlite3.Connection) -> None:
        kept = _Kept()
        with kept:
            self.result = self.work(db)
        self.error = kept.error and told_asking(kept.error)

    def answer(self, failed: BaseException | None) -> None:
        if self.waiter.done():  # its caller was cancelled; the work was done all the same
            return
        error = failed or self.error
        if error is None:
            self.waiter.set_result(self.result)
        else:
            self.waiter.set_exception(told(error))


class Writer:
    """The only way to a connection: everything runs in one thread, in order of asking.

    Drives its thread through ``loop.run_in_executor``, so a loop that runs executors inline works.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._queue: deque[_Queued] = deque()
        self._reads: list[_Queued] = []
        self._working = False
        self._broken: BaseException | None = None
        self._idle: asyncio.Future[None] | None = None
        self._closed = False
        self.is_damaged = False  # something was met that no ledger of ours can hold

    async def write(self, work: Work[T]) -> T:
        """Run *work* within a transaction; return when its commit is durable.

        Raises:
            DestinationError: the disk is full or fails, or the ledger is damaged.
        """
        if self._closed:
            raise ValueError("the ledger is closed")
        loop = asyncio.get_running_loop()
        queued = _Queued(work, loop.create_future())
        self._queue.append(queued)
        if not self._working:
            self._working = True
            # Not at once: whoever else is ready in this turn of the loop shares the commit.
            loop.call_soon(self._begin, loop)
        answer: T = await queued.waiter
        return answer

    async def read(self, work: Work[T]) -> T:
        """Run *work* between two commits; it sees what is committed, and writes nothing lasting."""
        if self._closed:
            raise ValueError("the ledger is closed")
        loop = asyncio.get_running_loop()
        queued = _Queued(work, loop.create_future())
        if not self._reads:
            loop.call_soon(self._begin_reads, loop)  # what is asked in this turn is one trip
        self._reads.append(queued)
        answer: T = await queued.waiter
        return answer

    async def close(self) -> None:
        """Finish what was asked, then let go of the file; again, do nothing."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        self._begin_reads(loop)
        if self._working:
            self._idle = self._idle or loop.create_future()
            await asyncio.shield(self._idle)
        await loop.run_in_executor(self._thread, self._shut)
        self._thread.shutdown(wait=False)

    def _shut(self) -> None:
        self._db.close()

    def _noted(self, error: BaseException) -> BaseException:
        self.is_damaged = self.is_damaged or isinstance(error, LedgerLostError)
        return error

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = [self._queue.popleft() for _ in range(min(COMMIT_MOST, len(self._queue)))]
        done = loop.run_in_executor(self._thread, self._commit, batch)
        done.add_done_callback(functools.partial(self._committed, loop, batch))

    def _begin_reads(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._reads = self._reads, []
        if batch:
            done = loop.run_in_executor(self._thread, self._read, batch)
            done.add_done_callback(functools.partial(self._was_read, batch))

    def _read(self, batch: list[_Queued]) -> None:
        for queued in batch:
            queued.look(self._db)

    def _was_read(self, batch: list[_Queued], done: asyncio.Future[None]) -> None:
        self._answer(batch, done.exception())

    def _commit(self, batch: list[_Queued]) -> Exception | None:
        """Do the whole batch in one transaction; what is returned came to all of it."""
        if self._broken is not None:
            return _disk_failed(self._broken)
        try:
            with Transaction(self._db):
                if len(batch) == 1 or not self._together(batch):
                    for queued in batch:
                        queued.attempt(self._db)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR"):
                self._broken = error
            return error
        return None

    def _together(self, batch: list[_Queued]) -> bool:
        """Do all of it under one savepoint; False where one work raised, and all are undone.

        A savepoint costs as much as a small work, and hardly any raises.
        """
        savepoint = _Savepoint(self._db)
        with savepoint:
            for queued in batch:
                queued.result = queued.work(self._db)
        return savepoint.error is None

    def _committed(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[_Queued],
        done: asyncio.Future[Exception | None],
    ) -> None:
        self._answer(batch, done.exception() or done.result())
        if self._queue:
            self._begin(loop)
            return
        self._working = False
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _answer(self, batch: list[_Queued], failed: BaseException | None) -> None:
        for error in (failed, *(queued.error for queued in batch)):
            if error is not None:
                self._noted(told(error))
        for queued in batch:
            queued.answer(failed)


def _disk_failed(cause: BaseException) -> DestinationError:
    error = DestinationError(
        "The ledger's disk failed; nothing more is written.", "Check the disk, then run again."
    )
    error.__cause__ = cause
    return error
