"""The testers tested: a program that is broken on purpose fails within a few worlds.

A simulation in which nothing ever fails may be one that looks at nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from archiver import engine
from archiver.adapters.ledger import intake
from archiver.core import admission, lifecycle, schedule
from archiver.core import listing as listings
from archiver.core.events import Asked, Progressed, Reopened
from archiver.core.model import NEVER, Instant, Job, JobState
from archiver.core.steps import Poll, Request
from tests.sim import core_night, core_world, engine_world, memory_vault

Patch = pytest.MonkeyPatch


def ignoring_busy(patch: Patch) -> None:
    """A second hand takes up what another holds."""
    real = schedule.plan

    def plan(jobs: Any, busy: Any, *rest: Any) -> Any:
        return real(jobs, frozenset(), *rest)

    patch.setattr(core_night, "plan", plan)
    patch.setattr(engine, "plan", plan)


def forgetting_asked_at(patch: Patch) -> None:
    """The intent of a POST is not written down."""
    real = lifecycle.apply

    def apply(job: Job, event: Any) -> Job:
        after = real(job, event)
        return replace(after, asked_at=None) if isinstance(event, Asked) else after

    patch.setattr(core_night, "apply", apply)
    patch.setattr("archiver.adapters.ledger.sqlite.apply", apply)


def posting_instead_of_asking(patch: Patch) -> None:
    """After a lost answer the file is simply requested again."""
    real = schedule.next_step

    def next_step(job: Job, *rest: Any) -> Any:
        step = real(job, *rest)
        lost = isinstance(step, Poll) and job.state is JobState.DISCOVERED
        return Request(job.key) if lost else step

    patch.setattr(schedule, "next_step", next_step)


def polls_that_never_come_due(patch: Patch) -> None:
    """Who is told "not yet" is never asked again."""
    patch.setattr(schedule, "poll_at", lambda *_: NEVER)


def admission_off(patch: Patch) -> None:
    """Everything is asked for at once."""

    def admits(spender: admission.Spender, job: Job) -> bool:
        return True

    patch.setattr(admission.Spender, "_admits", admits)


def fetching_from_the_beginning(patch: Patch) -> None:
    """What is saved is not gone on with: bytes that were durable go down without a reason."""
    real = lifecycle.apply

    def apply(job: Job, event: Any) -> Job:
        after = real(job, event)
        grew = isinstance(event, Progressed) and 0 < job.saved.bytes < after.saved.bytes
        return replace(after, saved=replace(after.saved, bytes=1)) if grew else after

    patch.setattr(core_night, "apply", apply)
    patch.setattr("archiver.adapters.ledger.sqlite.apply", apply)


def gone_because_it_is_not_listed(patch: Patch) -> None:
    """A listing that leaves a video out takes it away."""
    real = core_world.World.list

    def listed(world: core_world.World, now: Instant) -> None:
        shown = {video.id for video in world.studio.listing()}
        for key, job in world.rows.items():
            if key.video_id not in shown and not job.state.is_final:
                world.rows[key] = replace(job, state=JobState.GONE, reason="not listed")
        real(world, now)

    patch.setattr(core_world.World, "list", listed)


def opening_dead_addresses(patch: Patch) -> None:
    """An address is opened although its time is over."""
    real = schedule.next_step

    def next_step(job: Job, now: Instant, *rest: Any) -> Any:
        link = job.link and replace(job.link, expires_at=NEVER)
        return real(replace(job, link=link), now, *rest)

    patch.setattr(schedule, "next_step", next_step)


def joining_without_looking(patch: Patch) -> None:
    """Bytes of another address are appended to what is there."""
    patch.setattr(memory_vault.MemoryPart, "holds", lambda *_: True)


def telling_before_the_commit(patch: Patch) -> None:
    """A file is told to be archived, and the ledger does not have it."""
    real = intake.record

    def record(db: Any, before: Job, after: Job, event: Any, at: Any) -> None:
        if after.state is not JobState.ARCHIVED:
            real(db, before, after, event, at)

    patch.setattr(intake, "record", record)


def keeping_shut_what_was_reopened(patch: Patch) -> None:
    """What a new run, or a listing, asks for again stays as it was."""
    real = lifecycle.apply

    def apply(job: Job, event: Any) -> Job:
        after = real(job, event)
        return replace(after, state=JobState.PARKED) if isinstance(event, Reopened) else after

    patch.setattr(core_world, "apply", apply)
    patch.setattr(listings, "apply", apply)
    patch.setattr(intake, "apply", apply)


def expecting_an_older_listing(patch: Patch) -> None:
    """A replaced video that is asked for again is taken for the one before."""
    patch.setattr(intake, "asked", lambda job, seen: job)


REPLACED = frozenset({"video replaced", "denied", "not now", "never made", "answer lost"})
REGENERATED = frozenset(
    {"broken", "refused", "forgotten", "other bytes", "cut at expiry", "crash"}
)  # fmt: skip
FEW = range(3)
BREAKS = [
    (ignoring_busy, core_world, FEW, None),
    (ignoring_busy, engine_world, FEW, None),
    (forgetting_asked_at, core_world, FEW, None),
    (forgetting_asked_at, engine_world, FEW, None),
    (posting_instead_of_asking, engine_world, FEW, None),
    (polls_that_never_come_due, engine_world, FEW, None),
    (admission_off, core_world, FEW, None),
    (fetching_from_the_beginning, engine_world, FEW, None),
    (gone_because_it_is_not_listed, core_world, range(27, 31), None),
    (opening_dead_addresses, core_world, range(6, 10), None),
    (joining_without_looking, engine_world, range(96, 98), REGENERATED),
    (expecting_an_older_listing, engine_world, range(40, 41), REPLACED),
    (telling_before_the_commit, engine_world, FEW, None),
    (keeping_shut_what_was_reopened, engine_world, FEW, None),
]


@pytest.mark.parametrize(("broken", "kind", "seeds", "faults"), BREAKS)
def test_a_broken_program_is_found_out(
    broken: Callable[[Patch], None], kind: ModuleType, seeds: range, faults: frozenset[str] | None,
    monkeypatch: Patch,
) -> None:  # fmt: skip
    """By one of a few worlds, all of which are well without the break."""
    assert [kind.run(seed, faults).failure for seed in seeds] == [""] * len(seeds)
    broken(monkeypatch)
    assert any(kind.run(seed, faults).failure for seed in seeds)
