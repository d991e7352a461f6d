"""What a run, or the plan of one, is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from archiver.core.bag import NO_NEWS, Contact
from archiver.core.model import Format
from archiver.core.selection import ALL, AccountSource, Filter, Source
from archiver.core.timetable import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is asked to do.  Durations in seconds, rates in bytes a second."""

    sources: tuple[Source, ...] = (AccountSource(),)
    filter: Filter = ALL
    variant: Format = "mp4"
    downloads: int = 8
    requests: int = 8
    limit_rate: Rate = None
    max_duration_s: float | None = None
    max_wait_s: float = 6 * 3600.0
    accept_shrunk: bool = False
    full_listing: bool = False  # read to the end, though the newest pages would do
    accept_replaced: bool = False  # although more than a tenth of the archive looks replaced
    contact: Contact = NO_NEWS  # whose archive it is
    extras: bool = True  # and what belongs to a video beside its file
    extras_calls: int | None = None  # calls for them a run; None: no limit
    refresh: bool = False  # ask for the extras of all selected videos again
    name: str | None = None  # how videos are called, where the archive is made
