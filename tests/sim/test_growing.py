"""Recordings that still run: recognised by their growth, archived when they are whole."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from archiver import archive
from archiver.core.events import Asked
from archiver.core.model import DAY_S
from archiver.emulator.server import Emulator
from tests.hasty import Watcher, emulator, hastily, night, now

SMALL = (15_500, 60_000)
# One file at a time, 400 s each: what comes late in a night comes after more than ten minutes.
SLOW: dict[str, Any] = {
    "videos": 4, "size": SMALL, "channels": 1, "playlists": 0, "generation_s": (400.0, 400.0),
}  # fmt: skip
ONE_BY_ONE: dict[str, Any] = {"downloads": 1, "extras": False}


def grow(vendor: Emulator, number: int, size: int) -> None:
    """More of the broadcast is recorded."""
    video = vendor.world.account.videos[number]
    video.size, video.length_s = size, size / 1000


def asked(watcher: Watcher) -> list[int]:
    return [a.key.video_id for _, event, a in watcher.events if isinstance(event, Asked)]


def test_a_video_that_grew_between_two_listings_waits_for_the_next_night(tmp_path: Path) -> None:
    """It was listed ten minutes ago and never asked for; on the third night it is archived."""

    async def story() -> None:
        async with emulator(**SLOW) as vendor:
            first = Watcher()
            short = await night(tmp_path, vendor, first, **ONE_BY_ONE, max_duration_s=700.0)
            assert short.remaining
            left = next(n for n in vendor.world.account.videos if n not in asked(first))
            grow(vendor, left, 80_000)
            second = Watcher()
            skipped = await night(tmp_path, vendor, second, **ONE_BY_ONE)
            assert (skipped.exit_code, skipped.skipped, skipped.remaining) == (0, 1, 0)
            assert left not in asked(second)
            await asyncio.sleep(DAY_S)
            grow(vendor, left, 90_000)  # it went on for an hour and has ended long ago
            third = await night(tmp_path, vendor, **ONE_BY_ONE)
            assert (third.exit_code, third.archived, third.skipped) == (0, 1, 0)
            rows = [row async for row in archive.catalogue(str(tmp_path))]
            (held,) = [row.as_json() for row in rows if row.as_json()["id"] == str(left)]
            assert (held["version"], held["bytes"]) == (1, vendor.world.content(left, "mp4").size)
            assert (await night(tmp_path, vendor, **ONE_BY_ONE)).api_calls.request == 0

    hastily(story())


@pytest.mark.parametrize("grows", [True, False])
def test_a_young_video_goes_last_and_is_looked_at_once_before_it_is_asked_for(
    tmp_path: Path, grows: bool
) -> None:
    """What grew since it was listed is skipped; what did not is archived the same night."""

    async def story() -> None:
        watcher = Watcher()
        async with emulator(**SLOW) as vendor:
            young = vendor.world.add_video(title="On air", now=now() - 3600)
            vendor.world.add_video(title="Later number, older", now=now() - 5 * 3600)

            async def broadcast() -> None:
                await anyio.sleep(300)
                if grows:
                    grow(vendor, young.id, 80_000)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(broadcast)
                summary = await night(tmp_path, vendor, watcher, **ONE_BY_ONE)
            assert (summary.exit_code, summary.skipped) == (0, int(grows))
            assert summary.api_calls.extras == 2 + 1, "two dates of deletion, and one look"
            assert (asked(watcher)[-1] == young.id) is not grows
            assert (young.id in asked(watcher)) is not grows
            await asyncio.sleep(DAY_S)
            again = await night(tmp_path, vendor, **ONE_BY_ONE)
            assert (again.exit_code, again.archived) == (0, int(grows))

    hastily(story())


def test_a_run_does_not_idle_for_ten_minutes_to_look_at_a_young_video(tmp_path: Path) -> None:
    """Where nothing else is to be done it is asked for at once, without a look."""

    async def story() -> None:
        async with emulator(**{**SLOW, "videos": 0, "generation_s": (1.0, 1.0)}) as vendor:
            vendor.world.add_video(title="Just ended", now=now() - 60)
            summary = await night(tmp_path, vendor, **ONE_BY_ONE)
            assert (summary.exit_code, summary.archived, summary.api_calls.extras) == (0, 1, 1)
            assert summary.seconds < 60

    hastily(story())


def test_the_answer_to_the_look_is_not_asked_for_again_as_an_extra(tmp_path: Path) -> None:
    """No call is made twice in one night: a young video costs what an older one does."""

    async def story(hours: int) -> int:
        async with emulator(**SLOW) as vendor:
            vendor.world.add_video(title="Whole", now=now() - hours * 3600)
            summary = await night(tmp_path / str(hours), vendor, downloads=1, extras=True)
            assert summary.archived == 5
            return summary.api_calls.extras

    assert hastily(story(1)) == hastily(story(5)) > 0
