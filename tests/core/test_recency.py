"""How far a listing is read: each rule of ``core.recency`` by an example."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archiver.core.listing import Change
from archiver.core.model import DAY_S, Instant, Job, JobKey, Video, VideoId
from archiver.core.recency import LastListing, is_settled, may_stop_early

NOW = Instant(1_790_000_000.0)
YESTERDAY = Instant(NOW - DAY_S)
LAST = LastListing(100_000, Instant(NOW - 3 * DAY_S), YESTERDAY)


@pytest.mark.parametrize(
    ("last", "may"),
    [
        (LAST, True),
        (None, False),
        (replace(LAST, videos=1_000), False),
        (replace(LAST, videos=1_001), True),
        (replace(LAST, whole_at=Instant(NOW - 7 * DAY_S)), False),
        (replace(LAST, whole_at=Instant(NOW - 7 * DAY_S + 1)), True),
        (replace(LAST, whole_at=Instant(NOW + 1)), False),
        (replace(LAST, at=Instant(NOW + 1)), False),
        (replace(LAST, whole_at=NOW, at=NOW), True),
    ],
)
def test_a_long_listing_is_read_whole_once_a_week(last: LastListing | None, may: bool) -> None:
    """A short one always, and one that was read by a clock that was wrong."""
    assert may_stop_early(last, NOW) is may


SAME = Change("same")


@pytest.mark.parametrize(
    ("added_at", "change", "settled"),
    [
        (NOW - 3 * DAY_S, SAME, True),
        (YESTERDAY - DAY_S, SAME, False),
        (YESTERDAY - DAY_S - 1, SAME, True),
        (None, SAME, False),
        (NOW - 3 * DAY_S, None, False),
        (NOW - 3 * DAY_S, Change("same", Job(JobKey(VideoId(1)))), False),
        (NOW - 3 * DAY_S, Change("renamed"), False),
    ],
)
def test_behind_old_and_unchanged_videos_nothing_new_is_listed(
    added_at: float | None, change: Change | None, settled: bool
) -> None:
    """What the last listing may have missed is never taken for old."""
    at = None if added_at is None else Instant(added_at)
    assert is_settled(Video(VideoId(1), "", added_at=at), change, LAST) is settled
