"""Nights on which something is wrong for hours: one video, the clock, the limit, the disk.

Real: everything but the time.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from archiver import archive
from archiver.adapters.clock import SystemClock
from archiver.adapters.http import tcp_connector
from archiver.adapters.publish import LocalVault
from archiver.core.events import Event
from archiver.core.model import Job
from archiver.core.selection import AccountSource
from archiver.core.summary import Summary
from archiver.emulator.server import Emulator
from archiver.errors import DestinationError
from archiver.run_options import RunOptions
from archiver.surroundings import Surroundings
from tests.hasty import Watcher, account_of, emulator, hastily, night, now

SMALL = (15_500, 60_000)
HOUR_S = 3600.0


async def behind(dest: Path, vendor: Emulator, behind_s: float, **options: Any) -> Summary:
    """A run on a machine whose clock is *behind_s* behind."""
    loop = asyncio.get_running_loop()
    wrong = Surroundings(lambda: SystemClock(lambda: now() - behind_s, loop.time), tcp_connector)
    wanted = RunOptions(**{"sources": (AccountSource(),), "extras": False, **options})
    account = account_of(vendor)
    return await archive.run(str(dest), account, wanted, Watcher(), anyio.Event(), wrong)


@pytest.mark.parametrize(
    "behind_s", [7 * HOUR_S, -7 * HOUR_S, pytest.param(9 * 86_400.0, marks=pytest.mark.slow)]
)
def test_a_time_limit_counts_from_the_start_whatever_the_clock_says(
    tmp_path: Path, behind_s: float
) -> None:
    """The vendor's Date sets the clock right under way; the limit is not moved by that."""

    async def story() -> None:
        async with emulator(videos=12, size=(500_000, 500_000), line_bytes_s=100_000) as vendor:
            began = now()
            short = await behind(tmp_path, vendor, behind_s, downloads=1, max_duration_s=30.0)
            assert short.outcome == "stopped"
            assert 0 < short.archived < 12
            assert 25 < now() - began < 60
            assert short.seconds == pytest.approx(now() - began, abs=5)
            rest = await behind(tmp_path, vendor, behind_s, max_duration_s=600.0)
            assert (rest.exit_code, rest.remaining) == (0, 0)

    hastily(story())


def test_a_clock_hours_behind_does_not_give_up_a_listing_at_the_first_503(tmp_path: Path) -> None:
    """Waiting is measured from the first failure, whose answer has set the clock right."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL, faults=("list-503*2",)) as vendor:
            assert (await behind(tmp_path, vendor, 9 * HOUR_S)).exit_code == 0

    hastily(story())


def test_a_time_limit_holds_for_the_listing_too(tmp_path: Path) -> None:
    """An API that is away all night does not keep the run beyond its limit."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL, faults=("list-503!",)) as vendor:
            began = now()
            summary = await night(tmp_path, vendor, max_duration_s=600.0)
            assert (summary.exit_code, summary.outcome) == (5, "stopped")
            assert 590 < now() - began < 700

    hastily(story())


@pytest.mark.parametrize(
    "fault",
    [
        "cdn-503",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("error-500", "error-503")),
    ],
)
def test_one_video_that_only_gets_errors_is_asked_for_with_pauses(
    tmp_path: Path, fault: str
) -> None:
    """The others open the gate again and again; that must not turn one video into a hammer."""

    async def story() -> None:
        async with emulator(videos=20, size=(150_000, 150_000), line_bytes_s=15_000) as vendor:
            one = min(vendor.world.account.videos)
            vendor.world.faults.set([f"{fault}@{one}!"])
            summary = await night(tmp_path, vendor, max_wait_s=900.0)
            assert (summary.exit_code, summary.archived, summary.parked) == (1, 19, 0)
            assert summary.failures[0].reason
            minutes = summary.seconds / 60
            assert vendor.world.faults.fired[fault] < 10 + 3 * minutes

    hastily(story())


def test_who_does_not_want_to_wait_gets_what_can_be_had_at_once(tmp_path: Path) -> None:
    """``--max-wait 0``: what is being generated stays requested for the next run."""

    async def story() -> None:
        async with emulator(videos=12, size=SMALL, generation_s=(0.0, 0.0)) as vendor:
            vendor.world.faults.set([f"pending-forever@{min(vendor.world.account.videos)}"])
            began = now()
            summary = await night(tmp_path, vendor, max_wait_s=0.0)
            assert (summary.exit_code, summary.archived, summary.remaining) == (1, 11, 1)
            assert now() - began < 60

    hastily(story())


def test_a_disk_that_fails_a_question_ends_the_run_with_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share that goes away is found out between two steps as well."""
    asked = 0

    def free_bytes(_: LocalVault) -> int:
        nonlocal asked
        asked += 1
        if asked > 5:
            raise DestinationError("The network share went away.")
        return 1 << 40

    monkeypatch.setattr(LocalVault, "free_bytes", free_bytes)

    async def story() -> None:
        async with emulator(videos=6, size=SMALL, generation_s=(1.0, 5.0)) as vendor:
            summary = await night(tmp_path, vendor)
            assert (summary.exit_code, summary.outcome) == (4, "refused")
            assert "went away" in summary.message

    hastily(story())


def test_one_video_too_large_for_the_disk_does_not_end_the_night_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate limit makes pauses in which nothing is under way; the night goes on after them."""
    monkeypatch.setattr(LocalVault, "free_bytes", lambda _: 10_000_000)

    async def story() -> None:
        async with emulator(
            videos=20, size=SMALL, generation_s=(0.0, 0.0), rate_limit=8, rate_period_s=60.0
        ) as vendor:
            huge = vendor.world.account.videos[min(vendor.world.account.videos)]
            vendor.world.replace_video(huge.id, size=50_000_000)
            summary = await night(tmp_path, vendor)
            assert (summary.exit_code, summary.archived, summary.remaining) == (4, 19, 1)
            assert "too full" in summary.message

    hastily(story())


def test_a_host_in_trouble_is_named_once(tmp_path: Path) -> None:
    """``waiting for https://…: the host answered 503`` needs no second address."""

    async def story() -> None:
        async with emulator(videos=2, size=SMALL, faults=("cdn-503!",)) as vendor:
            seen: list[str] = []

            class Listener(Watcher):
                troubles: Any = tuple

                def watch(self, troubles: Any) -> None:
                    self.troubles = troubles

                def recorded(self, before: Job, event: Event, after: Job) -> None:
                    seen.extend(trouble.reason for trouble in self.troubles())

            await night(tmp_path, vendor, Listener(), max_wait_s=120.0)
            assert any("503" in reason for reason in seen)
            assert not any("http" in reason for reason in seen)

    hastily(story())


def test_a_night_that_saw_no_listing_states_nothing(tmp_path: Path) -> None:
    """Else the list of what is missing, and why, would be gone with the first bad night."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL) as vendor:
            assert (await night(tmp_path, vendor)).exit_code == 0
            before = (tmp_path / "completeness.txt").read_text()
            assert "3 archived" in before
            vendor.world.faults.set(["list-503!"])
            refused = await night(tmp_path, vendor, max_wait_s=60.0)
            assert refused.exit_code != 0
            assert (tmp_path / "completeness.txt").read_text() == before

    hastily(story())
