"""The bandwidth limit: over all together, fair, and free where there is none."""

from __future__ import annotations

import asyncio
import time

import pytest

from archiver.adapters.throttle import Throttle, minute_of_week
from archiver.core.model import Instant
from archiver.core.timetable import parse_rate


class Hand:
    """A clock moved by hand; whoever sleeps says for how long."""

    def __init__(self) -> None:
        self.at, self.slept = 1000.0, list[float]()

    def now(self) -> Instant:
        return Instant(self.at)

    def heard(self, date: str, sent_at: Instant, got_at: Instant) -> None:
        raise AssertionError(date)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_no_limit_costs_nothing() -> None:
    """Nobody waits, no clock is read."""
    hand = Hand()
    asyncio.run(Throttle(None, hand, hand.sleep).pay(10**12))
    assert hand.slept == []


def test_a_rate_is_more_than_nothing() -> None:
    """A rate of nothing would never end."""
    for rate in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="rate"):
            Throttle(rate, Hand())


def test_all_together_keep_the_rate_in_the_order_of_coming() -> None:
    """Each waits until its own bytes have had their time behind those before."""
    hand = Hand()
    throttle = Throttle(100, hand, hand.sleep)

    async def main() -> None:
        for count in (50, 100, 50):
            await throttle.pay(count)

    asyncio.run(main())
    assert hand.slept == [0.5, 1.5, 2.0]


def test_idle_time_is_not_saved_up() -> None:
    """After a pause the line is no faster than the rate."""
    hand = Hand()
    throttle = Throttle(100, hand, hand.sleep)

    async def main() -> None:
        await throttle.pay(100)
        hand.at += 3600
        await throttle.pay(100)

    asyncio.run(main())
    assert hand.slept == [1.0, 1.0]


def test_a_clock_set_back_holds_nobody_up() -> None:
    """The clock follows the server's; a correction is no traffic."""
    hand = Hand()
    throttle = Throttle(100, hand, hand.sleep)

    async def main() -> None:
        await throttle.pay(100)
        hand.at -= 500
        await throttle.pay(100)

    asyncio.run(main())
    assert hand.slept == [1.0, 2.0]


def test_a_timetable_is_followed_while_bytes_come() -> None:
    """At its minute another rate holds; what was booked at the slow rate is not waited for."""
    hand = Hand()
    minutes = {1000.0: 479, 2000.0: 480, 3000.0: 1080, 4000.0: 480}
    throttle = Throttle(
        parse_rate("08:00,100 18:00,off"), hand, hand.sleep, lambda at: minutes[float(at)]
    )
    limited = []

    async def main() -> None:
        for hand.at in minutes:
            limited.append(await throttle.pay(200_000))

    asyncio.run(main())
    assert limited == [False, True, False, True]
    assert hand.slept == [2000.0, 2000.0]


def test_the_minute_of_the_week_is_the_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timetable is written by somebody who looks at the clock on the wall."""
    sunday_evening = Instant(1_700_000_000.0 - 2 * 86_400)  # 2023-11-12 22:13:20 UTC
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert minute_of_week(sunday_evening) == 6 * 1440 + 23 * 60 + 13
        assert minute_of_week(Instant(sunday_evening + 3600)) == 13, "it is Monday there"
    finally:
        monkeypatch.undo()
        time.tzset()
