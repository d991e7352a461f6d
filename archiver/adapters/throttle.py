"""A bandwidth limit over all downloads together, in the order in which they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from archiver.ports import Clock


class Throttle:
    """Lets *rate_bytes_s* bytes a second pass; None: everything, at no cost.

    Every caller books the next stretch of the line and waits for its end, so each gets a share
    and none is passed by.  Time in which nobody took anything is not saved up.
    """

    def __init__(
        self,
        rate_bytes_s: float | None,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if rate_bytes_s is not None and not rate_bytes_s > 0:
            raise ValueError("a rate is more than nothing")
        self.rate_bytes_s, self._clock, self._sleep = rate_bytes_s, clock, sleep
        self._free_at, self._seen_at = 0.0, 0.0

    async def pay(self, count: int) -> bool:
        """Wait until *count* bytes, which came already, fit the rate; True where there is one."""
        if self.rate_bytes_s is None:
            return False
        now = self._clock.now()
        # The clock follows the server's: set back, it must not hold everybody up for so long.
        self._free_at += min(0.0, now - self._seen_at)
        self._seen_at = now
        self._free_at = max(now, self._free_at) + count / self.rate_bytes_s
        await self._sleep(self._free_at - now)
        return True
