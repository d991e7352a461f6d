"""The server's time on this machine: never jumps with the wall clock, corrected by what it hears.

Rule 1: the skew is moved as little as the answers allow; a clock that is right stays untouched.
Rule 2: after the first answer, a leap needs two that agree: a cache on the way tells an old time.
Rule 3: this machine's clock is read once; whoever sets it during a run changes nothing.
Rule 4: after the machine has slept, what was known of the server's clock is in doubt.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from archiver.core.model import Instant
from archiver.core.pacing import http_date
from archiver.met import met
from archiver.ports import Clock

log = logging.getLogger(__name__)

LONGEST_NAP_S = 60.0  # the skew may change while we sleep: look again
LEAP_S = 60.0  # hosts of one vendor differ by less
SKEW_MOST_S = 60.0  # a clock this wrong misdates files and breaks TLS sooner or later
GAP_S = 30.0  # a sleep, or a step of this machine's clock, that is worth a thought
EARLIEST, LATEST = 1_577_836_800.0, 4_102_444_800.0  # 2020 to 2100: beyond, it is no clock


class WaitingClock(Clock, Protocol):
    """A clock that can also be waited for."""

    async def sleep_until(self, at: Instant) -> None:
        """Return when ``now()`` is *at* or later; at once where it is."""
        ...


def elapsed_s() -> float:
    """Seconds that also pass while the machine sleeps, where the system can tell."""
    # On Linux one clock stops asleep and another does not; on macOS they are called otherwise.
    name = "CLOCK_MONOTONIC" if sys.platform == "darwin" else "CLOCK_BOOTTIME"
    number = getattr(time, name, None)
    return time.monotonic() if number is None else time.clock_gettime(number)


def asleep_s() -> float:
    """Seconds that the machine has slept, from a start that nobody knows."""
    return elapsed_s() - time.monotonic()


class SystemClock:
    """Wall time at the start, plus what has passed since, plus the server's skew.

    Args:
        wall: Unix seconds, read once.
        elapsed: seconds that only grow.
        sleep: waits for that many seconds.
        asleep: seconds that the machine has slept.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = elapsed_s,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        asleep: Callable[[], float] = asleep_s,
    ) -> None:
        self._wall, self._elapsed, self._sleep, self._asleep = wall, elapsed, sleep, asleep
        self._start = self._wall_start = wall() - elapsed()
        self._slept_s = asleep()
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
        self._look_up()
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

    def _look_up(self) -> None:
        """See what was done to this machine's clocks since the last answer."""
        step_s = self._wall() - self._elapsed() - self._wall_start
        if abs(step_s) > GAP_S:
            met("L23")
            log.warning("this machine's clock was set by %+.0f s; this run goes by its own", step_s)
            self._wall_start += step_s
        slept_s, self._slept_s = self._slept_s, self._asleep()
        if self._slept_s - slept_s > GAP_S:
            met("L25")
            self._is_set = False  # the next answer is believed, wherever the clock stands now

    async def sleep_until(self, at: Instant) -> None:
        """Return when ``now()`` is *at* or later."""
        while (left_s := at - self.now()) > 0:
            await self._sleep(min(left_s, LONGEST_NAP_S))
