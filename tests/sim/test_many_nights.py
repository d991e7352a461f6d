"""Night after night on an account that lives: exactly what changed is fetched, nothing is lost."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import bagit
import pytest

from archiver import archive
from archiver.core.model import DAY_S
from tests.hasty import emulator, hastily, night, now

SMALL = (15_500, 60_000)


@pytest.mark.parametrize("nights", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_every_night_fetches_what_changed_that_day(tmp_path: Path, nights: int) -> None:
    """New, replaced, renamed and deleted videos, by the emulator's counters and the files."""
    dice = random.Random(30)

    async def story() -> None:
        async with emulator(videos=60, channels=3, size=SMALL, private_share=0.3) as vendor:
            first = await night(tmp_path, vendor)
            assert (first.exit_code, first.archived) == (0, 60)
            world, posts, versions = vendor.world, vendor.stats["posts"], 60
            stands = {p: p.read_bytes() for p in (tmp_path / "data").rglob("*.mp4")}
            for number in range(1, nights + 1):
                await asyncio.sleep(DAY_S)
                old = list(world.account.videos)
                replaced, renamed, deleted = dice.sample(old, 3)
                new = dice.choice((0, 1, 5))
                for _ in range(new):
                    world.add_video(title=f"Day {number}", now=now() - 5 * 3600)
                world.replace_video(replaced, size=70_000 + number)
                world.rename_video(renamed, f"Called so on day {number}")
                world.delete_video(deleted)
                summary = await night(tmp_path, vendor)
                listed = len(world.account.videos)
                assert (summary.exit_code, summary.archived) == (0, new + 1)
                assert (summary.selected, summary.expired, summary.gone) == (listed, 0, 0)
                posts, versions = posts + new + 1, versions + new + 1
                assert vendor.stats["posts"] == posts
                files = set((tmp_path / "data").rglob("*.mp4"))
                assert len(files) == versions
                assert set(stands) <= files, "something that stood there is gone"
                stands |= {p: p.read_bytes() for p in files - set(stands)}
            assert all(path.read_bytes() == content for path, content in stands.items())

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()
    assert asyncio.run(archive.verify(str(tmp_path))).exit_code == 0
