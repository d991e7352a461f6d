"""A thread for downloads: its loop, its session, and what is done there.

Rule 1: all here is on the thread's own loop, or is told to the caller's by ``Beyond``.
Rule 2: whoever is told may be gone by then, and nothing is said of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import aiohttp

from archiver.adapters.causes import refusal
from archiver.core.model import Link, Saved
from archiver.ports import Part, Progress, Source

TELL_S = 0.05  # how late the caller may hear of bytes: each call to its thread wakes it up
Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[aiohttp.ClientSession]]
MakeSource: TypeAlias = Callable[[aiohttp.ClientSession], Source]
Told: TypeAlias = Callable[[Saved | None, BaseException | None], None]  # how a download ended


def died() -> RuntimeError:
    """What a caller is told whose download has no end of its own."""
    return RuntimeError("a thread for downloads ended before them")


class Beyond:
    """The loop of another thread, which may be gone by the time that it is told something."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def tell(self, what: Callable[..., object], *given: object) -> None:
        """Have *what* called there, and do not wait for it."""
        with contextlib.suppress(RuntimeError):  # it is closed: nobody is there to be told
            self._loop.call_soon_threadsafe(what, *given)

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Have *work* done there, and wait for its end.

        Raises:
            RuntimeError: nobody is there any more; and whatever *work* raises.
        """
        try:
            doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise
        await asyncio.wrap_future(doing)


class Inside:
    """The thread itself, with its session and its source; lives on the worker's loop."""

    def __init__(
        self,
        opening: Opening,
        make: MakeSource,
        caller: Beyond,
        is_ready: Callable[[], None],
        is_over: Callable[[], None],
    ) -> None:
        self._opening, self._make, self._caller = opening, make, caller
        self._is_ready, self._is_over = is_ready, is_over
        self._stop = asyncio.Event()
        self.source: Source

    def errand(self, report: Progress, told: Told) -> Errand:
        """A download to be begun here; *told* is called on the caller's loop, at its end."""
        return Errand(self, self._caller, report, told)

    def main(self, loop: asyncio.AbstractEventLoop) -> None:
        """Be the thread."""
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._live())
        finally:
            self._caller.tell(self._is_over)

    def stop(self) -> None:
        """Let the thread end."""
        self._stop.set()

    async def _live(self) -> None:
        async with self._opening() as session:
            self.source = self._make(session)
            self._caller.tell(self._is_ready)
            await self._stop.wait()


class Errand:
    """One download in the thread, and its ``ports.Progress`` there; lives on the worker's loop."""

    def __init__(self, inside: Inside, caller: Beyond, report: Progress, told: Told) -> None:
        self._inside, self._caller, self._report, self._told = inside, caller, report, told
        self._task: asyncio.Task[Saved] | None = None
        self._untold = 0
        self._telling: asyncio.TimerHandle | None = None

    def begin(self, link: Link, saved: Saved, part: Part) -> None:
        """Do the work, and tell of its end."""
        work = self._inside.source.fetch(link, saved, part, self)
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        """End it early; its end is told as any other."""
        assert self._task is not None  # what was asked for first was begun first
        self._task.cancel()

    def received(self, count: int) -> None:
        """Told in one with what follows soon."""
        self._untold += count
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_S, self._tell)

    async def durable(self, saved: Saved) -> None:
        """Recorded on the caller's loop, where the ledger is."""
        self._tell()
        await self._caller.finish(self._report.durable(saved))

    def _end(self, task: asyncio.Task[Saved]) -> None:
        self._tell()
        error = died() if task.cancelled() else task.exception()
        self._caller.tell(self._told, None if error is not None else task.result(), error)

    def _tell(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        count, self._untold = self._untold, 0
        if count:
            self._caller.tell(self._report.received, count)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The faster loop where it is installed (the extra ``fast``), else Python's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def new_loop(*, is_metered: bool) -> asyncio.AbstractEventLoop:
    """A loop for another thread.

    Python's own where reads wait: on the faster one, what a host sent over TLS before it closed is
    lost to whoever rests at that moment (D35).  It rests as well where the disk cannot follow.

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
