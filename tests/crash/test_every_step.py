"""Killed before every single step that changes the disk or the ledger, one step after the other."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.crash.program import (
    Place,
    Vendor,
    Warm,
    is_complete,
    is_valid_bag,
    nothing_is_lost,
    vendor,
)
from tests.crash.test_kill import catalogue

VENDOR = ["--videos", "2", "--size", "20k", "--generation", "0"]
STEPS_MOST = 1000


def dies_before(step: int, root: Path, them: Vendor, program: Warm) -> bool:
    """Kill a first run before its *step*-th step, and its recovery too; False where it ended."""
    program.place = place = Place(root, them.env)
    killed = program.run(*place.run_args("--downloads", "1", "--requests", "1"), fuse=step)
    assert killed.code in (-9, 0), killed.err
    if place.is_made:
        program.run("retry", str(place.dest), fuse=step % 13 + 1)
        again = program.run("retry", str(place.dest))
        assert again.code == 0, (step, again.err)
        nothing_is_lost(place)
        is_valid_bag(place.dest)
    last = program.run(*place.run_args())
    assert (last.code, last.summary["outcome"]) == (0, "complete"), (step, last.err)
    is_complete(place, them, catalogue(place, program))
    return killed.code == -9


def stops_before(step: int, root: Path, them: Vendor, program: Warm, on: str = "") -> None:
    """Ask a first run to stop before its *step*-th step: half a step is never left behind."""
    program.place = place = Place(root, them.env)
    told = program.run(*place.run_args(), fuse=step, number=signal.SIGTERM, on=on)
    assert (told.code, told.summary["outcome"]) in ((5, "stopped"), (0, "complete")), told.err
    nothing_is_lost(place)
    is_valid_bag(place.dest)
    last = program.run(*place.run_args())
    assert (last.code, last.summary["outcome"]) == (0, "complete"), (step, last.err)
    is_complete(place, them, catalogue(place, program))


def test_some_steps(tmp_path: Path) -> None:
    """A sample over the whole length of a run."""
    with vendor(*VENDOR) as them:
        program = Warm(Place(tmp_path / "none"))
        step = 1
        while dies_before(step, tmp_path / str(step), them, program):
            step += 43
        assert 50 < step < STEPS_MOST  # it did reach the end of a run of many steps


def test_a_run_that_is_stopped_in_a_publication_leaves_a_valid_bag(tmp_path: Path) -> None:
    """A file and its sidecar are published, recorded and listed together, or not at all."""
    with vendor(*VENDOR) as them:
        program = Warm(Place(tmp_path / "none"))
        for step in (1, 2, 4):  # where the files get their names
            stops_before(step, tmp_path / str(step), them, program, "rename_noreplace")


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_stopped_before_every_step(tmp_path: Path) -> None:
    """The same for the whole length of a run."""
    with vendor(*VENDOR) as them:
        program = Warm(Place(tmp_path / "none"))
        for step in range(1, 140, 3):
            stops_before(step, tmp_path / str(step), them, program)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_every_step(tmp_path: Path) -> None:
    """All of them."""
    with vendor(*VENDOR) as them:
        program = Warm(Place(tmp_path / "none"))
        for step in range(1, STEPS_MOST):
            if not dies_before(step, tmp_path / str(step), them, program):
                return
    pytest.fail("the run never came to its end")
