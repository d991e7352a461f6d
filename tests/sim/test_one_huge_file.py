"""A window that can be met is met: one huge file on a slow line, among many that are replaced.

Shared equally by all slots, the line would never bring it in time; alone it takes a good part of
the window.  The hosts of these worlds go on after an address ran out: what counts is whether the
last byte came before.
"""

from __future__ import annotations

import pytest

from archiver.core.model import DAY_S
from tests.sim import marathon
from tests.sim.marathon import Account

RATE = 1e6  # bytes a second
WINDOW_BYTES = RATE * DAY_S


@pytest.mark.parametrize(("huge", "small", "others", "before", "downloads"), [
    (0.6, 0.01, 80, 10, 8),  # the world that was seen first
    (0.4, 0.02, 60, 30, 16),
    (0.3, 0.05, 30, 10, 8),  # the others are large as well
])  # fmt: skip
def test_a_huge_file_ends_in_time_though_others_wait(
    huge: float, small: float, others: int, before: int, downloads: int
) -> None:
    """And the line is never idle for it."""
    sizes = [int(small * WINDOW_BYTES)] * others
    sizes.insert(before, int(huge * WINDOW_BYTES))
    account = Account(len(sizes), 0.0, 0.0, rate_bytes_s=RATE)
    measured = marathon.run(account, sizes, downloads)
    assert (measured.overtime, measured.expired) == (0, 0)
    assert measured.ratio <= 1.01
