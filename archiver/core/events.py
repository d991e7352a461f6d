"""What can happen to a wanted file: facts in the past tense.

They say what was seen, never what to do next; what a job becomes by one is ``core.lifecycle``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from archiver.core.model import NOW, Holding, Instant, Link, Saved


class IllegalTransitionError(Exception):
    """An event arrived in a state that has no arrow for it: a bug, never the network's fault."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A POST is about to be sent: the intent, recorded first."""

    at: Instant


@dataclass(frozen=True, slots=True)
class Pending:
    """Not to be had yet, for ``reason``; ``is_made``: the vendor says it is, and not where."""

    at: Instant
    due_at: Instant
    reason: str = ""
    is_made: bool = False


@dataclass(frozen=True, slots=True)
class Available:
    """The vendor gave an address; one that was refused before has to wait, for ``reason``."""

    at: Instant
    link: Link
    due_at: Instant = NOW
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The vendor has no file and makes none.  Not ``counted``: because the POST was never sent."""

    at: Instant
    due_at: Instant
    reason: str
    counted: bool = True


@dataclass(frozen=True, slots=True)
class NotFound:
    """404 to a POST: the vendor does not know the video."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """More bytes are in the part file, synced."""

    saved: Saved


@dataclass(frozen=True, slots=True)
class Delayed:
    """The step failed in a way that counts; try again at ``due_at``."""

    at: Instant
    reason: str
    due_at: Instant
    saved: Saved | None = None


@dataclass(frozen=True, slots=True)
class Hindered:
    """Weather: the step could not be done, and it is not this file's fault."""

    reason: str
    due_at: Instant
    saved: Saved | None = None


@dataclass(frozen=True, slots=True)
class LinkRefused:
    """The download host refused the address before its time; saved bytes stay."""

    at: Instant
    reason: str
    due_at: Instant
    saved: Saved | None = None


@dataclass(frozen=True, slots=True)
class RanOut:
    """The version expired before it was fetched; saved bytes stay."""

    at: Instant
    due_at: Instant = NOW


@dataclass(frozen=True, slots=True)
class Fetched:
    """Every byte is in the part file, checked and synced.

    ``flaw``: what is wrong with the container, though it came twice the same: there is no other.
    """

    saved: Saved
    sha256: str
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Corrupt:
    """The bytes are not the file; the next fetch starts again from byte 0.

    ``sha256`` of what was refused: if the next fetch brings the same, it is what there is.
    """

    at: Instant
    reason: str
    due_at: Instant
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """The files stand under their final names, synced.  The first holding is the job's own."""

    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class Superseded:
    """The vendor has other bytes than the damaged ones: these holdings, the next version's."""

    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The files stand in the archive already, as in ``Stored``."""

    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class Damaged:
    """A stored file is not what it was.  ``aside``: what its copy is called among the damaged."""

    reason: str
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Every extra of a video was had, or is not there.  ``due_at``: the next age to look at."""

    at: Instant
    due_at: Instant


@dataclass(frozen=True, slots=True)
class Lacking:
    """Some extras of a video are missing.

    ``failed``: somebody is to blame for it; not the weather, nor a caption that is being made.
    ``due_at`` is NOW where it is for another night, else when this one may bring them.
    """

    at: Instant
    due_at: Instant
    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Renewed:
    """The extras of a video are asked for anew: what was answered before ``at`` is old."""

    at: Instant
    reason: str


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A person has to look."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Our rules leave this video out for now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reopened:
    """A person or a new run asked again, or the vendor shows the video again."""

    reason: str


Event: TypeAlias = (
    Asked | Pending | Available | Unavailable | NotFound | Progressed | Delayed | Hindered
    | LinkRefused | RanOut | Fetched | Corrupt | Stored | Superseded | Found | Damaged | Gathered
    | Lacking | Renewed | GaveUp | Skipped | Reopened
)  # fmt: skip
