"""Extras in the plan: behind everything, within what is left, and what waits for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archiver.core import rounds
from archiver.core.agenda import Agenda
from archiver.core.model import Instant, Job, JobKey, JobState, Link, VideoId
from archiver.core.schedule import plan
from archiver.core.steps import Budget, Gather, GiveUp, Plan, Policy, Poll, Publish, Request, Step

POLICY = Policy()
NOW = Instant(1_000_000.0)
DAY = 86_400.0


def video(number: int, state: JobState = JobState.FETCHED, **more: Any) -> Job:
    return replace(Job(JobKey(VideoId(number)), state), **more)


def extras(number: int, **more: Any) -> Job:
    return replace(rounds.first_round(VideoId(number), 1, NOW), **more)


def planned(*jobs: Job, busy: tuple[Job, ...] = (), **more: Any) -> Plan:
    budget = Budget(
        calls=4, more_at=NOW, polls=4, fetches=4, files_most=100, bytes_most=float("inf"),
        disk_bytes=1e15, typical_bytes=1000, gathers=2,
    )  # fmt: skip
    keys = frozenset(job.key for job in busy)
    return plan(Agenda([*jobs, *busy]), keys, NOW, replace(budget, **more), POLICY)


def of(kind: type[Step], made: Plan) -> list[int]:
    return [step.key.video_id for step in made.steps if isinstance(step, kind)]


def test_extras_are_asked_for_once_their_video_is_asked_for() -> None:
    """A video that is only listed may be gone: its extras wait for its own answer."""
    states = [JobState.DISCOVERED, JobState.REQUESTED, JobState.AVAILABLE]
    due = Instant(NOW + 9)
    link = Link("https://cdn.example/1", Instant(NOW + DAY))
    for state, asked in zip(states, ([], [1], [1]), strict=True):
        made = planned(video(1, state, due_at=due, link=link), extras(1))
        assert of(Gather, made) == asked, state
    assert of(Gather, planned(extras(1))) == [1]  # its video is archived


def test_extras_of_fetched_files_come_first_and_hold_them() -> None:
    """What is known when a file gets its name stands in its sidecar."""
    waiting = video(1, JobState.REQUESTED, due_at=Instant(NOW + 9))
    made = planned(waiting, extras(1), extras(2), video(3), extras(3), gathers=1)
    assert of(Gather, made) == [3]
    assert of(Publish, made) == []


def test_a_file_waits_for_extras_in_the_air_and_for_those_that_are_next() -> None:
    """All hands are at other extras: that is soon over."""
    busy = extras(1)
    made = planned(video(1), video(2), extras(2), busy=(busy,), gathers=0)
    assert of(Publish, made) == []
    assert of(Publish, planned(video(1), video(2), busy=(busy,), gathers=0)) == [2]


def test_a_crowd_does_not_wait() -> None:
    """However slow the API has become: what is fetched gets its name in the end."""
    numbers = range(2, POLICY.held_most + 40)
    crowd = [video(number) for number in numbers]
    beside = [extras(number) for number in numbers]
    made = planned(*crowd, *beside, busy=(extras(1),), gathers=0)
    assert len(of(Publish, made)) == len(crowd) - POLICY.held_most


def test_nothing_waits_for_extras_that_were_tried_or_are_off() -> None:
    """Left for another night, hindered for a while, out of calls for tonight, or not wanted."""
    assert of(Publish, planned(video(1))) == [1]
    assert of(Publish, planned(video(1), extras(1, due_at=Instant(NOW + 9)))) == [1]
    assert of(Publish, planned(video(1), extras(1), gathers=0)) == [1]


def test_nothing_waits_for_calls_that_are_not_to_be_had() -> None:
    """Under a tight limit, or in bad weather, videos come first."""
    made = planned(video(1), extras(1), calls=0, more_at=Instant(NOW + 60))
    assert of(Publish, made) == [1]
    assert of(Gather, made) == []
    assert made.wake_at == NOW + 60


def test_videos_take_their_calls_first() -> None:
    """Of two calls, none is left for extras."""
    jobs = [video(1, JobState.REQUESTED), video(2, JobState.DISCOVERED)]
    made = planned(*jobs, extras(3), calls=2)
    assert (of(Poll, made), of(Request, made), of(Gather, made)) == ([1], [2], [])
    assert not made.gives_way


def test_extras_in_the_air_give_way_where_videos_lack_calls() -> None:
    """For more than a moment: a full house of calls is no lack."""
    jobs = [video(1, JobState.REQUESTED), video(2, JobState.REQUESTED)]
    assert planned(*jobs, calls=0, more_at=Instant(NOW + 60)).gives_way
    assert not planned(*jobs, calls=0, more_at=Instant(NOW + 1)).gives_way


def test_the_last_calls_of_a_period_are_the_videos_own() -> None:
    """Who asks for extras now would see an address too late."""
    waiting = video(1, JobState.REQUESTED, due_at=Instant(NOW + 60), asked_at=NOW)
    assert of(Gather, planned(waiting, extras(2), calls_left=100.0)) == [2]
    made = planned(waiting, extras(2), calls_left=10.0)
    assert of(Gather, made) == []
    assert not made.gives_way
    assert planned(waiting, extras(2), calls_left=1.0).gives_way
    assert of(Gather, planned(extras(2), calls_left=1.0)) == [2]  # nobody else needs it


def test_extras_wait_while_their_file_gets_its_name() -> None:
    """Else what they learn would miss the sidecar that is being written."""
    assert of(Gather, planned(extras(1), busy=(video(1),))) == []


def test_extras_that_fail_again_and_again_are_given_up() -> None:
    """Twelve nights."""
    hopeless = extras(1, failures=12, failing_since=Instant(NOW - DAY), reason="odd")
    assert planned(hopeless).steps == (GiveUp(hopeless.key, "odd"),)


@pytest.mark.parametrize("gathers", [0, 2])
def test_a_plan_with_extras_alone_sleeps_until_something_can_be_done(gathers: int) -> None:
    """It neither spins nor sleeps for ever."""
    made = planned(extras(1), calls=0, more_at=Instant(NOW + 60), gathers=gathers)
    assert made.wake_at == (NOW + 60 if gathers else float("inf"))
