"""Questions about an archive, answered from its ledger, beside a run too."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.adapters.ledger import Entry
from archiver.adapters.ledger import Filter as Wanted
from archiver.adapters.lock import running
from archiver.adapters.places import PRIVATE
from archiver.core.model import NEVER, ChannelId, Holding, Instant, JobState, Video
from archiver.core.summary import SCHEMA, Failure, iso
from archiver.reading import asking

_FAILURES_MOST = 1000
_RUNS = 5


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Where everything stands."""

    states: dict[JobState, int]
    bytes_archived: int
    next_deadline: Instant
    running: int | None
    last_runs: list[dict[str, Any]]
    failures: list[Failure]

    def as_json(self) -> dict[str, Any]:
        """The object of ``status --json``."""
        return {
            "schema": SCHEMA,
            "states": {state.value: count for state, count in self.states.items()},
            "bytes_archived": self.bytes_archived,
            "next_deadline": iso(None if self.next_deadline == NEVER else self.next_deadline),
            "running": self.running,
            "last_runs": self.last_runs,
            "failures": [failure.as_json() for failure in self.failures],
        }


async def status(dest: str, *, at_once: bool = False) -> StatusReport:
    """Where every video stands.

    Args:
        at_once: see ``archiver.reading``.

    Raises:
        DestinationError: there is no archive.
    """
    async with asking(dest, at_once=at_once) as ledger:
        holds = await ledger.holdings_count_bytes()
        return StatusReport(
            states=dict(await ledger.all_counts()),
            bytes_archived=holds[1],
            next_deadline=await ledger.next_deadline(),
            running=running(Path(dest) / PRIVATE / "lock"),
            last_runs=await ledger.last_runs(_RUNS),
            failures=await ledger.failures(_FAILURES_MOST),
        )


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One stored version of a video, or what is still wanted in its place."""

    entry: Entry

    @property
    def video(self) -> Video:
        """The video, as the vendor last described it."""
        return self.entry.video

    @property
    def state(self) -> JobState:
        """Where this version stands."""
        return self.entry.job.state

    @property
    def holding(self) -> Holding | None:
        """The file in the archive, if it is there: path, bytes, SHA-256."""
        return self.entry.holding

    def as_json(self) -> dict[str, Any]:
        """One line of ``list --json``."""
        video, job, holding = self.entry.video, self.entry.job, self.entry.holding
        return {
            "id": str(video.id),
            "title": video.title,
            "channel": None if video.channel_id is None else str(video.channel_id),
            "format": job.key.variant,
            "version": job.key.version,
            "state": job.state.value,
            "path": None if holding is None else holding.path,
            "bytes": job.size_bytes if holding is None else holding.bytes,
            "sha256": None if holding is None else holding.sha256,
            "created_at": iso(video.created_at),
            "archived_at": None if holding is None else iso(holding.stored_at),
        }


async def catalogue(
    dest: str,
    *,
    channel: ChannelId | None = None,
    state: JobState | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    text: str | None = None,
    at_once: bool = False,
) -> AsyncGenerator[CatalogueRow, None]:
    """The catalogue, by video and version; what is None does not filter.

    Args:
        at_once: see ``archiver.reading``.

    Raises:
        DestinationError: there is no archive.
    """
    wanted = Wanted(channel, state, since, until, text)
    async with asking(dest, at_once=at_once) as ledger, aclosing(ledger.rows(wanted)) as entries:
        async for entry in entries:
            yield CatalogueRow(entry)
