"""The words of a plan: the steps there are, the numbers they obey, what they may spend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from archiver.core.model import DAY_S, NEVER, Instant, JobKey


@dataclass(frozen=True, slots=True)
class Request:
    """POST: ask the vendor to prepare the file."""

    key: JobKey


@dataclass(frozen=True, slots=True)
class Poll:
    """GET: ask how the file is doing."""

    key: JobKey


@dataclass(frozen=True, slots=True)
class Fetch:
    """Download, from what is saved on."""

    key: JobKey


@dataclass(frozen=True, slots=True)
class Publish:
    """Give the checked bytes their final name."""

    key: JobKey


@dataclass(frozen=True, slots=True)
class Gather:
    """Ask for the extras of a video: a few small calls, one after the other."""

    key: JobKey


@dataclass(frozen=True, slots=True)
class Expire:
    """The version's time is over: no I/O."""

    key: JobKey


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Park the job for a person; no I/O."""

    key: JobKey
    reason: str


Step: TypeAlias = Request | Poll | Fetch | Publish | Gather | Expire | GiveUp


@dataclass(frozen=True, slots=True)
class Policy:
    """Every number the scheduler obeys.  Units in the names; the reasons beside them."""

    poll_first_s: float = 1.0  # with nothing learnt: short files take seconds
    poll_factor: float = 1.6
    poll_most_s: float = 300.0  # a slow file costs one call in five minutes
    pending_most_s: float = 2 * DAY_S  # then a person hears of it; each run asks once more
    addressless_most: int = 5  # polls that say "available" without an address: ask again
    retry_first_s: float = 1.0
    retry_most_s: float = 600.0
    failures_most: int = 12  # and a day since the first: then a person has to look
    failing_least_s: float = DAY_S
    strikes_most: int = 5  # in a row within one run: left for the next
    gather_calls: int = 9  # what the extras of a video take, most of the time
    call_soon_s: float = 5.0  # a call that is free so soon is worth waiting for
    held_most: int = 1000  # fetched files that wait for what belongs into their sidecars: minutes
    longest_wait_s: float = 26 * 3600.0  # a due time further off was set by a wrong clock
    margin_most_s: float = 60.0  # an address this close to its end counts as dead
    margin_share: float = 0.05  # or this share of the window, whichever is less


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent right now.

    ``bytes_most`` and ``files_most`` bound what is outstanding: asked for and not yet saved.
    ``rate_bytes_s`` is the line's, None while unknown; ``closed`` maps a download host under bad
    weather to the moment of its next probe.  ``ends_at`` is the run's own time limit, and
    ``next_run_at`` when another one may be expected to go on.  ``line_is_idle``: nothing is being
    downloaded, so that nobody knows how fast the line is now.  ``gathers``: how many extras may be
    begun; ``calls_left``: of the period, as far as the vendor says.
    """

    calls: int
    more_at: Instant
    polls: int
    fetches: int
    files_most: int
    bytes_most: float
    disk_bytes: float
    typical_bytes: int
    window_s: float = DAY_S
    rate_bytes_s: float | None = None
    generation_s: float = 0.0
    closed: Mapping[str, Instant] = field(default_factory=dict)
    ends_at: Instant = NEVER
    next_run_at: Instant = NEVER
    line_is_idle: bool = False
    gathers: int = 0
    calls_left: float = float("inf")


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps to start now, most urgent first, and the moment to plan again if nothing happens.

    ``gives_way``: videos need the calls, and extras that are being asked for stop.
    """

    steps: tuple[Step, ...]
    wake_at: Instant
    short_of_disk: bool = False
    gives_way: bool = False
