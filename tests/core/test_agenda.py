"""The order in which jobs are kept: the same whatever way it came about, and cheap to look into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from archiver.core.agenda import Agenda, Queue
from archiver.core.model import EXTRAS, NEVER, Instant, Job, JobKey, JobState, Link, Saved, VideoId
from archiver.core.schedule import plan
from archiver.core.steps import Budget, Fetch, Policy, Request

POLICY = Policy()
NOW = Instant(1_000_000.0)
DAY = 86_400.0
BUDGET = Budget(
    calls=3, more_at=Instant(NOW + 50), polls=2, fetches=2, files_most=9, bytes_most=9000.0,
    disk_bytes=1e15, typical_bytes=1000, gathers=1,
)  # fmt: skip

TIMES = st.sampled_from([-400.0, -5.0, 0.0, 5.0, 70.0, 27 * 3600.0]).map(lambda s: NOW + s)
JOBS = st.builds(
    lambda number, kind, **more: Job(JobKey(VideoId(number), kind), **more),
    st.integers(1, 6),
    st.sampled_from(["video", "video", EXTRAS]),
    state=st.sampled_from(JobState),
    due_at=TIMES.map(Instant),
    asked_at=st.none() | st.just(Instant(NOW - 900)),
    pending_at=st.none() | TIMES.map(Instant),
    link=st.none() | TIMES.map(lambda at: Link("https://cdn.example/1", Instant(at))),
    saved=st.sampled_from([Saved(), Saved(10), Saved(10, total=700)]),
    expected_bytes=st.none() | st.just(500),
)


class Looks:
    """No key is busy; counts how often that is asked."""

    def __init__(self) -> None:
        self.count = 0

    def __contains__(self, key: object) -> bool:
        self.count += 1
        return False

    def __iter__(self) -> Iterator[JobKey]:
        return iter(())

    def __len__(self) -> int:
        return 0


def legal(each: Job) -> Job:
    """Extras are asked for in rounds: they have no versions, addresses or bytes."""
    if each.key.kind != EXTRAS:
        return each
    state = each.state if each.state.is_final else JobState.DISCOVERED
    return Job(each.key, state, due_at=each.due_at)


@given(st.lists(st.tuples(JOBS.map(legal), TIMES, st.booleans()), max_size=30))
def test_a_plan_depends_on_the_jobs_and_not_on_how_they_came(
    changes: list[tuple[Job, float, bool]],
) -> None:
    """Put, changed and taken out in any order, planned in between, while the clock goes astray."""
    agenda, jobs = Agenda(), dict[JobKey, Job]()
    for job, at, leaves in changes:
        agenda.put(job)
        jobs[job.key] = job
        if leaves:
            agenda.remove(job.key)
            del jobs[job.key]
        busy = [key for key in sorted(jobs)[:1] if not jobs[key].state.is_final]
        now = Instant(at)
        made = plan(agenda, busy, now, BUDGET, POLICY)
        assert made == plan(Agenda(jobs.values()), busy, now, BUDGET, POLICY)
    live = [job for job in jobs.values() if not job.state.is_final]
    assert agenda.videos == sum(job.key.kind != EXTRAS for job in live)
    assert agenda.jobs == {job.key: job for job in live}


def waiting(count: int) -> list[Job]:
    """So many of each kind: listed, asked for and due, asked for and not, available."""
    link = Link("https://cdn.example/1", Instant(NOW + DAY))
    kinds: list[dict[str, Any]] = [
        {"state": JobState.DISCOVERED},
        {"state": JobState.REQUESTED, "asked_at": NOW},
        {"state": JobState.REQUESTED, "asked_at": NOW, "due_at": Instant(NOW + 9)},
        {"state": JobState.AVAILABLE, "link": link, "available_at": NOW},
    ]
    return [
        Job(JobKey(VideoId(number * len(kinds) + which)), **kind)
        for number in range(count)
        for which, kind in enumerate(kinds)
    ]


def test_a_plan_looks_only_at_what_it_may_choose() -> None:
    """However many wait for a call, for a hand, or for their time."""
    looked = []
    for count in (10, 1000):
        agenda, looks = Agenda(waiting(count)), Looks()
        for calls in (0, 3):
            spend = replace(BUDGET, calls=calls, files_most=10**6, bytes_most=1e15)
            plan(agenda, looks, NOW, spend, POLICY)
        looked.append(looks.count)
    assert looked[0] == looked[1]


def test_an_address_that_dies_is_given_up_though_no_download_may_begin() -> None:
    """It stands behind others that live as long: each has its own margin."""
    brief, dying = (
        Job(JobKey(VideoId(number)), JobState.AVAILABLE, asked_at=Instant(NOW - ago_s),
            link=Link(f"https://a/{number}", Instant(NOW + lives_s)))
        for number, ago_s, lives_s in ((1, 60, 9), (2, DAY, 30))
    )  # fmt: skip
    made = plan(Agenda([brief, dying]), (), NOW, replace(BUDGET, fetches=0), POLICY)
    assert [step.key.video_id for step in made.steps] == [2]


def test_a_small_file_passes_large_ones_that_do_not_fit() -> None:
    """The window is filled; what is too large waits."""
    asked = Job(JobKey(VideoId(1)), JobState.REQUESTED, asked_at=NOW, due_at=Instant(NOW + 9))
    large, small = (
        Job(JobKey(VideoId(number)), expected_bytes=size) for number, size in ((2, 9999), (3, 10))
    )
    made = plan(Agenda([asked, large, small]), (), NOW, BUDGET, POLICY)
    assert made.steps == (Request(small.key),)


def test_a_fetch_goes_on_while_a_hand_is_busy_with_another() -> None:
    """Who is busy is passed over, and is not woken up for."""
    jobs = [each for each in waiting(2) if each.state is JobState.AVAILABLE]
    agenda = Agenda(jobs)
    assert plan(agenda, [jobs[0].key], NOW, BUDGET, POLICY).steps == (Fetch(jobs[1].key),)
    later = replace(jobs[0], due_at=Instant(NOW + 5))
    made = plan(Agenda([later]), [later.key], NOW, BUDGET, POLICY)
    assert (made.steps, made.wake_at) == ((), NEVER)
    assert [job.key for _, job in agenda.due(Queue.FETCH, ())] == [job.key for job in jobs]
