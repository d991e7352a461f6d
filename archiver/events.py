"""What a run tells a program while it goes on: typed events, each a fact in the past tense.

Rule: two kinds of change and no more.  The state of what is wanted changed (``Moved``, or
``Archived`` where a video was added), or a step failed and the state stayed (``Postponed``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from archiver.core import events
from archiver.core.model import Holding, Instant, Job, JobKey, JobState
from archiver.core.weather import Trouble

__all__ = [
    "Archived", "Downloading", "Holding", "Instant", "JobKey", "JobState", "Moved", "Note",
    "Postponed", "Received", "RunEvent", "Selected", "Trouble",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Note:
    """Something about the run as a whole, in a sentence; a ``warning`` is for a person to read."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Selected:
    """How many videos are selected, by state; told while the listing grows and at its end.

    ``bytes_wanted``: of what is not archived yet, as far as known; None before the end.
    """

    states: Mapping[JobState, int]
    bytes_wanted: int | None = None


@dataclass(frozen=True, slots=True)
class Downloading:
    """A download began, or goes on after ``bytes_saved``; ``bytes_expected`` may be unknown."""

    key: JobKey
    title: str
    bytes_saved: int
    bytes_expected: int | None


@dataclass(frozen=True, slots=True)
class Received:
    """``bytes`` more of a file came over the line since this was last told."""

    key: JobKey
    bytes: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A file's state changed; ``reason`` is empty where nothing has to be explained."""

    key: JobKey
    before: JobState
    after: JobState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Archived:
    """A video and its sidecar stand in the archive, synced and recorded; the video comes first."""

    key: JobKey
    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class Postponed:
    """A step failed, or could not be done; it is tried again from ``due_at`` on.

    ``failures`` counts in a row what is the file's own fault; an outage is not.
    """

    key: JobKey
    state: JobState
    reason: str
    due_at: Instant
    failures: int


RunEvent: TypeAlias = Note | Selected | Downloading | Received | Moved | Archived | Postponed


def told(before: Job, event: events.Event, after: Job) -> RunEvent | None:
    """What to tell of a fact that was recorded; None where nothing changed that is worth it."""
    key = after.key
    if isinstance(event, events.Stored | events.Superseded):
        return Archived(key, event.holdings)
    if after.state is not before.state:
        return Moved(key, before.state, after.state, after.reason)
    if after.reason:
        return Postponed(key, after.state, after.reason, after.due_at, after.failures)
    return None
