"""What the emulator counts, so that a test can say how often it was asked and how hard."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Gauge:
    """How many are in flight now, and how many were at most."""

    now: int = 0
    most: int = 0

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        """Counts one for the length of the block."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield
        finally:
            self.now -= 1


@dataclass(slots=True)
class Stats:
    """Counters of requests as they arrive: before any misfortune decides what becomes of them.

    Attributes:
        calls: kind (posts, polls, lists, details, tokens, downloads, ranges, thumbnails) -> count.
        posts: video/format -> POSTs.
        polls: video/format -> status GETs.
        extras: path -> GETs of what belongs to a video or a channel, thumbnails included.
        bytes_sent: of bodies by the download host.
        credential_leaks: requests at the download host that carried a credential.
        late_downloads: requests for an address after it had run out by the vendor's clock.
        unguarded_ranges: requests for the rest of a file that name no state of it (If-Range),
            although its ETag or date was told and no If-Range was passed over before.
    """

    calls: Counter[str] = field(default_factory=Counter)
    posts: Counter[str] = field(default_factory=Counter)
    polls: Counter[str] = field(default_factory=Counter)
    extras: Counter[str] = field(default_factory=Counter)
    bytes_sent: int = 0
    credential_leaks: int = 0
    late_downloads: int = 0
    unguarded_ranges: int = 0
    api: Gauge = field(default_factory=Gauge)
    polling: Gauge = field(default_factory=Gauge)
    downloading: Gauge = field(default_factory=Gauge)

    def as_json(self) -> dict[str, Any]:
        """A plain object of all counters; every kind of call is there, if only as 0."""
        kinds = (
            "posts",
            "polls",
            "lists",
            "details",
            "tokens",
            "downloads",
            "ranges",
            "thumbnails",
        )
        return {
            **{kind: self.calls[kind] for kind in kinds},
            "unauthorized": self.calls["unauthorized"],
            "bytes_sent": self.bytes_sent,
            "credential_leaks": self.credential_leaks,
            "late_downloads": self.late_downloads,
            "unguarded_ranges": self.unguarded_ranges,
            "posts_by_video": dict(self.posts),
            "polls_by_video": dict(self.polls),
            "extras_by_path": dict(self.extras),
            "api_in_flight_most": self.api.most,
            "polls_in_flight_most": self.polling.most,
            "downloads_in_flight_most": self.downloading.most,
        }
