"""Downloads in threads of their own: two to four event loops beside the caller's.

What costs time in a download lets go of Python's lock: receiving, deciphering, hashing, writing.
So a loop in a second thread is a second processor at work; and a disk that holds one up holds up
the downloads of that thread alone, never the plan, the ledger or the screen.

Rule 1: all that a download tells is told on the caller's loop; only bytes stay in the thread.
Rule 2: a cancelled download has ended in its thread before the caller goes on, or has had its time.
Rule 3: a thread begins with its first download: a night without news has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Self, TypeAlias

import aiohttp
import anyio

from archiver.adapters.causes import refusal
from archiver.core.model import Link, Saved
from archiver.errors import CrowdedError
from archiver.ports import Part, Progress, Source

WORKERS_MOST = 4
TELL_S = 0.05  # how late the caller may hear of bytes: each call to its thread wakes it up
END_S = 3.0  # a cancelled download may sync what came; see ``download_body.Limits.keep_s``
Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[aiohttp.ClientSession]]
MakeSource: TypeAlias = Callable[[aiohttp.ClientSession], Source]


def count_for(downloads: int) -> int:
    """How many workers are worth having for so many downloads at a time."""
    here = getattr(os, "sched_getaffinity", None)  # not on every system
    processors = len(here(0)) if here is not None else os.cpu_count() or 1
    return max(1, min(WORKERS_MOST, processors, downloads))


class ByteWorkers:
    """Spreads downloads over workers: ``ports.Source``.

    Args:
        opening: gives a worker its session, on the worker's own loop.
        make: gives it the source that does the work there.
        count: threads at most.
        is_metered: every read is to wait for what it costs; see ``_new_loop``.
    """

    def __init__(
        self, opening: Opening, make: MakeSource, count: int, *, is_metered: bool = False
    ) -> None:
        self._workers = [_Worker(opening, make, number, is_metered) for number in range(count)]

    async def fetch(self, link: Link, saved: Saved, part: Part, report: Progress) -> Saved:
        """Download as ``ports.Source`` says, in the thread that has the least to do."""
        worker = min(self._workers, key=lambda each: each.load)
        return await worker.fetch(link, saved, part, report)

    async def __aenter__(self) -> Self:
        """Return the workers themselves."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End the threads; no download is under way any more."""
        with anyio.CancelScope(shield=True):
            await asyncio.gather(*(worker.end() for worker in self._workers))


class _Worker:
    """One thread, one loop, one session."""

    def __init__(self, opening: Opening, make: MakeSource, number: int, is_metered: bool) -> None:
        self._opening, self._make, self._number = opening, make, number
        self._is_metered = is_metered
        self.load = 0  # downloads that are under way
        self._thread: threading.Thread | None = None
        self._ready: asyncio.Future[None]  # on the caller's loop
        self._ended: asyncio.Future[None]
        self._caller: asyncio.AbstractEventLoop
        self._loop: asyncio.AbstractEventLoop
        self._source: Source
        self._stop: asyncio.Event

    async def fetch(self, link: Link, saved: Saved, part: Part, report: Progress) -> Saved:
        self.load += 1
        try:
            if self._thread is None:
                self._begin()
            await asyncio.shield(self._ready)
            errand = _Errand(self._caller, self._loop, report)
            return await errand.run(lambda: self._source.fetch(link, saved, part, errand))
        finally:
            self.load -= 1

    async def end(self) -> None:
        """Let the thread end, and wait for it; not for one that hangs in the system."""
        if self._thread is None:
            return
        await asyncio.wait({self._ready})
        if self._ready.exception() is None:
            with contextlib.suppress(RuntimeError):  # it has ended already, and its loop with it
                self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.wait({self._ended}, timeout=END_S)
        if self._ended.done():
            self._thread.join()  # a few steps of Python's own are left

    def _begin(self) -> None:
        """Start the thread.

        Raises:
            CrowdedError: no more files or threads just now; another download may try again.
        """
        self._caller = asyncio.get_running_loop()
        self._ready, self._ended = self._caller.create_future(), self._caller.create_future()
        self._loop = _new_loop(is_metered=self._is_metered)
        name = f"bytes-{self._number}"
        # A thread that hangs in a system call must not keep the program from its end.
        thread = threading.Thread(target=self._main, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # Python's word for the system's refusal
            self._loop.close()
            hint = "Raise the limit on processes (ulimit -u), or lower --downloads."
            raise CrowdedError("The system has no thread for downloads.", hint) from error
        self._thread = thread

    def _main(self) -> None:
        """Be the thread."""
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        finally:
            with contextlib.suppress(RuntimeError):  # the caller has not waited, and is gone
                self._caller.call_soon_threadsafe(self._is_over)

    def _is_over(self) -> None:
        if not self._ready.done():
            self._ready.set_exception(RuntimeError("a thread for downloads could not begin"))
        self._ended.set_result(None)

    async def _live(self) -> None:
        self._stop = asyncio.Event()
        async with self._opening() as session:
            self._source = self._make(session)
            self._caller.call_soon_threadsafe(self._ready.set_result, None)
            await self._stop.wait()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The faster loop where it is installed (the extra ``fast``), else Python's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _new_loop(*, is_metered: bool) -> asyncio.AbstractEventLoop:
    """A loop for another thread.

    Python's own where reads wait: on the faster one, what a host sent over TLS before it closed is
    lost to whoever rests at that moment (D35).  A sync is as much a rest, but a rare and short one.

    Raises:
        CrowdedError: no more files can be opened just now.
    """
    try:
        # Tried before: asyncio leaves a loop that could not open all it needs half made, and that
        # complains when it is collected.
        with contextlib.closing(selectors.DefaultSelector()):
            for end in socket.socketpair():
                end.close()
        return asyncio.new_event_loop() if is_metered else new_event_loop()
    except OSError as error:
        raise refusal(error, "starting a thread for downloads") from error


class _Errand:
    """One download in a worker's thread, and its ``ports.Progress`` there."""

    def __init__(
        self,
        caller: asyncio.AbstractEventLoop,
        worker: asyncio.AbstractEventLoop,
        report: Progress,
    ) -> None:
        self._caller, self._worker, self._report = caller, worker, report
        self._outcome: asyncio.Future[Saved] = caller.create_future()
        self._task: asyncio.Task[Saved] | None = None
        self._is_unwanted = False
        self._untold = 0
        self._telling: asyncio.TimerHandle | None = None

    # On the caller's loop

    async def run(self, work: Callable[[], Any]) -> Saved:
        """Have *work* done by the worker, and wait for its end."""
        self._worker.call_soon_threadsafe(self._begin, work)
        try:
            return await asyncio.shield(self._outcome)
        except asyncio.CancelledError:
            self._worker.call_soon_threadsafe(self._cancel)
            with anyio.CancelScope(shield=True):
                await asyncio.wait({self._outcome}, timeout=END_S)
            if self._outcome.done() and not self._outcome.cancelled():
                self._outcome.exception()  # nobody wants it any more
            raise

    # On the worker's loop

    def received(self, count: int) -> None:
        """Told in one with what follows soon."""
        self._untold += count
        if self._telling is None:
            self._telling = self._worker.call_later(TELL_S, self._tell)

    async def durable(self, saved: Saved) -> None:
        """Recorded on the caller's loop, where the ledger is."""
        self._tell()
        record = self._report.durable(saved)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(record, self._caller))

    def _begin(self, work: Callable[[], Any]) -> None:
        self._task = self._worker.create_task(work())
        self._task.add_done_callback(self._end)

    def _cancel(self) -> None:
        assert self._task is not None  # what was asked for first was begun first
        self._is_unwanted = True
        self._task.cancel()

    def _end(self, task: asyncio.Task[Saved]) -> None:
        self._tell()
        error = None if task.cancelled() else task.exception()
        if task.cancelled() and not self._is_unwanted:
            error = RuntimeError("the thread ended before its downloads")
        saved = None if task.cancelled() or error is not None else task.result()
        self._caller.call_soon_threadsafe(self._settle, saved, error)

    # On the caller's loop again

    def _settle(self, saved: Saved | None, error: BaseException | None) -> None:
        if error is not None:
            self._outcome.set_exception(error)
        elif saved is not None:
            self._outcome.set_result(saved)
        else:
            self._outcome.cancel()

    # On the worker's loop

    def _tell(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        count, self._untold = self._untold, 0
        if count:
            self._caller.call_soon_threadsafe(self._report.received, count)
