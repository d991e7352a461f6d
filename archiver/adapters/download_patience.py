"""How long a host may be silent.

A thread that is held up, by a disk for one, hears nobody, and its timers are late as well: a host
must not be judged by that.

Rule 1: time counts in steps; the end of one may be late for as long as it will, it is one step.
Rule 2: before a host is judged, the loop looks at its sockets once more, and whoever waits for
what lay there has had it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

STEPS = 8
TURNS = 3  # of the loop: one that reads, one that wakes who waits for it, and one to spare


class Patience:
    """Entered while a host is waited for; may be entered again and again.

    Args:
        limit_s: how long nothing may be heard, in seconds.
        give_up: called when it was so long.
    """

    def __init__(self, limit_s: float, give_up: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._step_s, self._give_up = limit_s / STEPS, give_up
        self._began_at = self._late_s = 0.0
        self._left, self._is_heard = STEPS, False
        self._next: asyncio.Handle | None = None

    def __enter__(self) -> Self:
        """Begin to wait."""
        self._began_at, self._late_s = self._loop.time(), 0.0
        self._begin_steps()
        return self

    def __exit__(self, *_error: object) -> None:
        """Wait no more."""
        assert self._next is not None
        self._next.cancel()

    @property
    def waited_s(self) -> float:
        """How long it has been since the last time began, less what the loop was late."""
        return self._loop.time() - self._began_at - self._late_s

    def heard(self) -> None:
        """Something came; called at every read, so it sets no timer."""
        self._is_heard = True

    def _begin_steps(self) -> None:
        self._left, self._is_heard = STEPS, False
        self._wait()

    def _wait(self) -> None:
        at = self._loop.time() + self._step_s
        self._next = self._loop.call_at(at, self._step, at)

    def _step(self, planned_at: float) -> None:
        self._late_s += self._loop.time() - planned_at
        self._left -= 1
        if self._is_heard:
            self._begin_steps()
        elif self._left > 0:
            self._wait()
        else:
            self._turn(TURNS)

    def _turn(self, left: int) -> None:
        if self._is_heard:
            self._begin_steps()
        elif left > 0:
            self._next = self._loop.call_soon(self._turn, left - 1)
        else:
            self._give_up()


@asynccontextmanager
async def patiently(limit_s: float) -> AsyncIterator[Patience]:
    """Wait so long for a host, and no longer.

    Raises:
        TimeoutError: it was silent.
    """
    async with asyncio.timeout(None) as timeout:
        with Patience(limit_s, lambda: timeout.reschedule(0)) as patience:
            yield patience
