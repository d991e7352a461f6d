"""A large account in one night, on virtual time, against what nobody could beat.

``make pipeline`` runs the whole: 100,000 videos, 125 MB a second and 5,000 calls an hour.  Here are
the same two accounts with fewer videos over a line and a limit that are a hundred times thinner: a
night takes as many days, in virtual time.
"""

from __future__ import annotations

from dataclasses import replace

from tests.sim import marathon
from tests.sim.marathon import Account, Measured


def thinner(account: Account, share: int) -> Measured:
    """Fewer videos over a line and a limit that are as much smaller."""
    rate, calls = account.rate_bytes_s / share, account.calls_most // share
    return marathon.run(replace(account, rate_bytes_s=rate, calls_most=calls))


def test_the_line_is_never_idle_where_it_binds() -> None:
    """1.2 GB a video: within a twentieth of the bytes over the line, at 2.5 calls a video."""
    measured = thinner(marathon.long(600), 100)
    assert measured.bound_s == measured.line_s
    assert measured.ratio <= 1.05
    assert measured.calls_a_video <= 2.5
    assert measured.expired == 0


def test_no_call_is_wasted_where_the_calls_bind() -> None:
    """20 MB a video: within a twentieth of the calls over the limit, two and few more a video.

    What it takes to learn how long files are made, some eighty calls, weighs a hundred times as
    much here: 2.2 a video stand for 2.1.
    """
    measured = thinner(marathon.short(1000), 100)
    assert measured.bound_s == measured.calls_s
    assert measured.ratio <= 1.05
    assert measured.calls_a_video <= 2.2
    assert measured.expired == 0
