"""A bandwidth limit over all downloads together, in the order in which they come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from archiver.core.model import Instant
from archiver.core.timetable import DAY_MINUTES, Rate, Timetable
from archiver.ports import Clock


def minute_of_week(at: Instant) -> int:
    """Minutes since Monday, 0:00, by this machine's time of day."""
    here = datetime.fromtimestamp(at, UTC).astimezone()
    return here.weekday() * DAY_MINUTES + here.hour * 60 + here.minute


class Throttle:
    """Lets so many bytes a second pass; None: everything, at no cost.

    Every caller books the next stretch of the line and waits for its end, so each gets a share
    and none is passed by.  Time in which nobody took anything is not saved up.

    Args:
        rate: bytes a second, or a timetable of such.
        minute: of the week, by the user's time of day; only a timetable asks.
    """

    def __init__(
        self,
        rate: Rate,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        minute: Callable[[Instant], int] = minute_of_week,
    ) -> None:
        if isinstance(rate, int | float) and not rate > 0:
            raise ValueError("a rate is more than nothing")
        self._rate, self._clock, self._sleep, self._minute = rate, clock, sleep, minute
        self._free_at, self._seen_at = 0.0, 0.0
        self._lock = threading.Lock()  # downloads come from several threads

    @property
    def is_limited(self) -> bool:
        """There is a rate, now or at another hour."""
        return self._rate is not None

    async def pay(self, count: int) -> bool:
        """Wait until *count* bytes, which came already, fit the rate; True where there is one."""
        if self._rate is None:
            return False
        with self._lock:
            wait_s = self._book(count)
        if wait_s is None:
            return False
        await self._sleep(wait_s)
        return True

    def _book(self, count: int) -> float | None:
        """Take the next stretch of the line; seconds until its end, None where nothing limits."""
        now = self._clock.now()
        # The clock follows the server's: set back, it must not hold everybody up for so long.
        self._free_at += min(0.0, now - self._seen_at)
        self._seen_at = now
        rate_bytes_s = self._rate_at(now)
        if rate_bytes_s is None:
            self._free_at = now  # what was booked at a slower rate need not be waited for
            return None
        self._free_at = max(now, self._free_at) + count / rate_bytes_s
        return self._free_at - now

    def _rate_at(self, now: Instant) -> float | None:
        if isinstance(self._rate, Timetable):
            return self._rate.rate_at(self._minute(now))
        return self._rate
