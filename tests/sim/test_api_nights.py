"""Nights on which the vendor's API misbehaves, one way at a time.

Real: everything but the time.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from archiver.core.events import Event
from archiver.core.model import DAY_S, Job
from archiver.emulator.server import Emulator
from tests.hasty import Watcher, emulator, hastily, night, now

SMALL = (15_500, 60_000)


async def one_bad(dest: Path, fault: str, **options: Any) -> tuple[Any, Emulator, int]:
    """A night of six videos of which the API is struck at every opportunity about one."""
    async with emulator(videos=6, size=SMALL, channels=1) as vendor:
        bad = min(vendor.world.account.videos)
        vendor.world.faults.set([f"{fault}@{bad}!"])
        summary = await night(dest, vendor, **{"max_wait_s": 3600.0, **options})
        assert vendor.world.faults.fired[fault] > 0
        assert summary.archived == 5
        return summary, vendor, vendor.stats["posts_by_video"][f"{bad}/mp4"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("forget", "forgot"),
        ("expires-past", "run out"),
        ("url-null", "without a usable address"),
        ("unavailable", "does not prepare"),
    ],
)
def test_what_leads_nowhere_is_asked_for_five_times_a_night(
    tmp_path: Path, fault: str, reason: str
) -> None:
    """The others are archived; the one is left for the next run, with its reason."""

    async def story() -> None:
        summary, _, posts = await one_bad(tmp_path, fault)
        assert (summary.exit_code, summary.remaining) == (1, 1)
        assert 2 <= posts <= 5
        assert reason in summary.failures[0].reason

    hastily(story())


def test_a_status_that_nobody_knows_is_waited_for_and_named(tmp_path: Path) -> None:
    """One POST, polls ever more seldom, and the vendor's own word in the report."""

    async def story() -> None:
        summary, vendor, posts = await one_bad(tmp_path, "unknown-status")
        assert (summary.exit_code, summary.remaining, posts) == (1, 1, 1)
        assert "'processing'" in summary.failures[0].reason
        assert max(vendor.stats["polls_by_video"].values()) < 40

    hastily(story())


def test_a_video_that_is_denied_is_parked_alone(tmp_path: Path) -> None:
    """403 for one video is that video's end for tonight, after one POST."""

    async def story() -> None:
        summary, _, posts = await one_bad(tmp_path, "denied")
        assert (summary.exit_code, summary.parked, posts) == (1, 1, 1)
        assert "denies" in summary.failures[0].reason

    hastily(story())


def test_what_is_pending_for_two_days_is_parked_and_asked_after_once_a_night(
    tmp_path: Path,
) -> None:
    """No night waits for it any more, no second POST is made, and it comes when it is ready."""

    async def story() -> None:
        async with emulator(videos=1, size=SMALL, faults=("pending-forever",)) as vendor:
            first = await night(tmp_path, vendor, max_wait_s=3600.0)
            assert (first.exit_code, first.remaining) == (1, 1)
            for _ in range(2):
                await asyncio.sleep(2 * DAY_S)
                polls, began = vendor.stats["polls"], now()
                late = await night(tmp_path, vendor, max_wait_s=3600.0)
                assert (late.exit_code, late.parked) == (1, 1)
                assert "48 hours" in late.failures[0].reason
                assert vendor.stats["polls"] == polls + 1
                assert now() - began < 60
            vendor.world.versions[0].ready_at = now() - 1
            vendor.world.versions[0].expires_at = now() + DAY_S
            done = await night(tmp_path, vendor)
            assert (done.exit_code, done.archived) == (0, 1)
            assert vendor.stats["posts"] == 1

    hastily(story())


@pytest.mark.parametrize("fault", ["flap", "other-address!"])
def test_the_last_answer_counts(tmp_path: Path, fault: str) -> None:
    """Refused once by the download host, then pending again or at another address: no new POST."""

    async def story() -> None:
        faults = ("html-body", fault)
        async with emulator(videos=4, size=SMALL, faults=faults) as vendor:
            summary = await night(tmp_path, vendor)
            assert (summary.exit_code, summary.archived) == (0, 4)
            assert vendor.stats["faults"][fault.rstrip("!")] > 0
            assert set(vendor.stats["posts_by_video"].values()) == {1}

    hastily(story())


def test_a_post_whose_answer_is_lost_is_asked_after_and_not_repeated(tmp_path: Path) -> None:
    """It took effect: a GET tells, and there is no second POST."""

    async def story() -> None:
        async with emulator(videos=6, size=SMALL, faults=("lost-answer",)) as vendor:
            summary = await night(tmp_path, vendor)
            assert (summary.exit_code, summary.archived) == (0, 6)
            assert vendor.stats["faults"]["lost-answer"] == 6
            assert set(vendor.stats["posts_by_video"].values()) == {1}

    hastily(story())


def test_a_revoked_token_is_renewed_once_and_nothing_else_happens(tmp_path: Path) -> None:
    """The call is replayed; jobs keep their state."""

    async def story() -> None:
        async with emulator(videos=6, size=SMALL, generation_s=(60.0, 600.0)) as vendor:
            watcher = Watcher()

            async def revoke() -> None:
                await anyio.sleep(30)
                vendor.world.faults.set(["revoke-token*1"])

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(revoke)
                summary = await night(tmp_path, vendor, watcher)
            assert (summary.exit_code, summary.archived) == (0, 6)
            assert (vendor.stats["tokens"], vendor.stats["unauthorized"]) == (2, 1)
            assert all(after.failures == 0 for _, _, after in watcher.events)

    hastily(story())


def test_a_token_that_stays_refused_ends_the_night_after_the_running_downloads(
    tmp_path: Path,
) -> None:
    """Two 401 in a row are a person's turn (code 3); what comes over the line is not cut off."""

    async def story() -> None:
        config: dict[str, Any] = {"size": (400_000, 400_000), "line_bytes_s": 20_000}
        async with emulator(videos=4, generation_s=(0.0, 30.0), **config) as vendor:

            async def refuse() -> None:
                await anyio.sleep(5)
                vendor.world.faults.set(["unauthorized!"])

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(refuse)
                summary = await night(tmp_path, vendor)
            assert (summary.exit_code, summary.outcome) == (3, "refused")
            assert summary.archived > 0
            assert vendor.stats["unauthorized"] < 2 * 4 + 2

    hastily(story())


class Times(Watcher):
    """Remembers when jobs moved."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        super().recorded(before, event, after)
        if before.state is not after.state:
            self.at.append(now())


async def calls_of_a_night(dest: Path, faults: list[str]) -> int:
    """API calls of a night of 250 videos, *faults* striking for ten minutes in its middle."""
    times = Times()
    # The rate limit spreads the calls over a good quarter of an hour.
    config: dict[str, Any] = {"size": (15_500, 20_000), "rate_limit": 24, "rate_period_s": 60.0}
    async with emulator(videos=250, channels=1, generation_s=(1.0, 20.0), **config) as vendor:
        over = 0.0

        async def storm() -> None:
            nonlocal over
            await anyio.sleep(60)
            vendor.world.faults.set(faults)
            await anyio.sleep(600)
            vendor.world.faults.set([])
            over = now()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(storm)
            summary = await night(dest, vendor, times)
        assert (summary.exit_code, summary.archived) == (0, 250)
        assert (summary.parked, summary.remaining) == (0, 0)
        assert min(at for at in times.at if at > over) < over + 60
        calls = summary.api_calls
        return calls.token + calls.list + calls.request + calls.poll


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults",
    [
        ["error-503!", "list-503!"],
        ["error-500:0.2", "error-502:0.2", "error-504:0.2"],
        ["html!"],
        ["token-503!", "revoke-token:0.1"],
    ],
    ids=["503", "every other", "web page", "token"],
)
def test_ten_bad_minutes_cost_a_tenth_of_the_calls_at_most(
    tmp_path: Path, faults: list[str]
) -> None:
    """No job is lost, work goes on within a minute of the end, few calls are wasted."""
    quiet = hastily(calls_of_a_night(tmp_path / "quiet", []))
    stormy = hastily(calls_of_a_night(tmp_path / "stormy", faults))
    assert stormy <= 1.1 * quiet
