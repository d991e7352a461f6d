"""The life of one wanted file: what can happen to it, and what it becomes.

Rule 1: every change of ``JobState`` happens in ``apply`` and nowhere else.
Rule 2: events are facts in the past tense; they say what was seen, never what to do next.
Rule 3: no event touches a holding: what stands in the archive is never changed by a job.
``TRANSITIONS`` is the whole automaton of a file; ``docs/lifecycle.mmd`` is drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import assert_never

from archiver.core.events import (
    Asked,
    Available,
    Corrupt,
    Damaged,
    Delayed,
    Event,
    Fetched,
    Found,
    Gathered,
    GaveUp,
    Hindered,
    IllegalTransitionError,
    Lacking,
    LinkRefused,
    NotFound,
    Pending,
    Progressed,
    RanOut,
    Renewed,
    Reopened,
    Skipped,
    Stored,
    Superseded,
    Unavailable,
)
from archiver.core.model import (
    EXTRAS,
    NEVER,
    NOTHING,
    NOW,
    Instant,
    Job,
    JobState,
    Saved,
    changed,
)
from archiver.met import met

S = JobState
_ANSWERS: Mapping[type, JobState] = {
    Pending: S.REQUESTED, Available: S.AVAILABLE, Unavailable: S.DISCOVERED, NotFound: S.GONE,
    GaveUp: S.PARKED, Found: S.ARCHIVED,
}  # fmt: skip
TRANSITIONS: Mapping[JobState, Mapping[type, JobState]] = {
    S.DISCOVERED: {
        **_ANSWERS, Asked: S.DISCOVERED, Skipped: S.SKIPPED,
        Delayed: S.DISCOVERED, Hindered: S.DISCOVERED,
    },
    S.REQUESTED: {**_ANSWERS, RanOut: S.DISCOVERED, Delayed: S.REQUESTED, Hindered: S.REQUESTED},
    S.AVAILABLE: {
        Progressed: S.AVAILABLE, Fetched: S.FETCHED, Corrupt: S.AVAILABLE,
        LinkRefused: S.REQUESTED, RanOut: S.DISCOVERED,
        Delayed: S.AVAILABLE, Hindered: S.AVAILABLE, GaveUp: S.PARKED, Found: S.ARCHIVED,
    },
    S.FETCHED: {
        Stored: S.ARCHIVED, Superseded: S.GONE, Corrupt: S.DISCOVERED,
        Delayed: S.FETCHED, Hindered: S.FETCHED, GaveUp: S.PARKED, Found: S.ARCHIVED,
    },
    S.ARCHIVED: {Damaged: S.DISCOVERED},
    **{key: {Reopened: S.DISCOVERED, Found: S.ARCHIVED} for key in (S.SKIPPED, S.GONE, S.PARKED)},
}  # fmt: skip
# The extras of a video: asked for in rounds (``core.rounds``), as long as something is missing.
ROUNDS: Mapping[JobState, Mapping[type, JobState]] = {
    S.DISCOVERED: {
        Gathered: S.ARCHIVED, Lacking: S.DISCOVERED, Renewed: S.DISCOVERED, GaveUp: S.PARKED,
    },
    **{key: {Renewed: S.DISCOVERED} for key in (S.ARCHIVED, S.PARKED)},
}  # fmt: skip


def apply(job: Job, event: Event) -> Job:
    """Return the job as it stands after *event*.

    Pure: same job and event, same answer.

    Raises:
        IllegalTransitionError: the table has no arrow from ``job.state`` for this event.
    """
    table = ROUNDS if job.key.kind == EXTRAS else TRANSITIONS
    state = table.get(job.state, {}).get(type(event))
    if state is None:
        raise IllegalTransitionError(f"{job.key}: {type(event).__name__} in state {job.state}")
    due_at = NEVER if state.is_final else NOW
    become = partial(changed, job, state=state, due_at=due_at, reason="")  # one copy where it can
    match event:
        case Asked(at):
            return become(asked_at=at, due_at=job.due_at, fresh_at=None)
        case Pending(at, due_at, reason, is_made):
            polls = job.polls + 1 if job.state is S.REQUESTED else 0
            asked_at = job.asked_at and min(job.asked_at, at)  # later: a clock that was wrong
            pending_at = job.pending_at if is_made else at
            return become(
                asked_at=asked_at, pending_at=pending_at, due_at=due_at, polls=polls, reason=reason
            )
        case Available(at, link, due_at, reason):
            return become(available_at=at, link=link, due_at=due_at, reason=reason)
        case Unavailable(at, due_at, reason, counted):
            ran_out = job.state is S.REQUESTED and job.link
            lost = _without_version(become(), due_at, ran_out=ran_out)
            return _failed(lost, at, reason) if counted else changed(lost, reason=reason)
        case RanOut(at, due_at):
            return _failed(_without_version(become(), due_at, ran_out=True), at, "it ran out")
        case Progressed(saved):
            return become(**_saved(job, saved))
        case Delayed(at, reason, due_at, saved) | LinkRefused(at, reason, due_at, saved):
            return _failed(become(due_at=due_at, **_saved(job, saved)), at, reason)
        case Hindered(reason, due_at, saved):
            return become(due_at=due_at, reason=reason, **_saved(job, saved))
        case Fetched(saved, sha256, flaw):
            return become(sha256=sha256, reason=flaw, **_saved(job, saved))
        case Corrupt(at, reason, due_at, sha256):
            clean = become(due_at=due_at, saved=NOTHING, sha256=sha256)
            if state is S.DISCOVERED:  # the part was lost after the fetch: ask before posting
                clean = changed(clean, link=None, pending_at=None)
            return _failed(clean, at, reason)
        case Stored(holdings) | Found(holdings):
            # The signed address is a secret: it goes as soon as it is not needed.
            met("S03")
            return become(path=holdings[0].path, link=None, failures=0, failing_since=None)
        case Superseded(holdings):
            why = f"damaged; the vendor has other bytes now: version {holdings[0].version}"
            return become(reason=why, path=None, link=None)
        case Damaged(reason, aside):
            lost = become(reason=reason, path=aside or None, saved=NOTHING, most_bytes=0)
            return _without_version(lost, NOW)
        case Gathered() | Lacking() | Renewed():
            return _of_extras(become(), event)
        case GaveUp(reason) | Skipped(reason):
            return become(reason=reason, link=None)
        case NotFound():
            return become(reason="the vendor does not know the video (404)", link=None)
        case Reopened(reason):
            fresh = become(reason=reason, link=None, failures=0, failing_since=None)
            return fresh if job.state is S.PARKED else _without_version(fresh, NOW)
        case _:
            assert_never(event)


def _of_extras(after: Job, event: Gathered | Lacking | Renewed) -> Job:
    if isinstance(event, Lacking):
        lacking = changed(after, due_at=event.due_at, reason=event.reason)
        return _failed(lacking, event.at, event.reason) if event.failed else lacking
    after = changed(after, failures=0, failing_since=None)
    if isinstance(event, Gathered):
        return changed(after, due_at=event.due_at)
    fresh = changed(after, due_at=NOW, reason=event.reason, available_at=event.at)
    return changed(fresh, pending_at=after.pending_at or event.at)


def _saved(job: Job, saved: Saved | None) -> dict[str, object]:
    """What changes with what is saved.  New bytes are progress: a slow line must never give up.

    Bytes that were there before and were thrown away are not new: a file that is bad each time
    must run out of retries.
    """
    if saved is None:
        return {}
    if saved.bytes > job.most_bytes:
        return {
            "saved": saved, "most_bytes": saved.bytes, "failures": 0, "failing_since": None,
        }  # fmt: skip
    return {"saved": saved}


def _without_version(job: Job, due_at: Instant, *, ran_out: object = False) -> Job:
    """The vendor has no version any more: nothing was asked, nothing is available."""
    return changed(
        job, due_at=due_at, asked_at=None, pending_at=None, available_at=None, link=None, polls=0,
        ran_out=job.ran_out + bool(ran_out),
    )  # fmt: skip


def _failed(job: Job, at: Instant, reason: str) -> Job:
    since = at if job.failing_since is None else job.failing_since
    return changed(job, reason=reason, failures=job.failures + 1, failing_since=since)
