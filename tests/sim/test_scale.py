"""A channel of a hundred thousand videos: what a plan costs does not grow with the channel."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest

from archiver.adapters.ledger import SqliteLedger
from archiver.core.agenda import Agenda
from archiver.core.events import Asked, NotFound
from archiver.core.model import Instant, JobState, Video, VideoId
from archiver.core.schedule import plan
from archiver.core.steps import Budget, Policy, Request
from tests.hasty import emulator, hastily, night

VIDEOS, PAGE, WINDOW = 100_000, 1000, 200
NOW = Instant(1_790_000_000.0)
BUDGET = Budget(
    calls=8, more_at=NOW, polls=4, fetches=8, files_most=8, bytes_most=float("inf"),
    disk_bytes=float(1 << 60), typical_bytes=1 << 30,
)  # fmt: skip


def page(first: int) -> list[Video]:
    return [
        Video(VideoId(number), f"Video {number}", size_bytes=1 << 30)
        for number in range(first, first + PAGE)
    ]


@pytest.mark.slow
def test_a_hundred_thousand_videos_are_planned_in_a_window(tmp_path: Path) -> None:
    """At most a window is in memory, asked for in order, from the first night to the last."""

    async def story() -> None:
        async with await SqliteLedger.open(tmp_path / "ledger.sqlite3") as ledger:
            for first in range(1, VIDEOS + 1, PAGE):
                videos = page(first)
                await ledger.reconcile(videos, NOW, "mp4")
                await ledger.select([video.id for video in videos])
            tracemalloc.start()
            for _ in range(20):
                window = await ledger.window(NOW, "mp4", WINDOW)
                assert window.more
                assert len(window.jobs) == WINDOW
                steps = plan(Agenda(window.jobs), set(), NOW, BUDGET, Policy()).steps
                assert [type(step) for step in steps] == [Request] * 8
                jobs = {job.key: job for job in window.jobs}
                for step in steps:
                    asked = await ledger.record(jobs[step.key], Asked(NOW), NOW)
                    await ledger.record(asked, NotFound(), NOW)
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert held < 8 << 20
            counts = await ledger.counts("mp4")
            assert counts[JobState.GONE] == 160
            assert counts[JobState.DISCOVERED] == VIDEOS - 160

    asyncio.run(story())


@pytest.mark.slow
def test_a_channel_that_takes_many_nights_is_archived_piece_by_piece(tmp_path: Path) -> None:
    """Each night ends in time and goes on where the last one was; no call is made twice."""
    videos = 300

    async def story() -> None:
        config = {"videos": videos, "channels": 1, "size": (15_500, 30_000), "window_s": 600.0}
        async with emulator(line_bytes_s=30_000, **config) as vendor:
            nights, lists = 0, 0
            while True:
                summary = await night(tmp_path, vendor, max_duration_s=60.0)
                nights += 1
                assert summary.api_calls.list <= lists or nights == 1
                lists = summary.api_calls.list
                if summary.exit_code == 0:
                    break
                assert (summary.exit_code, summary.outcome) == (5, "stopped")
                assert summary.archived > 20
                assert summary.seconds < 120
                assert nights < 20
            assert nights > 2, "it was no work for many nights"
            assert lists <= videos / 50 + 2
            assert set(vendor.stats["posts_by_video"].values()) == {1}
            assert len(vendor.stats["posts_by_video"]) == videos
            assert vendor.stats["expired"] == 0

    hastily(story())
