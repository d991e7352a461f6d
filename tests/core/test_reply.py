"""What an answer of the vendor does to its job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archiver.core import events
from archiver.core.agenda import deadline
from archiver.core.learning import Learnt
from archiver.core.lifecycle import apply
from archiver.core.model import (
    DAY_S,
    Downloadable,
    Instant,
    Job,
    JobKey,
    JobState,
    Link,
    Readiness,
    VideoId,
)
from archiver.core.reply import heard
from archiver.core.steps import Policy

NOW = Instant(1_700_000_000.0)
ASKED = Job(JobKey(VideoId(7)), asked_at=NOW)
REQUESTED = replace(ASKED, state=JobState.REQUESTED)
PENDING = Downloadable(Readiness.PENDING)


def after(job: Job, answer: Downloadable, at: float = NOW) -> tuple[events.Event, Job]:
    event = heard(job, answer, Instant(at), Learnt(4), Policy(), posted=False)
    return event, apply(job, event)


def test_pending_is_waited_for_until_two_days_have_passed() -> None:
    """A minute before, another poll is due; then a person hears of it."""
    _, still = after(REQUESTED, PENDING, NOW + 2 * DAY_S - 60)
    assert (still.state, still.reason) == (JobState.REQUESTED, "")
    _, parked = after(REQUESTED, PENDING, NOW + 2 * DAY_S)
    assert (parked.state, parked.reason) == (JobState.PARKED, "not made by the vendor in 48 hours")
    assert parked.asked_at == NOW


def test_a_word_that_nobody_knows_is_pending_and_shown() -> None:
    """It is gone as soon as the vendor says something else."""
    _, odd = after(REQUESTED, Downloadable(Readiness.PENDING, said="failed"))
    assert (odd.state, odd.reason, odd.failures) == (
        JobState.REQUESTED, "the vendor says 'failed'", 0
    )  # fmt: skip
    assert after(odd, PENDING)[1].reason == ""


def test_available_without_an_address_is_asked_for_again_after_five_polls() -> None:
    """It may only be a moment too early; for ever it would never end."""
    useless = Downloadable(Readiness.PENDING, said="available")
    job = REQUESTED
    for polls in range(1, Policy().addressless_most + 1):
        _, job = after(job, useless)
        assert (job.state, job.polls, job.failures) == (JobState.REQUESTED, polls, 0)
    _, job = after(job, useless)
    assert (job.state, job.asked_at, job.failures) == (JobState.DISCOVERED, None, 1)
    assert job.due_at > NOW


def test_available_without_an_address_tells_nothing_of_how_long_it_took() -> None:
    """The file was made hours ago; else every new one would be looked at in hours."""
    job, learnt = replace(REQUESTED, asked_at=NOW, pending_at=NOW), Learnt(4)
    for at, answer in (
        (NOW + 20_000, Downloadable(Readiness.PENDING, said="available")),
        (NOW + 20_060, Downloadable(Readiness.AVAILABLE, Link("https://h/x"))),
    ):
        event = heard(job, answer, Instant(at), learnt, Policy(), posted=False)
        job = apply(job, event)
    assert job.state is JobState.AVAILABLE
    assert learnt.generation_s is None


def test_an_address_that_says_no_end_is_to_be_fetched_within_a_day() -> None:
    """The shortest window that is documented is assumed for the order, and nothing is refused."""
    _, job = after(REQUESTED, Downloadable(Readiness.AVAILABLE, Link("https://h/x")))
    assert job.state is JobState.AVAILABLE
    assert deadline(job) == NOW + DAY_S


@pytest.mark.parametrize("ends_in_s", [-1e9, -60.0, 0.0])
def test_an_address_that_has_run_out_is_a_failure_with_a_pause(ends_in_s: float) -> None:
    """Asking again at once would never end."""
    link = Link("https://h/x", Instant(NOW + ends_in_s))
    _, job = after(REQUESTED, Downloadable(Readiness.AVAILABLE, link))
    assert (job.state, job.failures, job.link) == (JobState.DISCOVERED, 1, None)
    assert job.due_at > NOW


def test_a_second_address_takes_the_place_of_the_refused_one() -> None:
    """Of two that were given the last one counts, whenever it ends."""
    refused = replace(REQUESTED, link=Link("https://h/1", Instant(NOW + 500)), failures=1)
    link = Link("https://h/2", Instant(NOW + 400))
    _, job = after(refused, Downloadable(Readiness.AVAILABLE, link))
    assert (job.state, job.link) == (JobState.AVAILABLE, link)
    assert job.due_at <= NOW


UNAVAILABLE = Downloadable(Readiness.UNAVAILABLE)


def test_a_request_that_is_not_taken_is_a_failure_with_a_pause() -> None:
    """The vendor heard the POST and prepares nothing: asked again later, never at once."""
    event = heard(ASKED, UNAVAILABLE, NOW, Learnt(4), Policy(), posted=True)
    refused = apply(ASKED, event)
    assert (refused.state, refused.asked_at, refused.failures) == (JobState.DISCOVERED, None, 1)
    assert "does not prepare" in refused.reason
    assert refused.due_at > NOW


def test_an_intent_that_was_never_sent_is_no_failure() -> None:
    """Recorded, then killed: the look finds nothing, and the POST is due at once."""
    _, job = after(ASKED, UNAVAILABLE)
    assert (job.asked_at, job.failures, job.due_at) == (None, 0, NOW)
    _, answered = after(replace(ASKED, reason="the API answered 500"), UNAVAILABLE)
    assert (answered.failures, answered.reason) == (1, "the API answered 500")
    assert answered.due_at > NOW


def test_a_version_that_is_gone_was_late_only_if_it_was_there() -> None:
    """Only a version that could have been fetched says that too much was asked for."""
    for link, share in ((None, 1.0), (Link("https://h/1", Instant(NOW + 500)), 0.5)):
        learnt = Learnt(4)
        event = heard(
            replace(REQUESTED, link=link), UNAVAILABLE, NOW, learnt, Policy(), posted=False
        )
        job = apply(replace(REQUESTED, link=link), event)
        assert (job.state, job.failures, job.link) == (JobState.DISCOVERED, 1, None)
        assert learnt.files_most == 4 * share


@pytest.mark.parametrize(("failures", "state"), [(2, "available"), (3, "discovered")])
def test_the_same_refused_address_is_tried_thrice(failures: int, state: str) -> None:
    """A little later each time; then a new version is asked for."""
    link = Link("https://h/1", Instant(NOW + 500))
    refused = replace(REQUESTED, link=link, failures=failures, reason="the host refused it")
    _, job = after(refused, Downloadable(Readiness.AVAILABLE, link))
    assert (job.state, job.reason) == (state, "the host refused it")
    assert job.due_at > NOW


def test_pending_again_after_available_is_believed() -> None:
    """The last answer counts; the address stays known, so that the same one is recognised."""
    link = Link("https://h/1", Instant(NOW + 500))
    _, job = after(replace(REQUESTED, link=link), PENDING)
    assert (job.state, job.link, job.failures) == (JobState.REQUESTED, link, 0)
    assert job.due_at > NOW


@pytest.mark.parametrize(
    ("job", "posted", "tells"),
    [(REQUESTED, False, True), (replace(REQUESTED, polls=1), False, False), (ASKED, True, False),
     (replace(REQUESTED, link=Link("https://h/x")), False, False)],
)  # fmt: skip
def test_the_first_look_at_a_file_says_whether_it_came_at_the_right_time(
    job: Job, posted: bool, tells: bool
) -> None:
    """Not a later one, not the answer to the request itself, and none after a refused address."""
    for answer in (PENDING, Downloadable(Readiness.AVAILABLE, Link("https://h/y"))):
        learnt = Learnt(4)
        for _ in range(8):
            learnt.generated(100.0, 100.0)
        heard(job, answer, Instant(NOW + 100), learnt, Policy(), posted=posted)
        assert (learnt.as_json()["first_look"] is not None) is tells


def test_a_version_that_is_gone_says_nothing_of_when_to_look() -> None:
    """Nor one of which nobody knows when it was asked for."""
    gone = Downloadable(Readiness.UNAVAILABLE)
    for job, answer in ((REQUESTED, gone), (replace(REQUESTED, asked_at=None), PENDING)):
        learnt = Learnt(4)
        for _ in range(8):
            learnt.generated(100.0, 100.0)
        heard(job, answer, Instant(NOW + 100), learnt, Policy(), posted=False)
        assert learnt.as_json()["first_look"] is None
