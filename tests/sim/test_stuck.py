"""Files that the vendor never makes: they must not stand in the way of those that it does."""

from __future__ import annotations

from pathlib import Path

from tests.hasty import emulator, hastily, night

SMALL = (15_500, 60_000)


def test_files_that_are_never_ready_do_not_hold_up_the_others(tmp_path: Path) -> None:
    """More of them than may be outstanding at the start, and first in the order."""

    async def story() -> None:
        async with emulator(videos=40, size=SMALL, channels=1) as vendor:
            stuck = sorted(vendor.world.account.videos)[:12]
            vendor.world.faults.set([f"pending-forever@{number}" for number in stuck])
            summary = await night(tmp_path, vendor, max_wait_s=1800.0)
            assert (summary.archived, summary.remaining) == (28, 12)
            assert set(vendor.stats["posts_by_video"].values()) == {1}

    hastily(story())
