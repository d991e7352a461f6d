"""The nouns of the archive: immutable values, no behaviour beyond their own arithmetic.

Units are in the names: ``*_at`` is an Instant (Unix seconds, UTC, by the server's clock), ``*_s``
a duration in seconds, ``*_bytes`` a size.  Nothing here knows a clock, a socket or a disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, NewType, TypeAlias

Instant = NewType("Instant", float)
VideoId = NewType("VideoId", int)
ChannelId = NewType("ChannelId", int)
Format = Literal["mp4", "flv"]

EXTRAS = "extras"  # kind and variant of the job for all that belongs to a video beside its file
NEVER = Instant(float("inf"))
NOW = Instant(0.0)  # as a due time: at once
DAY_S = 86_400.0  # also the window to assume where the vendor does not say: the specification's


class JobState(StrEnum):
    """Where one wanted file stands: a fact that survives a crash.

    What a worker is doing about it (requesting, downloading, verifying) is no state: it is a
    lease, and a crash ends it.  ``due_at`` says when to act next.
    """

    DISCOVERED = "discovered"  # listed; the vendor is not preparing a file that we know of
    REQUESTED = "requested"  # asked; the vendor is preparing the file
    AVAILABLE = "available"  # an address exists and its expiry is running
    FETCHED = "fetched"  # every byte is in the part file, checked and synced; not yet published
    ARCHIVED = "archived"  # published under its final name, recorded
    SKIPPED = "skipped"  # left out for now: a recording that is still running
    GONE = "gone"  # the vendor no longer has it, and we never got it
    PARKED = "parked"  # given up with a reason, until `retry` or the next run

    @property
    def is_final(self) -> bool:
        """Nothing more happens to the file in this run."""
        return self in FINAL


FINAL = frozenset({JobState.ARCHIVED, JobState.SKIPPED, JobState.GONE, JobState.PARKED})


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel, as the listing gives it; ``raw`` is the JSON object as received."""

    id: ChannelId
    title: str
    raw: str = "{}"


@dataclass(frozen=True, slots=True)
class Video:
    """A video, as a listing or its own page describes it.

    ``size_bytes`` and ``length_s`` are what the vendor says: advice, and the only sign that a
    video was replaced.  ``created_at`` can be edited by the owner, ``added_at`` cannot.
    """

    id: VideoId
    title: str
    channel_id: ChannelId | None = None
    channel_title: str | None = None
    created_at: Instant | None = None
    added_at: Instant | None = None
    size_bytes: int | None = None
    length_s: float | None = None
    protect: str = ""
    recording: bool = False  # listed with an explicit length of nothing: still running
    raw: str = "{}"


class JobKey(NamedTuple):
    """One wanted file: of a video, of a kind, in a variant (format or language), in a version."""

    video_id: VideoId
    kind: str = "video"
    variant: str = "mp4"
    version: int = 1

    def __str__(self) -> str:
        return f"{self.video_id}.{self.variant}.v{self.version}"


@dataclass(frozen=True, slots=True)
class Link:
    """A temporary download address.  ``expires_at`` is NEVER where the vendor does not say."""

    url: str = field(repr=False)  # the query is a signature: never printed
    expires_at: Instant = NEVER


class Readiness(StrEnum):
    """The vendor's word for a downloadable version."""

    AVAILABLE = "available"
    PENDING = "pending"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Downloadable:
    """An answer about a downloadable version; ``link`` is there exactly when it is available.

    ``said`` is the vendor's own word where it is not one that we know, or no use as it came:
    "available" without a usable address.  The status is PENDING then.
    """

    status: Readiness
    link: Link | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """What is durably in the part file, and how to recognise its continuation.

    ``source`` is a fingerprint of the address the bytes came from: bytes of two addresses may be
    joined only under the rules of ``core.resume``.  ``joined`` says that it was done.

    ``measured``: nobody announced the length; the total is only where the body ended.
    """

    bytes: int = 0
    total: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    source: str = ""
    joined: bool = False
    measured: bool = False


NOTHING = Saved()


@dataclass(frozen=True, slots=True)
class Job:
    """The durable row: all that a scheduler, or a restart, needs to know about one wanted file.

    ``asked_at`` is the intent of a POST, committed before it is sent.  ``expected_bytes`` and
    ``expected_s`` are what the listing said when the version was asked for; a listing that says
    otherwise later means that the video was replaced.  ``failures`` counts in a row and is
    cleared by new bytes or by a person, never by mere movement.
    """

    key: JobKey
    state: JobState = JobState.DISCOVERED
    due_at: Instant = NOW
    asked_at: Instant | None = None
    pending_at: Instant | None = None  # the last answer that meant "not made yet"
    available_at: Instant | None = None
    link: Link | None = None
    saved: Saved = NOTHING
    most_bytes: int = 0  # that were ever saved: only beyond them is there progress
    expected_bytes: int | None = None
    expected_s: float | None = None
    sha256: str | None = None
    path: str | None = None
    polls: int = 0
    failures: int = 0
    failing_since: Instant | None = None
    ran_out: int = 0
    delete_at: Instant = NEVER  # when the vendor deletes the video itself
    reason: str = ""
    fresh_at: Instant | None = None  # when it was listed, so young that it may still be recorded

    @property
    def size_bytes(self) -> int | None:
        """How large the file is, as far as anybody has said; None where nobody has."""
        return self.saved.total if self.saved.total is not None else self.expected_bytes


JOB_FIELDS: Final = tuple(each.name for each in fields(Job))
every_field: Final = attrgetter(*JOB_FIELDS)
# A job that can still be written to.  Python makes a frozen one field by field, through a call
# each, and ``dataclasses.replace`` asks for the fields every time: ten and five times as slow.
_Draft: Final[Any] = make_dataclass("_Draft", JOB_FIELDS, slots=True)


def job_with(*values: object) -> Job:
    """The job that has *values*, in the order of ``JOB_FIELDS``."""
    job = _Draft(*values)
    job.__class__ = Job
    return job  # type: ignore[no-any-return]


def changed(job: Job, **values: object) -> Job:
    """A job like *job*, but for *values*: ``dataclasses.replace``, as often as a row is written.

    Raises:
        AttributeError: a job has no such field.
    """
    draft = _Draft(*every_field(job))
    for name, value in values.items():
        setattr(draft, name, value)
    draft.__class__ = Job
    return draft  # type: ignore[no-any-return]


Text: TypeAlias = bytes
DESCRIPTIONS = frozenset({"info", "details", "channel"})  # kinds of files that we write ourselves


@dataclass(frozen=True, slots=True)
class Holding:
    """One payload file that stands in the archive: published, synced, never changed again.

    ``text`` goes into the ledger with the record, for a description: nobody could give it again.
    """

    video_id: VideoId
    kind: str  # video, info, thumbnail, caption, chat
    variant: str
    version: int
    path: str  # below DEST, with forward slashes
    bytes: int
    sha256: str
    stored_at: Instant
    provenance: str = "{}"  # JSON: what else is known of how it came
    text: Text = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where a video's files belong: ``folder`` below DEST, ``stem`` of every name in it.

    Chosen once, when the video is first listed, by ``core.naming``, and kept in the ledger.
    ``stored`` is what the archive holds, or ought to hold, of the video itself: each version.
    ``answers`` are what else the vendor said of it, by name, as JSON (``core.extras``).
    """

    video: Video
    folder: str
    stem: str
    stored: tuple[Holding, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)

    def recorded(self, key: JobKey) -> Holding | None:
        """The file that *key* once became."""
        own = key.variant, key.version
        return next((held for held in self.stored if (held.variant, held.version) == own), None)
