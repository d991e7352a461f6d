"""One source read from its newest video on: where to stop, and what is known of the rest.

Rule: a video keeps the first judgement of the night; by a second walk through the listing the
ledger knows what the first one brought, and would call it unchanged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from archiver.core.listing import Known, listed
from archiver.core.model import Instant, Video, VideoId
from archiver.core.recency import LastListing, is_settled, may_stop_early


class Memory(Protocol):
    """What earlier listings had, and what is known of their videos."""

    async def last_listing(self, source: str) -> LastListing | None:
        """The last listings of *source*."""
        ...

    async def note_listing(
        self, source: str, count: int, now: Instant, ids: Collection[VideoId]
    ) -> None:
        """Keep that the whole listing had so many videos, and which, if there are *ids*."""
        ...

    async def note_recent(self, source: str, now: Instant, ids: Collection[VideoId]) -> None:
        """Keep that the newest part of the listing was read, and had *ids*."""
        ...

    async def known(self, ids: Sequence[VideoId], variant: str) -> Mapping[VideoId, Known]:
        """What is known of the videos of a page; the others are left out."""
        ...

    async def is_covered(self, source: str, variant: str) -> bool:
        """Every video that *source* had is known in this variant."""
        ...

    async def unfinished(self, source: str, variant: str, now: Instant) -> set[VideoId]:
        """The young videos of *source* that were still being recorded."""
        ...

    def members(self, source: str) -> AsyncIterator[list[Video]]:
        """Every video that *source* had, page by page."""
        ...


class RecentPages:
    """How one source is read tonight.

    Attributes:
        stopped: the listing was left before its end.
    """

    def __init__(
        self, memory: Memory, last: LastListing, variant: str, now: Instant, waiting: set[VideoId]
    ) -> None:
        self._memory, self._last, self._variant, self._now = memory, last, variant, now
        self._waiting = waiting  # the listing is not left before it named them
        self._settled: dict[VideoId, bool] = {}
        self.stopped = False

    @classmethod
    async def of(
        cls, memory: Memory, source: str, variant: str, now: Instant
    ) -> RecentPages | None:
        """A way to read *source* to the last page that matters; None: it has to be read whole."""
        last = await memory.last_listing(source)
        if last is None or not may_stop_early(last, now):
            return None
        if not await memory.is_covered(source, variant):
            return None
        return cls(memory, last, variant, now, await memory.unfinished(source, variant, now))

    async def enough(self, page: Sequence[Video]) -> bool:
        """The listing may be left behind this page, which is not its last."""
        new = [video for video in page if video.id not in self._settled]
        known = await self._memory.known([video.id for video in new], self._variant)
        for video in new:
            before = known.get(video.id)
            change = None if before is None else listed(before, video, self._now, self._variant)
            self._settled[video.id] = is_settled(video, change, self._last)
            self._waiting.discard(video.id)
        if self._waiting or not page or not all(self._settled[video.id] for video in page):
            return False
        self.stopped = True
        return True
