"""Waiting for what the vendor makes late, or never: it must not stand in the way of the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.hasty import emulator, hastily, night, now

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


def test_a_vendor_that_became_quick_is_seen_before_the_run_stops_waiting(tmp_path: Path) -> None:
    """Known for two hours a file, and now ready in a second: the first look would come too late.

    In the next run, a day later, that version would have run out, night after night.
    """

    async def story() -> None:
        async with emulator(videos=6, size=SMALL, generation_s=(7_200.0, 7_240.0)) as vendor:
            assert (await night(tmp_path, vendor)).archived == 6
            vendor.world.config = replace(vendor.world.config, generation_s=(1.0, 1.0))
            vendor.world.add_video(size=20_000)
            polls = vendor.stats["polls"]
            tonight = await night(tmp_path, vendor, max_wait_s=1800.0)
            assert (tonight.exit_code, tonight.archived) == (0, 1)
            assert vendor.stats["polls"] == polls + 1

    hastily(story())


def test_what_is_not_ready_at_the_last_look_is_looked_at_no_more(tmp_path: Path) -> None:
    """One call more, and the run ends as it would have: waiting is not begun anew."""

    async def story() -> None:
        async with emulator(videos=6, size=SMALL, generation_s=(7_200.0, 7_240.0)) as vendor:
            assert (await night(tmp_path, vendor)).archived == 6
            vendor.world.add_video(size=20_000)
            polls, began = vendor.stats["polls"], now()
            tonight = await night(tmp_path, vendor, max_wait_s=1800.0)
            assert (tonight.exit_code, tonight.remaining) == (1, 1)
            assert vendor.stats["polls"] == polls + 1
            assert 1800 <= now() - began < 1900

    hastily(story())
