"""Downloads in threads of their own: two to four event loops beside the caller's.

What costs time in a download lets go of Python's lock: receiving, deciphering, hashing, writing.
So a loop in a second thread is a second processor at work; and a disk that holds one up holds up
the downloads of that thread alone, never the plan, the ledger or the screen.

Rule 1: all that a download tells is told on the caller's loop; only bytes stay in the thread.
Rule 2: a cancelled download has ended in its thread before the caller goes on, or has had its time.
Rule 3: a thread begins with its first download: a night without news has none.
Rule 4: each class lives on one of the two loops, and says on which; in between is ``Beyond``.
Rule 5: every download has an end for its caller, also where its thread died of a bug.
"""

from __future__ import annotations

import asyncio
import os
import threading
from functools import partial
from typing import Self

import anyio

from archiver.adapters.byte_thread import (
    Beyond,
    Errand,
    Inside,
    MakeSource,
    Opening,
    died,
    new_loop,
)
from archiver.core.model import Link, Saved
from archiver.errors import CrowdedError
from archiver.ports import Part, Progress

WORKERS_MOST = 4
END_S = 3.0  # a cancelled download may sync what came; see ``download_body.Limits.keep_s``


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
        is_metered: every read is to wait for what it costs; see ``new_loop``.
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
    """One thread as its caller sees it; lives on the caller's loop."""

    def __init__(self, opening: Opening, make: MakeSource, number: int, is_metered: bool) -> None:
        self._opening, self._make, self._number = opening, make, number
        self._is_metered = is_metered
        self.load = 0  # downloads that are under way
        self._outcomes: set[asyncio.Future[Saved]] = set()  # that are waited for
        self._thread: threading.Thread | None = None
        self._ready: asyncio.Future[None]
        self._ended: asyncio.Future[None]
        self._inside: Inside
        self._beyond: Beyond

    async def fetch(self, link: Link, saved: Saved, part: Part, report: Progress) -> Saved:
        self.load += 1
        try:
            if self._thread is None:
                self._begin()
            await asyncio.shield(self._ready)
            if self._ended.done():
                raise died()
            outcome: asyncio.Future[Saved] = asyncio.get_running_loop().create_future()
            self._outcomes.add(outcome)
            outcome.add_done_callback(self._outcomes.discard)
            errand = self._inside.errand(report, partial(_settle, outcome))
            self._beyond.tell(errand.begin, link, saved, part)
            return await self._end_of(errand, outcome)
        finally:
            self.load -= 1

    async def _end_of(self, errand: Errand, outcome: asyncio.Future[Saved]) -> Saved:
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            self._beyond.tell(errand.cancel)
            with anyio.CancelScope(shield=True):
                await asyncio.wait({outcome}, timeout=END_S)
            if not outcome.cancel():
                outcome.exception()  # nobody wants it any more
            raise

    async def end(self) -> None:
        """Let the thread end, and wait for it; not for one that hangs in the system."""
        if self._thread is None:
            return
        await asyncio.wait({self._ready})
        if self._ready.exception() is None:
            self._beyond.tell(self._inside.stop)
        await asyncio.wait({self._ended}, timeout=END_S)
        if self._ended.done():
            self._thread.join()  # a few steps of Python's own are left

    def _begin(self) -> None:
        """Start the thread.

        Raises:
            CrowdedError: no more files or threads just now; another download may try again.
        """
        here = asyncio.get_running_loop()
        self._ready, self._ended = here.create_future(), here.create_future()
        loop = new_loop(is_metered=self._is_metered)
        self._beyond = Beyond(loop)
        self._inside = Inside(
            self._opening, self._make, Beyond(here), self._is_ready, self._is_over
        )
        name = f"bytes-{self._number}"
        # A thread that hangs in a system call must not keep the program from its end.
        thread = threading.Thread(target=self._inside.main, args=(loop,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # Python's word for the system's refusal
            loop.close()
            hint = "Raise the limit on processes (ulimit -u), or lower --downloads."
            raise CrowdedError("The system has no thread for downloads.", hint) from error
        self._thread = thread

    def _is_ready(self) -> None:
        self._ready.set_result(None)

    def _is_over(self) -> None:
        if not self._ready.done():
            self._ready.set_exception(RuntimeError("a thread for downloads could not begin"))
        for outcome in self._outcomes:
            _settle(outcome, None, died())
        self._ended.set_result(None)


def _settle(
    outcome: asyncio.Future[Saved], saved: Saved | None, error: BaseException | None
) -> None:
    if outcome.done():
        return  # nobody has waited for it so long
    if saved is None:
        outcome.set_exception(error or died())
    else:
        outcome.set_result(saved)
