"""What must hold after every event of a job, in whatever world it happens."""

from __future__ import annotations

from archiver.core import events
from archiver.core.events import Event
from archiver.core.model import NEVER, NOTHING, NOW, Job, JobState

S = JobState
MAY_BECOME = {  # said once more, in other words than the table's own
    S.DISCOVERED: {S.DISCOVERED, S.REQUESTED, S.AVAILABLE, S.GONE, S.PARKED},
    S.REQUESTED: {S.REQUESTED, S.AVAILABLE, S.DISCOVERED, S.GONE, S.PARKED},
    S.AVAILABLE: {S.AVAILABLE, S.FETCHED, S.REQUESTED, S.DISCOVERED, S.PARKED},
    S.FETCHED: {S.FETCHED, S.ARCHIVED, S.DISCOVERED, S.PARKED},
}


def unlawful(before: Job, event: Event, after: Job) -> str:
    """What is wrong with this step of a job's life; "" where nothing is."""
    if after.state not in MAY_BECOME.get(before.state, ()):
        return f"{before.key}: {before.state} became {after.state}"
    lost = after.saved.bytes < before.saved.bytes
    if lost and not (isinstance(event, events.Corrupt) or after.saved == NOTHING):
        return f"{before.key}: saved bytes were lost without a reason"
    if after.state in (S.PARKED, S.GONE) and not after.reason:
        return f"{before.key} is {after.state} without a reason"
    if after.state is S.ARCHIVED and (after.path is None or after.link is not None):
        return f"{before.key} is archived without a path, or keeps its address"
    if not after.state.is_final and after.due_at == NEVER:
        return f"{before.key} waits for ever in state {after.state}"
    if isinstance(event, events.Asked) and before.asked_at is not None:
        return f"{before.key} was asked for twice without an answer in between"
    return "" if is_explained(event, after) else f"{before.key} has to wait, and nobody knows why"


def is_explained(event: Event, after: Job) -> bool:
    """What made a job wait has left a reason, unless it only waits for a file to be made.

    A quarter of an hour without a word looks like a program that hangs.
    """
    is_usual = isinstance(event, events.Pending | events.Gathered)
    waits = getattr(event, "due_at", NOW) != NOW
    return is_usual or not waits or after.reason != ""
