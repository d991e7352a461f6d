"""What the clock promises: no jumps, and no correction that nobody asked for."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from archiver.adapters.clock import SystemClock
from archiver.core.model import Instant

WALL = 1_700_000_000.0


class Machine:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.elapsed_s = 500.0
        self.naps: list[float] = []
        self.clock = SystemClock(lambda: WALL, lambda: self.elapsed_s, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.elapsed_s += seconds

    def hear(self, ahead_s: float, latency_s: float) -> None:
        """One call to a server whose clock is *ahead_s* ahead; it answers half-way."""
        sent_at = self.clock.now()
        date = WALL + self.elapsed_s - 500.0 + latency_s / 2 + ahead_s
        self.elapsed_s += latency_s
        self.clock.heard(formatdate(int(date), usegmt=True), sent_at, self.clock.now())


def test_it_starts_at_the_wall_and_goes_on_with_what_passes() -> None:
    """The wall clock is read once; after that only elapsed time counts."""
    machine = Machine()
    machine.elapsed_s += 12.5
    assert machine.clock.now() == WALL + 12.5


@given(st.floats(-0.4, 0.4), st.lists(st.floats(0.9, 3.0), min_size=1, max_size=10))
def test_a_right_clock_is_left_alone(ahead_s: float, latencies: list[float]) -> None:
    """Within what a Date of one second's resolution can show, the skew stays exactly 0."""
    machine = Machine()
    for latency_s in latencies:
        machine.hear(ahead_s, latency_s)
    assert machine.clock.skew_s == 0.0


@given(st.floats(-1e6, 1e6), st.lists(st.floats(0.0, 3.0), min_size=1, max_size=10))
def test_a_wrong_clock_comes_within_a_second_and_the_latency(
    ahead_s: float, latencies: list[float]
) -> None:
    """Each answer bounds the error by its latency and the resolution of the header."""
    machine = Machine()
    for latency_s in latencies:
        machine.hear(ahead_s, latency_s)
        assert abs(machine.clock.skew_s - ahead_s) <= 1.0 + latency_s + 1e-3


def test_nonsense_moves_nothing() -> None:
    """No date, a foreign format and a call that straddles a correction are left aside."""
    machine = Machine()
    now = machine.clock.now()
    for date in ("", "yesterday", "Tue, 31 Feb 2023 22:13:20 GMT"):
        machine.clock.heard(date, now, now)
    machine.clock.heard(formatdate(WALL, usegmt=True), Instant(now + 100), now)
    assert machine.clock.skew_s == 0.0


def test_one_answer_that_leaps_is_not_believed_and_two_that_agree_are() -> None:
    """A cached page on the way has an old Date; a clock that was set anew says so twice."""
    machine = Machine()
    machine.hear(0.0, 0.1)
    machine.hear(-18_000.0, 0.1)
    assert machine.clock.skew_s == 0.0
    machine.hear(0.0, 0.1)
    machine.hear(50_000.0, 0.1)
    machine.hear(-18_000.0, 0.1)
    assert machine.clock.skew_s == 0.0
    machine.hear(-18_000.0, 0.1)
    assert abs(machine.clock.skew_s + 18_000.0) <= 1.2


def test_a_date_that_no_clock_shows_is_left_aside() -> None:
    """The year 9999 would end every wait and break every report."""
    machine = Machine()
    now = machine.clock.now()
    for date in ("Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"):
        machine.clock.heard(date, now, now)
    assert machine.clock.skew_s == 0.0


def test_sleeping_ends_at_the_instant_and_looks_up_on_the_way() -> None:
    """Long waits are made of naps of a minute at most; a past instant does not wait."""
    machine = Machine()
    asyncio.run(machine.clock.sleep_until(Instant(WALL + 150)))
    assert machine.clock.now() == WALL + 150
    assert max(machine.naps) <= 60
    asyncio.run(machine.clock.sleep_until(Instant(WALL)))
    assert machine.clock.now() == WALL + 150


def test_the_real_clock_never_goes_back() -> None:
    """With the machine's own sources: about now, and only forwards."""
    clock = SystemClock()
    seen = [clock.now() for _ in range(1_000)]
    assert seen == sorted(seen)


def test_after_a_sleep_the_first_answer_is_believed() -> None:
    """Where the system cannot say how long it slept, only the server can: at once, not twice."""
    slept_s = 0.0
    machine = Machine()
    machine.clock = SystemClock(
        lambda: WALL + machine.elapsed_s - 500.0, lambda: machine.elapsed_s, machine.sleep,
        lambda: slept_s,
    )  # fmt: skip
    machine.hear(0.0, 0.1)
    machine.hear(28_800.0, 0.1)
    assert machine.clock.skew_s == 0.0
    machine.hear(0.0, 0.1)
    slept_s = 28_800.0
    machine.hear(28_800.0, 0.1)
    assert abs(machine.clock.skew_s - 28_800.0) <= 1.2
