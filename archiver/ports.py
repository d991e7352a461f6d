"""The sockets in the wall: what the engine needs from the outside, and nothing more.

Each port is a Protocol of a few methods.  What each may raise is drawn in ``archiver.errors``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from archiver.core.events import Event
from archiver.core.listing import Known as Known  # kept importable from here
from archiver.core.model import (
    Channel,
    ChannelId,
    Downloadable,
    Holding,
    Instant,
    Job,
    JobKey,
    JobState,
    Link,
    Saved,
    Video,
    VideoId,
)
from archiver.core.model import Shelf as Shelf  # kept importable from here
from archiver.core.recency import Enough
from archiver.observing import Observer as Observer  # kept importable from here


class Clock(Protocol):
    """Time, injected so that a test can own it."""

    def now(self) -> Instant:
        """Unix seconds by the server's clock; never jumps with the machine's wall clock."""
        ...

    def heard(self, date: str, sent_at: Instant, got_at: Instant) -> None:
        """A server's ``Date`` header; *sent_at* and *got_at* are ``now()`` around the call."""
        ...


@dataclass(frozen=True, slots=True)
class Allowance:
    """API calls that may be sent now, and when there will be more if there are none."""

    calls: int
    more_at: Instant
    left: float = float("inf")  # of the vendor's period, as far as it says


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.  ``complete``: the last page of a listing that was read to its end."""

    videos: tuple[Video, ...]
    complete: bool = False


class Vendor(Protocol):
    """The vendor's API.

    Every call may raise WeatherError, NotFoundError, DeniedError, BadAnswerError and AuthError.
    """

    async def request(self, key: JobKey) -> Downloadable:
        """POST: ask for the file to be prepared."""
        ...

    async def status(self, key: JobKey) -> Downloadable:
        """GET: how the file is doing."""
        ...

    def allowance(self) -> Allowance:
        """What the rate limit, the weather and ``--requests`` leave right now."""
        ...

    def channels(self) -> AsyncIterator[Channel]:
        """Every channel the credentials see."""
        ...

    async def channel(self, name: str) -> Channel:
        """A channel by its ID or its name."""
        ...

    async def video(self, video_id: VideoId) -> Video:
        """One video's own page."""
        ...

    def account_videos(self, enough: Enough = None) -> AsyncIterator[Page]:
        """Every video of the account, newest first; of each listing, to a page that is enough."""
        ...

    def channel_videos(self, channel_id: ChannelId, enough: Enough = None) -> AsyncIterator[Page]:
        """Every video of a channel, public and private; newest first, to a page that is enough."""
        ...

    def playlist_videos(self, playlist_id: int) -> AsyncIterator[Page]:
        """Every video of a playlist."""
        ...


class Part(Protocol):
    """A file being written, in order.  The source asks for room, fills it, and says so.

    ``offset`` counts the bytes handed over so far, durable or not.  No ``bytes`` cross this port:
    ``room`` and ``filled`` are plain calls, so a protocol's ``get_buffer``/``buffer_updated`` can
    use them from any loop, in any thread.
    """

    @property
    def offset(self) -> int:
        """Where the next byte belongs."""
        ...

    def room(self) -> memoryview:
        """A writable view for the next bytes, never empty."""
        ...

    def filled(self, count: int) -> None:
        """*count* bytes of the last ``room`` are valid now; when it is full, write and hash them.

        Raises:
            DestinationError: the disk is full or refuses; nothing after the last sync counts.
        """
        ...

    async def sync(self) -> int:
        """Make durable what came so far, and return how much; what comes meanwhile may follow."""
        ...

    async def restart(self) -> None:
        """Forget every byte and begin again at 0."""
        ...

    async def read(self, start: int, count: int) -> bytes:
        """Bytes that were written before: to compare, never to move."""
        ...

    async def sha256(self) -> str:
        """The SHA-256 of all bytes so far, as hex."""
        ...

    async def close(self) -> None:
        """Let go of the file; what was synced stays."""
        ...


class Source(Protocol):
    """Moves the bytes of one address into a part."""

    async def fetch(self, link: Link, saved: Saved, part: Part, report: Progress) -> Saved:
        """Download from ``saved.bytes`` on; ask nothing of an address that has run out.

        Args:
            saved: what the ledger says is durable; the part stands at that offset.
            report: told of every byte received, and asked to record each durable stretch.

        Returns:
            What is saved now; ``total`` equals ``bytes``.  Not yet synced, not yet checked.

        Raises:
            WeatherError, LinkRefusedError, BrokenError, CorruptError, DestinationError.
        """
        ...


class Progress(Protocol):
    """Who follows a transfer."""

    def received(self, count: int) -> None:
        """*count* more bytes came over the line."""
        ...

    async def durable(self, saved: Saved) -> None:
        """A stretch was synced: record it."""
        ...


class Vault(Protocol):
    """The archive's files: parts, and the one way in which a part gets its final name."""

    async def part(self, key: JobKey, saved: Saved) -> tuple[Part, Saved]:
        """Open the part of *key*, cut back to what is durable.

        Returns:
            The part and what it really holds: ``NOTHING`` where the file is missing or shorter
            than the ledger says.
        """
        ...

    async def finish(self, key: JobKey, saved: Saved) -> tuple[str, str | None]:
        """Make the open part of *key* durable and let go of it; its SHA-256, and ``check``'s."""
        ...

    async def check(self, key: JobKey, saved: Saved) -> str | None:
        """Walk the container (MP4 boxes, FLV tags).  None, or what is wrong with it."""
        ...

    async def publish(
        self, job: Job, shelf: Shelf, version: int | None = None
    ) -> tuple[Holding, ...]:
        """Sync, rename without overwriting, sync the folders; sidecar first.

        Safe to repeat after a crash at any instant: a file that stands there already with the
        right SHA-256 is adopted.

        Args:
            version: what the file becomes, where that is not the job's own version.

        Raises:
            CorruptError: neither the part nor the published file is there any more.
            DestinationError: the disk is full or refuses.
        """
        ...

    async def restore(self, job: Job, recorded: Holding) -> None:
        """Put the fetched bytes, which are the recorded ones, back under the recorded path.

        What stands there with other contents is set aside first.  Safe to repeat like ``publish``.

        Raises:
            CorruptError, DestinationError: as ``publish``.
        """
        ...

    async def put_back(self, aside: str, path: str) -> bool:
        """Give a damaged copy that was set aside its old path again, if nothing stands there.

        Raises:
            DestinationError: the disk refuses.
        """
        ...

    def free_bytes(self) -> int:
        """What may still be written: free space less a reserve."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the selection that is worth planning now.

    ``jobs`` holds every fetched, available, requested or asked-for job of the selection and the
    next discovered ones by (vendor's deletion date, id).  ``more`` says that other discovered
    jobs are due now; ``next_due_at`` is when the next one outside ``jobs`` becomes due.
    """

    jobs: tuple[Job, ...]
    more: bool
    next_due_at: Instant


class Ledger(Protocol):
    """The durable memory: one row a job, one line an event, one row a holding.

    Everything that changes returns only after a commit that survives a power cut; what is queued
    at the same time shares one commit.
    """

    async def reconcile(
        self, videos: Sequence[Video], now: Instant, variant: str
    ) -> Mapping[str, int]:
        """Take in one page of a listing, in one transaction, by ``core.listing.listed``.

        Returns:
            How many were "new", "changed", "renamed", "reopened", "skipped", "same".
        """
        ...

    async def select(self, ids: Sequence[VideoId]) -> None:
        """Add videos to this run's selection (kept for the life of the connection only)."""
        ...

    async def leave(self, key: JobKey) -> None:
        """Keep a job of the selection out of this run's windows: it is left for the next run."""
        ...

    async def window(self, now: Instant, variant: str, limit: int) -> Window:
        """Read what is worth planning, at most *limit* discovered jobs."""
        ...

    async def record(self, job: Job, event: Event, at: Instant) -> Job:
        """Apply *event* to *job*, write row, event and holdings in one transaction.

        Raises:
            IllegalTransitionError: the event does not fit the job; nothing was written.
        """
        ...

    async def shelf(self, video_id: VideoId) -> Shelf:
        """What the last listing said of the video, and where its files belong."""
        ...

    async def counts(self, variant: str) -> Mapping[JobState, int]:
        """How many jobs of the selection stand in each state."""
        ...
