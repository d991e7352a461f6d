"""The server's time on this machine: never jumps with the wall clock, corrected by what it hears.

Rule 1: the skew is moved as little as the answers allow; a clock that is right stays untouched.
Rule 2: after the first answer, a leap needs two that agree: a cache on the way tells an old time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from archiver.core.model import Instant
from archiver.core.pacing import http_date
from archiver.ports import Clock

LONGEST_NAP_S = 60.0  # the skew may change while we sleep: look again
LEAP_S = 60.0  # hosts of one vendor differ by less
EARLIEST, LATEST = 1_577_836_800.0, 4_102_444_800.0  # 2020 to 2100: beyond, it is no clock


class WaitingClock(Clock, Protocol):
    """A clock that can also be waited for."""

    async def sleep_until(self, at: Instant) -> None:
        """Return when ``now()`` is *at* or later; at once where it is."""
        ...


def elapsed_s() -> float:
    """Seconds that also pass while the machine sleeps, where the system can tell."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; macOS's monotonic stops asleep
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class SystemClock:
    """Wall time at the start, plus what has passed since, plus the server's skew.

    Args:
        wall: Unix seconds, read once.
        elapsed: seconds that only grow.
        sleep: waits for that many seconds.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = elapsed_s,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._elapsed, self._sleep = elapsed, sleep
        self._start = wall() - elapsed()
        self._skew_s = 0.0
        self._is_set = False
        self._doubted_s: float | None = None

    @property
    def skew_s(self) -> float:
        """How far the server is ahead of this machine, in seconds."""
        return self._skew_s

    def now(self) -> Instant:
        """Unix seconds by the server's clock."""
        return Instant(self._start + self._elapsed() + self._skew_s)

    def heard(self, date: str, sent_at: Instant, got_at: Instant) -> None:
        """Take in a ``Date`` header.

        Its resolution is one second, so the server's clock stood in [date, date + 1) at some
        moment between sending and the answer: that bounds the skew on both sides.
        """
        said = http_date(date)
        if said is None or not EARLIEST <= said <= LATEST:
            return
        least, most = said - got_at, said + 1.0 - sent_at
        if least > most:  # the skew was corrected while this call was under way
            return
        skew_s = self._skew_s + min(max(0.0, least), most)
        leaps = self._is_set and abs(skew_s - self._skew_s) > LEAP_S
        if leaps and (self._doubted_s is None or abs(skew_s - self._doubted_s) > LEAP_S):
            self._doubted_s = skew_s
            return
        self._skew_s, self._is_set, self._doubted_s = skew_s, True, None

    async def sleep_until(self, at: Instant) -> None:
        """Return when ``now()`` is *at* or later."""
        while (left_s := at - self.now()) > 0:
            await self._sleep(min(left_s, LONGEST_NAP_S))
