"""The gate of the rate limit: one queue for all calls, so that no 429 comes in the first place.

Rule 1: a place is taken before a call is sent and given back after its answer.
Rule 2: who comes first goes first; one waiter looks at the rate, the others stand behind it.
The arithmetic is `core.pacing`; here are only the queue and the counting.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Literal, TypeAlias

from archiver.adapters.clock import WaitingClock
from archiver.core import pacing
from archiver.core.model import Instant
from archiver.core.summary import ApiCalls
from archiver.errors import WeatherError
from archiver.met import met

log = logging.getLogger("archiver.vendor")

Purpose: TypeAlias = Literal["list", "request", "poll", "extras"]
SOON_S = 1.0  # when to look again while only answers can make room
MOST_WATCHED = 1_000


class Place:
    """The place of one call: counts it when its head goes out, gives it back at the end."""

    def __init__(self, pace: Pace, purpose: Purpose) -> None:
        self._pace, self._purpose = pace, purpose
        self._heads, self._told = 0, False
        self.sent_at = pace.clock.now()

    @property
    def is_sent(self) -> bool:
        """The head of the request left this machine."""
        return self._heads > 0

    def sent(self) -> None:
        """The head of the request went out, perhaps once more (aiohttp re-sends a lost GET)."""
        if self._heads:
            met("A42")
            self._pace.rate = pacing.lost(self._pace.rate)
        self._heads += 1
        self._pace.count(self._purpose)

    def answered(self, status: int, headers: Mapping[str, str]) -> pacing.News:
        """The answer's head is there: learn from it."""
        self._told = True
        return self._pace.learn(status, headers, self.sent_at)

    def leave(self) -> None:
        """The call is over, answered or not."""
        if self._heads and not self._told:
            self._pace.rate = pacing.lost(self._pace.rate)
        self._pace.left()


class Pace:
    """The rate gate of one vendor.

    Args:
        calls: counted when sent.
        salt: spreads the margin after a reset over programs; no secret.
    """

    def __init__(self, clock: WaitingClock, calls: ApiCalls, salt: str = "") -> None:
        self.clock, self.calls = clock, calls
        self.rate = pacing.Rate(salt=salt)
        self.in_flight = 0
        self._queue = asyncio.Lock()
        self._moved = asyncio.Event()
        self._sent_at: deque[Instant] = deque(maxlen=MOST_WATCHED)

    async def enter(self, purpose: Purpose, host: str, patience_s: float) -> Place:
        """Wait for a place and take it.

        Raises:
            WeatherError: there is none within *patience_s*; nothing was sent.
        """
        async with self._queue:
            while (at := self._free_at()) is None or at > self.clock.now():
                if at is None:
                    self._moved.clear()
                    await self._moved.wait()
                    continue
                if at - self.clock.now() > patience_s:
                    raise WeatherError(host, "the API's rate limit is used up", at, sent=False)
                await self.clock.sleep_until(at)
            self.rate = pacing.sent(self.rate, self.clock.now())
            self.in_flight += 1
            return Place(self, purpose)

    def _free_at(self) -> Instant | None:
        return pacing.may_send_at(self.rate, self.in_flight, self.clock.now())

    def calls_now(self) -> int:
        """How many calls could be sent at once."""
        return pacing.calls(self.rate, self.in_flight, self.clock.now())

    def left_now(self) -> float:
        """How many calls the vendor's period still has; infinity where nobody said."""
        return pacing.left(self.rate, self.clock.now())

    def more_at(self) -> Instant:
        """When there will be a place, as far as one can tell."""
        now = self.clock.now()
        at = self._free_at()
        return Instant(now + SOON_S) if at is None else Instant(max(now, at))

    def count(self, purpose: Purpose) -> None:
        """A call went out."""
        self._sent_at.append(self.clock.now())
        match purpose:
            case "list":
                self.calls.list += 1
            case "request":
                self.calls.request += 1
            case "poll":
                self.calls.poll += 1
            case "extras":
                self.calls.extras += 1

    def learn(self, status: int, headers: Mapping[str, str], sent_at: Instant) -> pacing.News:
        """Take in an answer's headers."""
        now = self.clock.now()
        said = pacing.news(headers, now)
        if status == 429 or said.remaining == 0:
            for name, at in (("X-RateLimit-Reset", said.reset_at), ("Retry-After", said.retry_at)):
                if at is not None and at >= now + pacing.LONGEST_WAIT_S:
                    log.info("%s: %.60r is far off; 15 minutes at most", name, headers.get(name))
        if status == 429:
            recent = sum(1 for at in self._sent_at if at > now - pacing.WATCH_S)
            self.rate = pacing.refused(self.rate, said, sent_at, now, recent / pacing.WATCH_S)
        elif status >= 500 and said.remaining is None:
            self.rate = pacing.lost(self.rate)
        else:
            self.rate = pacing.answered(self.rate, said, now)
        return said

    def left(self) -> None:
        """A place is free again."""
        self.in_flight -= 1
        self._moved.set()
