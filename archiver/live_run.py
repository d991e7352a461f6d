"""A run that goes on in the background of a program, and what it tells meanwhile.

Rule: the work never waits for whoever listens; what was not taken yet is kept, and bytes that were
received are added up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any

import anyio

from archiver.core.events import Event
from archiver.core.model import Job, JobKey, JobState
from archiver.core.summary import Summary
from archiver.core.weather import Trouble
from archiver.events import Downloading, Note, Received, RunEvent, Selected, told
from archiver.observing import Troubles


class Run:
    """A run that is going on: ``async for event in run``, or ``await run.wait()``."""

    def __init__(
        self, work: Coroutine[Any, Any, Summary], hearing: Hearing, stop: anyio.Event
    ) -> None:
        self._hearing, self._stop = hearing, stop
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(lambda _: hearing.wake())
        self._is_told = False

    @property
    def summary(self) -> Summary:
        """What it did.

        Raises:
            RuntimeError: it has not ended yet.
        """
        if not self._task.done():
            raise RuntimeError("the run has not ended yet")
        self._is_told = True
        return self._task.result()

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What it waits for just now, such as a host that does not answer; events tell no outage.

        May be asked at any time; empty where nothing holds it up.
        """
        return tuple(self._hearing.troubles())

    def stop(self) -> None:
        """Ask for the end: nothing new is begun, what is here is kept; within seconds it ends."""
        self._stop.set()

    async def wait(self) -> Summary:
        """Wait for the end; the events until then are dropped.

        Raises:
            ArchiverError: nothing was begun.
        """
        self._hearing.cover()
        await self.ended()
        return self.summary

    def __aiter__(self) -> Run:
        return self

    async def __anext__(self) -> RunEvent:
        while True:
            event = self._hearing.next()
            if event is not None:
                return event
            if self._task.done():
                _ = self.summary  # raises what was in the way
                raise StopAsyncIteration
            await self._hearing.news()

    async def ended(self) -> None:
        """Wait for the end, whatever it is; to give up waiting does not end the run."""
        await asyncio.wait([self._task])

    async def cancel(self) -> None:
        """End it at once, which is as safe as to kill the process."""
        self._task.cancel()
        with anyio.CancelScope(shield=True):
            await self.ended()

    def unheard(self) -> BaseException | None:
        """Why the ended run failed, where nobody was told of it."""
        error = None if self._task.cancelled() else self._task.exception()
        return None if self._is_told else error


class Hearing:
    """Keeps what a run tells until somebody takes it; an ``Observer``."""

    def __init__(self) -> None:
        # A key stands for the bytes of that file that were not told yet.
        self._untold: deque[RunEvent | JobKey] = deque()
        self._received: dict[JobKey, int] = {}
        self._news = asyncio.Event()
        self._is_covered = False
        self.troubles: Troubles = tuple

    def began(self, step: str, job: Job, title: str = "") -> None:
        if step == "fetch":
            self._put(Downloading(job.key, title, job.saved.bytes, job.size_bytes))

    def received(self, job: Job, count: int) -> None:
        if job.key not in self._received:
            self._received[job.key] = 0
            self._put(job.key)
        self._received[job.key] += count

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        if (news := told(before, event, after)) is not None:
            self._put(news)

    def said(self, text: str, *, warning: bool = False) -> None:
        self._put(Note(text, warning))

    def expect(self, counts: Mapping[JobState, int], wanted_bytes: int | None = None) -> None:
        self._put(Selected(dict(counts), wanted_bytes))

    def watch(self, troubles: Troubles) -> None:
        self.troubles = troubles

    def next(self) -> RunEvent | None:
        """What was told first and not taken yet."""
        if not self._untold:
            return None
        first = self._untold.popleft()
        return Received(first, self._received.pop(first)) if isinstance(first, JobKey) else first

    async def news(self) -> None:
        """Wait until there is something more, or the run has ended."""
        self._news.clear()
        await self._news.wait()

    def wake(self) -> None:
        """The run has ended."""
        self._news.set()

    def cover(self) -> None:
        """Nobody listens from now on."""
        self._is_covered = True
        self._untold.clear()

    def _put(self, news: RunEvent | JobKey) -> None:
        if not self._is_covered:
            self._untold.append(news)
            self._news.set()
