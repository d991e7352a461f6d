"""The bandwidth limit: over all together, fair, and free where there is none."""

from __future__ import annotations

import asyncio

import pytest

from archiver.adapters.throttle import Throttle
from archiver.core.model import Instant


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
