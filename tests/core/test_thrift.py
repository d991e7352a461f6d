"""What the retry credit promises: one failed call in ten, a few for nothing, and a quick end."""

from __future__ import annotations

import random

import pytest

from archiver.core import thrift
from archiver.core.thrift import COST, FLOAT, LONGEST_PAUSE_S, Thrift


def test_a_few_failures_are_nobodys_concern() -> None:
    """Ten failures less one leave everything as it is."""
    now = Thrift()
    for _ in range(FLOAT // COST - 1):
        now = thrift.failed(now)
        assert (now.is_spent, now.pause_s) == (False, 0.0)
    assert thrift.failed(now).is_spent


def test_pauses_grow_to_half_a_minute_and_ten_good_calls_end_them() -> None:
    """An outage is probed after 2, 4, 8, 16 and then every 30 s; single successes do not reset."""
    now = Thrift(credit=COST)
    pauses = []
    for _ in range(6):
        now = thrift.went_well(thrift.failed(now))
        pauses.append(now.pause_s)
    assert pauses == [2, 4, 8, 16, 30, LONGEST_PAUSE_S]
    for _ in range(COST - now.credit):
        assert now.is_spent
        now = thrift.went_well(now)
    assert (now.is_spent, now.misses, now.pause_s) == (False, 0, 0.0)


def test_credit_has_a_ceiling() -> None:
    """A good day does not pay for a bad hour."""
    now = Thrift()
    for _ in range(1000):
        now = thrift.went_well(now)
    assert now == Thrift()


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 1.0])
def test_ten_bad_minutes_waste_few_calls(share: float) -> None:
    """Whatever share of the calls fails: ten for nothing, one a pause, one for ten that went."""
    dice, now, at, well, lost = random.Random(1), Thrift(), 0.0, 0, 0
    while at < 600:
        at += 0.1
        if dice.random() < share:
            now, lost = thrift.failed(now), lost + 1
            at += now.pause_s
        else:
            now, well = thrift.went_well(now), well + 1
    assert lost <= FLOAT // COST + 600 / LONGEST_PAUSE_S + 5 + well / COST
