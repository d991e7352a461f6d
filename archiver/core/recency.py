"""How far a listing has to be read tonight: to its end, or until nothing new is to be expected.

Rule 1: only a listing with the newest first may be left early, and only where the whole of it was
read within the last week: what happened to old videos is seen then at the latest.
Rule 2: doubt reads on: a page is the last one only if every video on it is known, unchanged, and
older than what the last listing may have missed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from archiver.core.listing import Change
from archiver.core.model import DAY_S, Instant, Video

WHOLE_EVERY_S = 7 * DAY_S
CHEAP_MOST = 1_000  # videos: twenty calls for the whole listing are worth their certainty
OVERLAP_S = DAY_S  # a video may be listed that much later than it says it was added
UNFINISHED_S = 31 * DAY_S  # a recording older than that, still without a length, is broken

Enough: TypeAlias = Callable[[Sequence[Video]], Awaitable[bool]] | None  # None: to the end


@dataclass(frozen=True, slots=True)
class LastListing:
    """What is known of the last listings of one source.

    Attributes:
        videos: how many the last whole one had.
        whole_at: when that was.
        at: when the last one was, whole or not.
    """

    videos: int
    whole_at: Instant
    at: Instant


def is_long(videos: int) -> bool:
    """A listing of so many *videos* is worth leaving early."""
    return videos > CHEAP_MOST


def may_stop_early(last: LastListing | None, now: Instant) -> bool:
    """The whole listing is long, and was read not long ago.  A time in the future is no time."""
    return (
        last is not None
        and is_long(last.videos)
        and 0 <= now - last.whole_at < WHOLE_EVERY_S
        and last.at <= now
    )


def is_settled(seen: Video, change: Change | None, last: LastListing) -> bool:
    """Behind a page of such videos nothing new is listed.

    Args:
        change: what the listing's line means; None for a video that is not known.
    """
    is_old = seen.added_at is not None and seen.added_at < last.at - OVERLAP_S
    return is_old and change == Change("same")
