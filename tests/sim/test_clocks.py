"""Nights on machines whose clocks are wrong, are set, or stand still while the lid is shut.

Real: everything but the time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from archiver import archive
from archiver.adapters.clock import SystemClock
from archiver.core.selection import AccountSource
from archiver.core.summary import Summary
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from archiver.run_options import RunOptions
from archiver.surroundings import Surroundings
from tests.hasty import Watcher, account_of, hastily, now

SMALL = (15_500, 60_000)
HOUR_S, YEAR_S = 3600.0, 365 * 86_400.0


@dataclass
class Machine:
    """A machine in a world where time is the loop's; all in seconds."""

    wrong_s: float = 0.0  # how far its wall clock is ahead
    slept_s: float = 0.0  # how long it has slept: then the loop's timers stood still

    def world(self) -> float:
        """The time of everybody else."""
        return now() + self.slept_s

    def surroundings(self) -> Surroundings:
        loop = asyncio.get_running_loop()
        return Surroundings(
            lambda: SystemClock(
                lambda: self.world() + self.wrong_s, lambda: loop.time() + self.slept_s,
                asyncio.sleep, lambda: self.slept_s,
            )
        )  # fmt: skip

    async def night(self, dest: Path, vendor: Emulator, watcher: Watcher) -> Summary:
        options = RunOptions(sources=(AccountSource(),), extras=False)
        account, stop = account_of(vendor), anyio.Event()
        return await archive.run(
            str(dest), account, options, watcher, stop, self.surroundings()
        )  # fmt: skip

    def vendor(self, **config: object) -> Emulator:
        return Emulator(EmulatorConfig(**config), clock=self.world)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "step_s",
    [
        -10 * YEAR_S,
        *(pytest.param(s, marks=pytest.mark.slow) for s in (HOUR_S, -HOUR_S, 10 * YEAR_S)),
    ],
)
def test_a_clock_that_is_set_during_a_run_changes_nothing(
    tmp_path: Path, step_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Summer time, NTP, a flat battery: no wait is longer, nothing runs out, and it is said."""
    machine, seconds = Machine(), []

    async def story(dest: Path, step_s: float) -> None:
        machine.wrong_s = 0.0
        vendor = machine.vendor(videos=6, size=SMALL, generation_s=(60.0, 300.0), window_s=1200.0)
        async with vendor, anyio.create_task_group() as tasks:

            async def set_clock() -> None:
                await anyio.sleep(120)
                machine.wrong_s = step_s

            tasks.start_soon(set_clock)
            summary = await machine.night(dest, vendor, Watcher())
            assert (summary.exit_code, summary.archived, summary.expired) == (0, 6, 0)
            assert set(vendor.stats["posts_by_video"].values()) == {1}
            seconds.append(summary.seconds)

    hastily(story(tmp_path / "calm", 0.0))
    assert "clock was set" not in caplog.text
    hastily(story(tmp_path / "set", step_s))
    assert f"clock was set by {step_s:+.0f} s" in caplog.text
    assert seconds[1] == pytest.approx(seconds[0], rel=0.2)


@pytest.mark.parametrize("wrong_s", [26 * HOUR_S, -26 * HOUR_S])
def test_deadlines_are_read_by_the_vendors_clock(tmp_path: Path, wrong_s: float) -> None:
    """26 hours off, windows of ten minutes: nothing is taken for expired, nothing is missed."""
    machine, watcher = Machine(wrong_s=wrong_s), Watcher()

    async def story() -> None:
        vendor = machine.vendor(videos=6, size=SMALL, generation_s=(60.0, 300.0), window_s=600.0)
        async with vendor:
            summary = await machine.night(tmp_path, vendor, watcher)
            assert (summary.exit_code, summary.archived, summary.expired) == (0, 6, 0)
            assert set(vendor.stats["posts_by_video"].values()) == {1}
            began_s = summary.started_at - machine.world()
            assert -HOUR_S < began_s <= 0

    hastily(story())
    told = [said for said in watcher.words if "s from the vendor's" in said]
    assert len(told) == 1
    assert int(told[0].split()[4]) == pytest.approx(wrong_s, abs=3)


def test_a_machine_that_slept_for_hours_looks_again_at_once(tmp_path: Path) -> None:
    """What became ready and what ran out meanwhile is seen within a minute of waking."""
    machine = Machine()

    async def story() -> None:
        vendor = machine.vendor(
            videos=6, size=SMALL, generation_s=(4 * HOUR_S, 5 * HOUR_S), window_s=6 * HOUR_S
        )
        loop = asyncio.get_running_loop()
        async with vendor, anyio.create_task_group() as tasks:
            woken_at = 1000.0

            async def sleep() -> None:
                await anyio.sleep(woken_at - loop.time())
                machine.slept_s = 8 * HOUR_S
                vendor.cut()  # no connection outlives such a sleep

            tasks.start_soon(sleep)
            summary = await machine.night(tmp_path, vendor, Watcher())
            assert (summary.exit_code, summary.archived, summary.expired) == (0, 6, 0)
            assert loop.time() - woken_at < 120
            assert summary.seconds > 8 * HOUR_S

    hastily(story())
