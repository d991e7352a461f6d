"""What to do next: deadlines, budgets, admission, cadence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.admission import host_of
from archiver.core.agenda import Agenda, deadline
from archiver.core.model import NEVER, Instant, Job, JobKey, JobState, Link, Saved, VideoId
from archiver.core.outstanding import is_outstanding
from archiver.core.schedule import is_progress, next_step, plan, poll_at, retry_at
from archiver.core.sharing import margin_s
from archiver.core.steps import (
    Budget,
    Expire,
    Fetch,
    GiveUp,
    Policy,
    Poll,
    Publish,
    Request,
)

POLICY = Policy()
NOW = Instant(1_000_000.0)
DAY = 86_400.0


def job(number: int = 1, state: JobState = JobState.DISCOVERED, **more: Any) -> Job:
    return replace(Job(JobKey(VideoId(number)), state), **more)


def available(number: int = 1, lives_s: float = DAY, **more: Any) -> Job:
    link = Link(f"https://cdn.example/{number}?s=1", Instant(NOW + lives_s))
    return job(number, JobState.AVAILABLE, link=link, available_at=NOW, **more)


def budget(**more: Any) -> Budget:
    plenty = Budget(
        calls=100, more_at=NEVER, polls=100, fetches=4, files_most=100, bytes_most=float("inf"),
        disk_bytes=1e15, typical_bytes=1000,
    )  # fmt: skip
    return replace(plenty, **more)


def steps(*jobs: Job, busy: frozenset[JobKey] = frozenset(), **more: Any) -> list[object]:
    return list(plan(Agenda(jobs), busy, NOW, budget(**more), POLICY).steps)


def test_each_state_has_its_step() -> None:
    """One job, one answer."""
    asked = Instant(NOW - 5)
    expected = [
        (job(), Request), (job(asked_at=asked), Poll),
        (job(state=JobState.REQUESTED), Poll), (available(), Fetch),
        (available(lives_s=30), Expire), (job(state=JobState.FETCHED), Publish),
        (job(state=JobState.AVAILABLE), Poll),
    ]  # fmt: skip
    for what, step in expected:
        assert isinstance(next_step(what, NOW, DAY, POLICY), step), what


@pytest.mark.parametrize("state", [s for s in JobState if s.is_final])
def test_nothing_is_done_about_what_is_final(state: JobState) -> None:
    """Archived, skipped, gone and parked wait for somebody else."""
    made = plan(Agenda([job(state=state)]), frozenset(), NOW, budget(), POLICY)
    assert (made.steps, made.wake_at) == ((), NEVER)


def test_a_job_waits_for_its_time_unless_the_clock_was_wrong() -> None:
    """A due time further off than any legal wait was set by a wrong clock."""
    assert steps(job(due_at=Instant(NOW + 60))) == []
    assert steps(job(due_at=Instant(NOW + 10 * DAY))) == [Request(job().key)]


def test_parking_needs_twelve_failures_and_a_day() -> None:
    """An hour of anything parks nothing."""
    young = job(failures=50, failing_since=Instant(NOW - 3600))
    old = job(failures=12, failing_since=Instant(NOW - DAY), reason="broken")
    few = job(failures=11, failing_since=Instant(NOW - 9 * DAY))
    assert next_step(young, NOW, DAY, POLICY) == Request(young.key)
    assert next_step(few, NOW, DAY, POLICY) == Request(few.key)
    assert next_step(old, NOW, DAY, POLICY) == GiveUp(old.key, "broken")
    assert next_step(replace(old, reason=""), NOW, DAY, POLICY) == GiveUp(
        old.key, "too many failures"
    )


def test_the_margin_before_an_expiry_scales_with_the_window() -> None:
    """A minute of a day; 0.4 s of eight."""
    later = Instant(NOW + DAY)
    assert margin_s(later, None, DAY, POLICY) == 60
    assert margin_s(later, NOW, 8, POLICY) == pytest.approx(0.4)
    short = available(lives_s=7)
    assert isinstance(next_step(short, NOW, 8.0, POLICY), Fetch)


def test_a_short_window_shows_in_the_very_first_address() -> None:
    """Asked for two seconds ago, it cannot live longer than until its end since then."""
    first = available(lives_s=7, asked_at=Instant(NOW - 2))
    assert isinstance(next_step(first, NOW, DAY, POLICY), Fetch)
    assert isinstance(next_step(available(lives_s=7), NOW, DAY, POLICY), Expire)


def test_an_address_without_an_expiry_is_fetched_first_come_and_never_refused() -> None:
    """Refusing uses only what the server said; the order assumes a day."""
    endless = replace(available(), link=Link("https://cdn.example/1"))
    assert deadline(endless) == NOW + DAY
    assert steps(endless) == [Fetch(endless.key)]
    assert deadline(job()) == NEVER


def test_the_earliest_deadline_is_fetched_first() -> None:
    """Earliest deadline first, within the slots."""
    late, soon = available(1, 5000), available(2, 600)
    assert steps(late, soon, fetches=1) == [Fetch(soon.key)]
    assert steps(late, soon, fetches=0) == []


def test_what_frees_the_disk_comes_first_and_new_requests_last() -> None:
    """Publish, fetch, poll, request."""
    done, ready = job(4, JobState.FETCHED), available(3)
    pending, fresh = job(2, JobState.REQUESTED), job(1)
    assert steps(fresh, pending, ready, done) == [
        Publish(done.key), Fetch(ready.key), Poll(pending.key), Request(fresh.key),
    ]  # fmt: skip


def test_videos_that_the_vendor_deletes_first_are_asked_for_first() -> None:
    """Then by number."""
    doomed = job(9, delete_at=Instant(NOW + 3600))
    assert steps(job(1), doomed, job(2), calls=2) == [Request(doomed.key), Request(job(1).key)]


def test_what_may_still_be_recorded_is_asked_for_last() -> None:
    """Though it has the lower number, and a date: each minute makes it surer that it is whole."""
    young = job(1, fresh_at=NOW, delete_at=Instant(NOW + 3600))
    assert steps(young, job(2), job(3)) == [
        Request(job(2).key), Request(job(3).key), Request(young.key)
    ]  # fmt: skip


def test_a_lost_answer_is_polled_among_the_requested() -> None:
    """It may be available already: it does not wait behind new requests."""
    lost = job(9, asked_at=Instant(NOW - 1))
    assert steps(job(1), lost, calls=1) == [Poll(lost.key)]


def test_a_busy_job_gets_no_second_step() -> None:
    """Whoever holds the job has it alone."""
    assert steps(job(1), busy=frozenset({job(1).key})) == []


def test_no_call_is_planned_beyond_the_allowance_and_the_plan_wakes_when_there_is_more() -> None:
    """The rate limit is kept before a 429 comes."""
    at = Instant(NOW + 77)
    made = plan(Agenda([job(1), job(2)]), frozenset(), NOW, budget(calls=1, more_at=at), POLICY)
    assert made.steps == (Request(job(1).key),)
    assert made.wake_at == at


def test_polls_are_bounded_within_the_calls() -> None:
    """Requests are not starved by polls."""
    pending = [job(n, JobState.REQUESTED) for n in (1, 2, 3)]
    assert len(steps(*pending, polls=2)) == 2
    assert steps(*pending, calls=1, polls=2) == [Poll(pending[0].key)]


def test_a_wake_that_has_passed_is_looked_at_again_within_a_second() -> None:
    """Never asleep with work to do."""
    made = plan(
        Agenda([job(1)]), frozenset(), NOW, budget(calls=0, more_at=Instant(NOW - 5)), POLICY
    )
    assert made.wake_at == NOW + 1
    waiting = plan(Agenda([job(1, due_at=Instant(NOW + 9))]), frozenset(), NOW, budget(), POLICY)
    assert waiting.wake_at == NOW + 9


def test_a_host_under_bad_weather_is_left_alone_until_its_probe() -> None:
    """Other hosts go on."""
    other = replace(available(2), link=Link("https://other.example/2", Instant(NOW + DAY)))
    until = Instant(NOW + 30)
    made = plan(
        Agenda([available(1), other]), frozenset(), NOW,
        budget(closed={host_of(available(1)): until}), POLICY,
    )  # fmt: skip
    assert made.steps == (Fetch(other.key),)
    assert made.wake_at == until
    assert host_of(job()) == ""


def test_no_more_is_asked_for_than_the_line_can_carry_in_the_window() -> None:
    """Outstanding bytes are bounded; a version that was asked for counts until it is saved."""
    asked = available(1, expected_bytes=700, saved=Saved(100))
    assert [is_outstanding(j) for j in (asked, job(asked_at=NOW), job())] == [True, True, False]
    assert not is_outstanding(job(state=JobState.FETCHED))
    fresh = [job(n, expected_bytes=300) for n in (2, 3, 4)]
    chosen = steps(asked, *fresh, bytes_most=1250, fetches=0)
    assert chosen == [Request(fresh[0].key), Request(fresh[1].key)]


def test_a_slow_line_still_gets_one_file() -> None:
    """Even where one file is more than the bound."""
    assert steps(job(1, expected_bytes=10**9), job(2), bytes_most=1) == [Request(job(1).key)]


def test_the_count_bounds_a_cold_start() -> None:
    """One file a slot until the line is known."""
    assert len(steps(*(job(n) for n in range(1, 9)), files_most=3)) == 3


def test_what_is_pending_for_very_long_holds_up_nobody() -> None:
    """It may never come: it counts less and less, against the count and against the bytes."""

    def pending(number: int, for_s: float) -> Job:
        times = {"asked_at": Instant(NOW - for_s), "due_at": Instant(NOW + 9)}
        return job(number, JobState.REQUESTED, pending_at=NOW, **times)

    fresh = [job(n, expected_bytes=900) for n in (7, 8)]
    new, old = [pending(n, 10) for n in (1, 2, 3)], [pending(n, 3000) for n in (1, 2, 3)]
    assert steps(*new, *fresh, files_most=1) == []
    assert steps(*old, *fresh, files_most=1) == [Request(fresh[0].key)]
    assert steps(*old, *fresh, files_most=1, generation_s=3000.0) == []
    assert steps(*new, *fresh, bytes_most=500) == []
    assert steps(*old, *fresh, bytes_most=500) == [Request(fresh[0].key)]
    assert steps(*old, *fresh, disk_bytes=3500) == [], "on the disk it still needs its room"
    unheard = [replace(each, pending_at=None) for each in old]
    assert steps(*unheard, *fresh, files_most=1) == [], "nobody could ask: it may well be there"


def test_what_does_not_fit_on_the_disk_is_not_asked_for() -> None:
    """And the plan says so."""
    made = plan(Agenda([job(1)]), frozenset(), NOW, budget(disk_bytes=999), POLICY)
    assert (made.steps, made.short_of_disk) == ((), True)


def test_nothing_is_admitted_without_a_call_to_ask_with() -> None:
    """The bound is not used up by what could not be asked for."""
    assert steps(job(1), job(2), calls=0) == []


def test_a_fetch_starts_only_if_it_can_end() -> None:
    """At the measured rate; one that no window could hold starts all the same."""
    hopeless = available(1, 100, expected_bytes=2000)
    made = plan(Agenda([hopeless]), frozenset(), NOW, budget(rate_bytes_s=10.0), POLICY)
    assert made.steps == ()
    assert made.wake_at == NOW + 100
    huge = available(1, 100, expected_bytes=10**9)
    assert steps(huge, rate_bytes_s=10.0) == [Fetch(huge.key)]
    assert steps(available(1, 300, expected_bytes=2000), rate_bytes_s=10.0) != []


def test_an_idle_line_tries_what_would_not_end_at_the_rate_of_long_ago() -> None:
    """A stale rate would leave the line idle until the version runs out; one try measures it."""
    first, second = available(1, 100, expected_bytes=2000), available(2, 200, expected_bytes=9000)
    slow: dict[str, Any] = {"rate_bytes_s": 10.0, "line_is_idle": True}
    assert steps(second, first, **slow) == [Fetch(first.key)]
    fits = available(3, 5000, expected_bytes=10)
    assert steps(first, fits, **slow) == [Fetch(fits.key)]
    assert steps(first, rate_bytes_s=10.0) == []


def test_what_only_the_next_run_can_fetch_must_be_there_for_as_long_as_it_takes() -> None:
    """A version that ends a minute after the next run began is asked for in vain."""
    limits: dict[str, Any] = {"ends_at": Instant(NOW + 100), "rate_bytes_s": 10.0}
    large = job(1, expected_bytes=36_000)
    assert steps(large, next_run_at=Instant(NOW + DAY - 60), **limits) == []
    assert steps(large, next_run_at=Instant(NOW + DAY - 7200), **limits) == [Request(large.key)]


def test_a_time_limit_stops_new_work_that_cannot_end_and_that_no_later_run_can_fetch() -> None:
    """Unless the window reaches the next night."""
    ends, next_run = Instant(NOW + 100), Instant(NOW + DAY - 3600)
    limits: dict[str, Any] = {"ends_at": ends, "rate_bytes_s": 10.0, "next_run_at": next_run}
    small, large = job(1, expected_bytes=500), job(2, expected_bytes=5000)
    assert steps(small, large, window_s=DAY / 2, **limits) == [Request(small.key)]
    assert steps(large, window_s=DAY, **limits) == [Request(large.key)]
    over: dict[str, Any] = {**limits, "ends_at": NOW}
    assert steps(small, available(3), window_s=DAY, **over) == []
    assert steps(small, ends_at=ends) == [Request(small.key)]


@given(
    st.lists(st.sampled_from(JobState), max_size=12),
    st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.randoms(),
)  # fmt: skip
def test_a_plan_does_not_depend_on_the_order_of_the_jobs_and_keeps_its_budget(
    states: list[JobState], calls: int, fetches: int, files: int, random: Any
) -> None:
    """A pure function of what is the case."""
    jobs = [
        available(n) if state is JobState.AVAILABLE else job(n, state)
        for n, state in enumerate(states, 1)
    ]
    spend = budget(calls=calls, fetches=fetches, files_most=files)
    made = plan(Agenda(jobs), frozenset(), NOW, spend, POLICY)
    random.shuffle(jobs)
    assert plan(Agenda(jobs), frozenset(), NOW, spend, POLICY) == made
    assert sum(isinstance(s, Request | Poll) for s in made.steps) <= calls
    assert sum(isinstance(s, Fetch) for s in made.steps) <= fetches
    assert made.wake_at > NOW


def test_the_first_poll_comes_when_most_files_are_ready() -> None:
    """After a second with nothing learnt; learnt, when the distribution says."""
    asked = job(state=JobState.REQUESTED, asked_at=NOW)
    assert poll_at(asked, NOW, None, DAY, POLICY) == pytest.approx(NOW + 1, abs=0.06)
    assert poll_at(asked, NOW, 40.0, DAY, POLICY) == pytest.approx(NOW + 40, abs=2.1)
    assert poll_at(job(), NOW, None, DAY, POLICY) == pytest.approx(NOW + 1, abs=0.06)


def test_a_file_that_was_missed_is_looked_for_sooner_each_time() -> None:
    """Made in a second and living eight, it is never seen by who looks after fifteen."""
    for failures, first_s in ((0, 15.0), (1, 7.5), (2, 3.75), (40, 15.0 / 32)):
        again = job(state=JobState.REQUESTED, asked_at=NOW, failures=failures)
        assert poll_at(again, NOW, 15.0, DAY, POLICY) == pytest.approx(NOW + first_s, rel=0.06)


@pytest.mark.parametrize("ahead_s", [3600.0, 30 * DAY])
def test_a_request_of_a_clock_that_was_ahead_is_polled_like_any_other(ahead_s: float) -> None:
    """Neither in hours, nor, since that counts as due, without a pause."""
    asked = job(state=JobState.REQUESTED, asked_at=Instant(NOW + ahead_s))
    assert poll_at(asked, NOW, None, DAY, POLICY) == pytest.approx(NOW + 1, abs=0.06)


def test_a_clock_that_was_ahead_does_not_make_every_poll_the_first() -> None:
    """Else a file that was asked for three hours ahead is polled without a pause for as long."""
    asked = job(state=JobState.REQUESTED, asked_at=Instant(NOW + 10_800))
    waits = [poll_at(replace(asked, polls=n), NOW, 0.05, DAY, POLICY) - NOW for n in range(40)]
    assert waits[1] >= 1.5
    assert waits[20] >= 250
    assert all(wait <= 316 for wait in waits)


def test_later_polls_wait_longer_but_never_over_five_minutes_nor_a_tenth_of_the_window() -> None:
    """A slow file costs few calls, and a short window is not slept away."""
    asked = job(state=JobState.REQUESTED, asked_at=Instant(NOW - 100))
    assert poll_at(asked, NOW, None, DAY, POLICY) == pytest.approx(NOW + 60, rel=0.06)
    old = job(state=JobState.REQUESTED, asked_at=Instant(NOW - 90_000))
    assert poll_at(old, NOW, None, DAY, POLICY) <= NOW + 316
    assert poll_at(old, NOW, None, 8.0, POLICY) <= NOW + 0.85


def test_retries_double_up_to_ten_minutes_and_do_not_march() -> None:
    """Spread by the job, so that a plan can be replayed."""
    waits = [retry_at(job(failures=n), NOW, POLICY) - NOW for n in (0, 3, 40)]
    assert waits == pytest.approx([1, 8, 600], rel=0.06)
    assert len({retry_at(job(n, failures=3), NOW, POLICY) for n in range(1, 50)}) > 40


def test_progress_is_a_step_forward_or_new_bytes() -> None:
    """Asking again for what is not given is none, nor is what came before."""
    asked = job(state=JobState.REQUESTED, asked_at=NOW)
    assert is_progress(job(), asked)
    assert is_progress(asked, job(state=JobState.GONE))
    assert is_progress(available(), available(most_bytes=1))
    assert not is_progress(asked, replace(asked, polls=9))
    assert not is_progress(available(), asked)


def test_a_step_names_its_job_and_an_address_at_its_margin_is_dead() -> None:
    """A minute before the end of a long life, and not a moment later."""
    assert steps(available(lives_s=60.0)) == [Expire(JobKey(VideoId(1)))]
    assert steps(available(lives_s=60.5)) == [Fetch(JobKey(VideoId(1)))]


def test_a_job_is_due_at_its_very_moment_and_not_before() -> None:
    """The longest legal wait is waited for."""
    assert steps(job(due_at=NOW)) == [Request(JobKey(VideoId(1)))]
    for wait_s in (0.5, 26 * 3600.0):
        assert steps(job(due_at=Instant(NOW + wait_s))) == []


def test_among_the_requested_the_one_that_waited_longest_comes_first() -> None:
    """Not the one with the smaller number."""
    late, early = (
        job(number, JobState.REQUESTED, due_at=Instant(NOW - ago))
        for number, ago in ((1, 3), (2, 5))
    )
    assert steps(late, early) == [Poll(early.key), Poll(late.key)]


def test_a_wake_at_this_very_moment_is_one_that_has_passed() -> None:
    """A plan without a step never asks to be made again at once."""
    fetch = available()
    made = plan(Agenda([fetch]), frozenset(), NOW, budget(closed={host_of(fetch): NOW}), POLICY)
    assert (made.steps, made.wake_at) == ((), NOW + 1.0)
    assert made.short_of_disk is False


def test_every_download_slot_is_used_once() -> None:
    """Two slots, two downloads."""
    assert len(steps(*(available(number) for number in range(1, 5)), fetches=2)) == 2


def test_without_a_rate_nothing_is_too_late() -> None:
    """Half a second may be enough: nobody knows."""
    short = available(lives_s=0.5, asked_at=NOW)
    assert steps(short, window_s=DAY) == [Fetch(short.key)]


def test_disk_and_line_are_filled_to_the_brim_and_no_further() -> None:
    """Each request counts for those that come after it."""
    jobs = [job(number) for number in range(1, 5)]
    assert len(steps(*jobs, disk_bytes=2000)) == 2
    assert len(steps(*jobs, bytes_most=2000)) == 2


@pytest.mark.parametrize(("ends_s", "asked"), [(10.0, 0), (19.9, 0), (20.0, 1), (20.5, 1)])
def test_with_a_time_limit_the_wait_for_the_file_counts(ends_s: float, asked: int) -> None:
    """What is ready at the last moment is still in time."""
    made = steps(job(), generation_s=20.0, ends_at=Instant(NOW + ends_s))
    assert len(made) == asked


@pytest.mark.parametrize(
    ("passed_s", "generation_s", "window_s", "policy", "wait_s"),
    [
        (0.0, 0.5, DAY, POLICY, 0.5),
        (0.85, None, DAY, POLICY, 0.15),
        (0.95, None, DAY, POLICY, 1.6),
        (1.05, None, DAY, POLICY, 1.6),
        (2.0, None, DAY, Policy(poll_first_s=2.0), 3.2),
        (100.0, None, DAY, POLICY, 60.0),
        (100.0, None, 100.0, POLICY, 10.0),
        (1000.0, None, DAY, POLICY, 300.0),
        (100.0, None, 1.0, POLICY, 0.2),
    ],
)
def test_the_cadence_of_polls(
    passed_s: float, generation_s: float | None, window_s: float, policy: Policy, wait_s: float
) -> None:
    """First when most are ready; then as long again and a bit; bounded by window and minutes."""
    asked = job(state=JobState.REQUESTED, asked_at=Instant(NOW - passed_s))
    at = poll_at(asked, NOW, generation_s, window_s, policy)
    spread_s = 0.05 * max(wait_s, passed_s if passed_s < 0.9 else 0.0)
    assert at - NOW == pytest.approx(wait_s, abs=spread_s + 1e-6)


def test_the_spread_of_retries_is_a_twentieth_to_either_side() -> None:
    """Enough that a thousand retries do not come at once, too little to matter."""
    waits = [retry_at(job(number), NOW, POLICY) - NOW for number in range(200)]
    assert 0.95 <= min(waits) < 0.955
    assert 1.045 < max(waits) < 1.05


def test_a_file_of_unknown_size_is_taken_for_a_typical_one() -> None:
    """And one that no window could hold is begun all the same: what it saves is kept."""
    short = available(lives_s=80.0)
    assert steps(short, rate_bytes_s=10.0) == []
    assert steps(short, rate_bytes_s=10.0, window_s=100.0) == [Fetch(short.key)]


def test_an_idle_line_with_nothing_late_has_nothing_to_try() -> None:
    """Only what was passed over is tried."""
    assert steps(line_is_idle=True) == []


@pytest.mark.parametrize(("failures", "wait_s"), [(0, 8.0), (1, 4.0), (5, 0.25), (9, 0.25)])
def test_after_failures_the_first_look_comes_sooner(failures: int, wait_s: float) -> None:
    """Half as long for each, up to five: a version that ran out is not to run out again."""
    asked = job(state=JobState.REQUESTED, asked_at=NOW, failures=failures)
    assert poll_at(asked, NOW, 8.0, DAY, POLICY) - NOW == pytest.approx(wait_s, rel=0.05)
