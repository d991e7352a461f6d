"""The statement of completeness: what the vendor listed, what is archived, what is not, and why.

Rule: it claims no more than was seen: what a broken listing missed is said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archiver.core.model import VideoId
from archiver.core.naming import display
from archiver.core.summary import Failure, Listed, Summary, iso

_AT = re.compile(r"^Run: +(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", re.MULTILINE)
NAMED_MOST = 10_000  # videos of one kind that are named; more are counted


@dataclass(frozen=True, slots=True)
class Stays:
    """An archived video that the vendor no longer lists."""

    video: VideoId
    title: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What one run can say of completeness.

    Attributes:
        selected_by: the options that chose among what was listed, as a person would write them.
        left: selected videos that are not archived, up to NAMED_MOST.
        stays: archived ones that the vendor no longer lists, up to NAMED_MOST.
        stays_count: how many there are.
        is_listed: the listing came to its end.
    """

    archive_id: str
    program: str
    summary: Summary
    asked_for: Sequence[str]
    listed: Sequence[Listed]
    left: Sequence[Failure]
    stays: Sequence[Stays] = ()
    stays_count: int = 0
    selected_by: str = ""
    is_listed: bool = True


def statement(of: Statement) -> str:
    """The text of ``completeness.txt``."""
    return "\n".join(line.rstrip() for line in _lines(of)) + "\n"


def is_later(one: str, other: str) -> bool:
    """Both are statements of an archive's runs, and *one* is of the run that began later."""
    at, than = _AT.search(one), _AT.search(other)
    return at is not None and than is not None and at[1] > than[1]


def _lines(of: Statement) -> Iterator[str]:
    run = of.summary
    archived = run.already_archived + run.archived
    yield "Statement of completeness"
    yield ""
    yield f"Archive:   {of.archive_id}"
    yield f"Program:   {of.program}"
    yield f"Run:       {iso(run.started_at)}, {run.seconds:.0f} s, {run.outcome}"
    yield f"Asked for: {', '.join(display(each) for each in of.asked_for)}"
    if of.selected_by:
        yield f"Selected:  {display(of.selected_by)}"
    yield ""
    yield from (f"{display(e.source)}: {e.videos} listed ({e.reading})" for e in of.listed)
    if not of.is_listed:
        yield "The listing did not come to its end: what else there is at the vendor is not known."
    yield f"{run.selected} selected, {archived} archived, {run.selected - archived} not."
    if run.message:
        yield display(run.message)
    yield from _named(
        f"{run.selected - archived} not archived, because",
        [f"{each.video:>12}  {each.state:<10}  {_why(each)}" for each in of.left],
        run.selected - archived,
    )
    yield from _named(
        f"{of.stays_count} archived, and no longer listed by the vendor: they stay",
        [f"{each.video:>12}  {display(each.title)}" for each in of.stays],
        of.stays_count,
    )


def _named(head: str, named: Sequence[str], count: int) -> Iterator[str]:
    if not count and not named:
        return
    yield ""
    yield f"{head}:"
    yield from named
    if count > len(named):
        yield f"{'':>12}  and {count - len(named)} more"


def _why(failure: Failure) -> str:
    return f"{display(failure.title)}: {display(failure.reason)}"
