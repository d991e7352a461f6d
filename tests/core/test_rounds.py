"""Rounds of extras: when one begins, what ends it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archiver.core import rounds
from archiver.core.events import Gathered, GaveUp, IllegalTransitionError, Lacking, Pending, Renewed
from archiver.core.lifecycle import apply
from archiver.core.model import NEVER, NOW, Instant, Job, JobState, VideoId

T0 = Instant(1_000_000.0)
DAY = 86_400.0


def first() -> Job:
    return rounds.first_round(VideoId(7), 2, T0)


def at(days: float) -> Instant:
    return Instant(T0 + days * DAY)


def test_a_first_round_is_due_at_once() -> None:
    """Each version of a video has its own extras."""
    job = first()
    assert (job.state, job.due_at, job.key.version) == (JobState.DISCOVERED, NOW, 2)
    assert rounds.first_at(job) == rounds.round_at(job) == T0


def test_rounds_come_at_their_ages_and_then_no_more() -> None:
    """One, three, seven and thirty days: once each, though nights do not begin to the minute."""
    job, begun = first(), []
    for night in range(60):
        now = at(night + 0.01)
        event = rounds.renewal(job, now, refresh=False)
        if event is not None:
            begun.append(night)
            job = apply(job, event)
        if job.state is JobState.DISCOVERED:
            job = apply(job, Gathered(now, rounds.next_at(job, rounds.round_at(job))))
    assert begun == [1, 3, 7, 30]
    assert job.due_at == NEVER


def test_the_next_round_is_known_when_one_ends() -> None:
    """So that a ledger of a million need not be looked through."""
    job = apply(first(), Gathered(T0, rounds.next_at(first(), T0)))
    assert job.state is JobState.ARCHIVED
    assert at(0.5) < job.due_at <= at(1)
    assert rounds.renewal(job, Instant(job.due_at - 1), refresh=False) is None
    assert rounds.renewal(job, job.due_at, refresh=False) is not None


def test_what_is_missing_is_due_again_and_a_new_age_begins_a_new_round() -> None:
    """Else what was answered on the first night would stay for ever beside a late caption."""
    job = apply(first(), Lacking(at(0), NOW, "a caption is being made"))
    assert (job.state, job.due_at, job.failures) == (JobState.DISCOVERED, NOW, 0)
    assert rounds.renewal(job, at(0.5), refresh=False) is None
    event = rounds.renewal(job, at(1), refresh=False)
    assert event is not None
    renewed = apply(job, event)
    assert rounds.round_at(renewed) == at(1)
    assert rounds.first_at(renewed) == T0


def test_a_failure_counts_and_success_forgets_it() -> None:
    """Twelve nights of them are enough (``core.schedule``)."""
    job = apply(first(), Lacking(at(0), at(1), "labels: odd", failed=True))
    assert (job.failures, job.failing_since, job.due_at) == (1, at(0), at(1))
    assert apply(job, Gathered(at(1), NEVER)).failures == 0


def test_what_was_given_up_waits_for_a_person() -> None:
    """No age brings it back, ``--refresh`` does."""
    job = apply(first(), GaveUp("labels: odd"))
    assert job.state is JobState.PARKED
    assert rounds.renewal(job, at(30), refresh=False) is None
    event = rounds.renewal(job, at(30), refresh=True)
    assert event == Renewed(at(30), "asked for again")
    assert apply(job, event).state is JobState.DISCOVERED


def test_a_lost_file_begins_a_round_at_any_age() -> None:
    """And the ages count on from where they did."""
    done = apply(first(), Gathered(T0, NEVER))
    renewed = apply(done, rounds.asked_back(at(40)))
    assert renewed.state is JobState.DISCOVERED
    assert (rounds.round_at(renewed), rounds.first_at(renewed)) == (at(40), T0)


def test_a_job_without_a_first_round_begins_now() -> None:
    """As one that a rebuilt ledger has."""
    job = replace(first(), pending_at=None, available_at=None)
    assert rounds.first_at(job) == rounds.round_at(job) == NOW
    assert rounds.first_at(apply(job, Renewed(at(2), "again"))) == at(2)


def test_extras_know_no_request() -> None:
    """Their automaton is their own."""
    with pytest.raises(IllegalTransitionError):
        apply(first(), Pending(T0, T0))
