"""Downloads that share a line: who is held back, for whom, and until when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archiver.core.agenda import Agenda
from archiver.core.model import NEVER, Instant, Job, JobKey, JobState, Link, Saved, VideoId
from archiver.core.schedule import plan
from archiver.core.steps import Budget, Expire, Fetch, Plan, Policy

POLICY = Policy()
NOW = Instant(1_000_000.0)
DAY = 86_400.0
RATE = 1000.0


def available(number: int, needs_s: float, lives_s: float, **more: Any) -> Job:
    """A file that the line alone brings in *needs_s*, at an address that lives *lives_s*."""
    job = Job(JobKey(VideoId(number)), JobState.AVAILABLE, expected_bytes=int(needs_s * RATE))
    link = Link(f"https://cdn.example/{number}", Instant(NOW + lives_s))
    return replace(job, link=link, available_at=NOW, **more)


def planned(running: list[Job], *waiting: Job, **more: Any) -> Plan:
    """What is done while *running* are being downloaded."""
    budget = Budget(
        calls=0, more_at=NEVER, polls=0, fetches=16, files_most=100, bytes_most=float("inf"),
        disk_bytes=1e15, typical_bytes=1000, rate_bytes_s=RATE,
    )  # fmt: skip
    busy = frozenset(job.key for job in running)
    return plan(Agenda([*running, *waiting]), busy, NOW, replace(budget, **more), POLICY)


def begun(running: list[Job], *waiting: Job, **more: Any) -> list[int]:
    """The numbers of those that begin."""
    steps = planned(running, *waiting, **more).steps
    return [step.key.video_id for step in steps if isinstance(step, Fetch)]


def test_nothing_begins_behind_which_a_running_download_would_run_out() -> None:
    """It has 1000 s; four fifths, but for a quarter of the 400 s that it takes, are planned for."""
    running = [available(1, 400, 1060)]
    assert begun(running, available(2, 320, 2000)) == [2]
    assert begun(running, available(2, 320.1, 2000)) == []
    assert begun(running, *(available(n, 100, 2000 + n) for n in (2, 3, 4, 5))) == [2, 3, 4]


def test_what_shares_the_line_takes_its_part_of_it() -> None:
    """A smaller file until it is through, a larger one as much as the file in question."""
    running = [available(1, 300, 1060), available(2, 200, 5000)]
    assert begun(running, available(3, 240, 6000)) == [3]
    assert begun(running, available(3, 241, 6000)) == []
    assert begun([*running, available(4, 20, 5000)], available(3, 240, 6000)) == []
    assert begun(running[:1], available(3, 5000, 6000)) == [3]
    larger = [available(1, 300, 1060), available(2, 5000, DAY)]
    assert begun(larger, available(3, 140, DAY + 1)) == [3]
    assert begun(larger, available(3, 141, DAY + 1)) == []


def test_what_is_saved_needs_the_line_no_more() -> None:
    """The bytes that are left count, of the one and of the other."""
    running, saved = available(1, 600, 1060), Saved(200_000)
    assert begun([running], available(2, 280, 2000)) == []
    assert begun([replace(running, saved=saved)], available(2, 280, 2000)) == [2]
    assert begun([replace(running, saved=saved)], available(2, 281, 2000)) == []
    assert begun([replace(running, saved=saved)], available(2, 480, 2000, saved=saved)) == [2]


def test_a_file_of_unknown_size_is_taken_for_a_typical_one() -> None:
    """Nobody says how large it is: it is reckoned with all the same."""
    running = replace(available(1, 0, 1060), expected_bytes=None)
    assert begun([running], available(2, 320, 2000), typical_bytes=400_000) == [2]
    assert begun([running], available(2, 321, 2000), typical_bytes=400_000) == []
    assert begun([running], available(2, 321, 2000), typical_bytes=1) == [2]


def test_whose_address_ends_no_later_is_not_held_back() -> None:
    """The earliest deadline first, whoever runs."""
    running = [available(1, 900, 1060)]
    assert begun(running, available(2, 100, 1059), available(3, 100, 1060)) == [2, 3]
    assert begun(running, available(2, 100, 1061)) == []


def test_what_even_the_whole_line_brings_too_late_holds_nobody_back() -> None:
    """Else the line would be its own until it runs out, in vain; a quarter faster it may be."""
    assert begun([available(1, 1251, 1060)], available(2, 100, 2000)) == [2]
    assert begun([available(1, 1249, 1060)], available(2, 100, 2000)) == []
    assert begun([available(1, 5, 30)], available(2, 100, 2000)) == [2]


def test_nobody_is_held_back_for_an_end_that_nobody_named_nor_at_a_rate_that_nobody_knows() -> None:
    """An address without an expiry may live for ever."""
    endless = replace(available(1, 90_000, 1), link=Link("https://cdn.example/1"))
    assert begun([endless], available(2, 100, 2 * DAY)) == [2]
    assert begun([available(1, 900, 1060)], available(2, 100, 2000), rate_bytes_s=None) == [2]


def test_only_downloads_share_the_line() -> None:
    """A file that is being named, a step whose video left the window."""
    done = replace(available(1, 900, 1060), state=JobState.FETCHED)
    gone = available(9, 900, 1060)
    assert begun([done], available(2, 100, 2000)) == [2]
    budget = Budget(
        calls=0, more_at=NEVER, polls=0, fetches=1, files_most=1, bytes_most=1.0,
        disk_bytes=1.0, typical_bytes=1, rate_bytes_s=RATE,
    )  # fmt: skip
    waiting = available(2, 100, 2000)
    assert plan(Agenda([waiting]), {gone.key}, NOW, budget, POLICY).steps == (Fetch(waiting.key),)


def test_the_plan_wakes_when_the_running_one_makes_it_again() -> None:
    """Each second the line carries a second of what is needed; a fifth of it is gained."""
    made = planned([available(1, 400, 1060)], available(2, 360, 2000))
    assert made.steps == ()
    assert made.wake_at == pytest.approx(NOW + 200)


def test_the_plan_wakes_at_the_latest_when_the_running_one_is_dead() -> None:
    """However much is held back: then the line is free."""
    assert planned([available(1, 990, 1060)], available(2, 900, 2000)).wake_at == NOW + 1000


def test_of_several_the_one_that_needs_the_line_for_longest_is_waited_for() -> None:
    """Any of them may be the one that would not make it."""
    running = [available(1, 10, 1060), available(2, 400, 1060)]
    assert planned(running, available(3, 360, 2000)).wake_at == pytest.approx(NOW + 250)
    assert planned([*running[::-1]], available(3, 360, 2000)).wake_at == pytest.approx(NOW + 250)


def test_who_is_held_back_is_not_overtaken() -> None:
    """Else small files would take, one after the other, what a large one waits for."""
    running = [available(1, 400, 1060)]
    assert begun(running, available(2, 400, 2000), available(3, 10, 2001)) == []
    assert begun(running, available(2, 400, 2001), available(3, 10, 2000)) == [3]


def test_who_is_held_back_does_not_hide_an_address_that_is_dead() -> None:
    """It is asked for again, while the line is another's."""
    young = Instant(NOW - 10)
    running = [available(1, 35, 40, asked_at=young)]
    held, dead = available(2, 10, 45, asked_at=young), available(3, 10, 50)
    assert planned(running, held, dead).steps == (Expire(dead.key),)
