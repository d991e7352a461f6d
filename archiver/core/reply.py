"""What the vendor's answer about a version means for its job: one answer in, one event out.

Rule 1: the last answer counts, whatever an earlier one said.
Rule 2: an answer that leads nowhere is a failure of the job, counted and followed by a pause; one
        that only says "not yet" is none, until it has been said for two days.
"""

from __future__ import annotations

from dataclasses import replace

from archiver.core import events, schedule, sharing
from archiver.core.events import Event
from archiver.core.learning import Learnt
from archiver.core.model import NEVER, Downloadable, Instant, Job, JobState, Link, Readiness
from archiver.core.steps import Policy
from archiver.met import met

_REFUSED_MOST = 3  # the same address again and again: ask for a new version


def heard(
    job: Job, answer: Downloadable, now: Instant, learnt: Learnt, policy: Policy, *, posted: bool
) -> Event:
    """The event that *answer* makes of *job*.

    Args:
        learnt: takes in what the answer shows of the vendor's habits.
        posted: it is the answer to a POST, not to a poll.
    """
    if not posted and job.polls == 0 and job.state is JobState.REQUESTED and job.link is None:
        _first_look(job, answer, now, learnt)
    match answer.status:
        case Readiness.PENDING:
            return _pending(job, answer.said, now, learnt, policy, posted=posted)
        case Readiness.AVAILABLE if answer.link is not None:
            return _available(job, answer.link, now, learnt, policy)
        case _ if posted:
            met("A24")
            return unavailable(job, "the vendor does not prepare the file", now, policy)
        case _ if job.state is JobState.DISCOVERED:
            # Recorded and never sent: nothing went wrong.  Sent and answered with an error,
            # though the vendor is well: it may be this video, and must not go on for ever.
            if job.reason:
                return unavailable(job, job.reason, now, policy)
            return events.Unavailable(now, now, "not asked for yet", counted=False)
        case _:
            if job.link is not None:  # it was there, and is no more
                learnt.late()
            return unavailable(job, "the vendor no longer prepares the file", now, policy)


def _first_look(job: Job, answer: Downloadable, now: Instant, learnt: Learnt) -> None:
    if job.asked_at is not None and answer.status is not Readiness.UNAVAILABLE:
        learnt.looked(now - job.asked_at, found=answer.status is Readiness.AVAILABLE)


def unavailable(job: Job, reason: str, now: Instant, policy: Policy) -> Event:
    """There is no version: it is asked for (again) after a pause."""
    return events.Unavailable(now, schedule.retry_at(job, now, policy), reason)


def _pending(
    job: Job, said: str, now: Instant, learnt: Learnt, policy: Policy, *, posted: bool
) -> Event:
    if job.link is not None:
        met("A26")
    if said == Readiness.AVAILABLE:
        met("A23")
        if job.polls >= policy.addressless_most:
            return unavailable(job, "available, but without a usable address", now, policy)
    elif said:
        met("A22")
    if job.asked_at is not None and now - job.asked_at >= policy.pending_most_s:
        met("A25")
        return events.GaveUp(f"not made by the vendor in {policy.pending_most_s / 3600:.0f} hours")
    asked = job if posted else replace(job, polls=job.polls + 1)
    poll_at = schedule.poll_at(asked, now, learnt.generation_s, learnt.window_s, policy)
    reason = f"the vendor says {said!r}" if said else ""
    return events.Pending(now, poll_at, reason, is_made=said == Readiness.AVAILABLE)


def _available(job: Job, link: Link, now: Instant, learnt: Learnt, policy: Policy) -> Event:
    margin_s = sharing.margin_s(link.expires_at, job.asked_at, learnt.window_s, policy)
    if link.expires_at - now <= margin_s:
        met("A20")
        return unavailable(job, "the vendor offers a version that has run out", now, policy)
    if link.expires_at == NEVER:
        met("A21")
    if job.state is JobState.REQUESTED and link == job.link:
        # The download host refused this very address: perhaps it will not, a little later.
        reason = job.reason or "the address is refused"
        if job.failures >= _REFUSED_MOST:
            return unavailable(job, reason, now, policy)
        return events.Available(now, link, schedule.retry_at(job, now, policy), reason)
    if job.link is not None:
        met("A28")
    learnt.first_seen(job, link, now)
    return events.Available(now, link)
