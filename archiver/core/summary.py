"""What a run did, in the numbers and names of the public report."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from archiver.core.model import Instant, VideoId

SCHEMA = 1


def iso(at: Instant | None) -> str | None:
    """ISO 8601 in UTC to the second, as all our files have it; None for no time at all."""
    if at is None or not abs(at) < 1e11:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")[:19] + "Z"


@dataclass(frozen=True, slots=True)
class Failure:
    """A selected video that is not archived, and why."""

    video: VideoId
    title: str
    state: str
    reason: str
    attempts: int

    def as_json(self) -> dict[str, Any]:
        """The object that stands in ``failures``."""
        return {
            "video": str(self.video), "title": self.title, "state": self.state,
            "reason": self.reason, "attempts": self.attempts,
        }  # fmt: skip


class Reading(StrEnum):
    """How far a source's listing was read."""

    WHOLE = "the whole listing"
    RECENT = "recent pages only"
    CUT = "not read to its end"


@dataclass(frozen=True, slots=True)
class Listed:
    """How many videos one source listed, and how far it was read."""

    source: str
    videos: int
    reading: Reading

    def as_json(self) -> dict[str, Any]:
        """The object that stands in ``listed``."""
        whole = self.reading is Reading.WHOLE
        return {"source": self.source, "videos": self.videos, "whole": whole}


@dataclass(frozen=True, slots=True)
class Deletion:
    """How many selected videos the vendor deletes within 31 days, and which are not archived."""

    within_31_days: int = 0
    not_safe: tuple[VideoId, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The object ``deletion``."""
        return {"within_31_days": self.within_31_days, "not_safe": [str(n) for n in self.not_safe]}


@dataclass(slots=True)
class ApiCalls:
    """Calls that were sent, by what they were for."""

    token: int = 0
    list: int = 0
    request: int = 0
    poll: int = 0
    extras: int = 0


@dataclass(slots=True)
class Summary:
    """One run.  The counts of videos other than ``selected`` add up to ``selected``."""

    started_at: Instant
    seconds: float = 0.0
    outcome: str = "complete"  # complete, partial, stopped, refused
    exit_code: int = 0
    selected: int = 0
    already_archived: int = 0
    archived: int = 0
    skipped: int = 0
    parked: int = 0
    gone: int = 0
    remaining: int = 0
    bytes_downloaded: int = 0
    bytes_archived: int = 0
    api_calls: ApiCalls = field(default_factory=ApiCalls)
    expired: int = 0
    deletion: Deletion = Deletion()
    failures: list[Failure] = field(default_factory=list)
    listed: tuple[Listed, ...] = ()
    extras_asked: int = 0  # videos of which everything was had
    extras_missing: int = 0  # archived videos of which something is still to be had
    unlisted: int = 0  # archived videos that the vendor no longer lists
    message: str = ""  # why it stopped or was refused, in one sentence; "" where all is said

    @property
    def is_good(self) -> bool:
        """Nobody has to do anything: all is done, or the next night goes on by itself."""
        return self.exit_code in (0, 5)

    def as_json(self) -> dict[str, Any]:
        """The object of ``run --json`` and ``--report``."""
        calls = self.api_calls
        said = {"message": self.message} if self.message else {}
        return {
            "schema": SCHEMA, "outcome": self.outcome, "exit_code": self.exit_code,
            "started_at": iso(self.started_at), "seconds": round(self.seconds, 3),
            "videos": {
                "selected": self.selected, "already_archived": self.already_archived,
                "archived": self.archived, "skipped": self.skipped, "parked": self.parked,
                "gone": self.gone, "remaining": self.remaining,
            },
            "bytes": {"downloaded": self.bytes_downloaded, "archived": self.bytes_archived},
            "api_calls": {
                "token": calls.token, "list": calls.list, "request": calls.request,
                "poll": calls.poll, "extras": calls.extras,
            },
            "extras": {"asked": self.extras_asked, "missing": self.extras_missing},
            "expired": self.expired, "deletion": self.deletion.as_json(),
            "failures": [failure.as_json() for failure in self.failures],
            "listed": [each.as_json() for each in self.listed], "unlisted": self.unlisted,
            **said,
        }  # fmt: skip
