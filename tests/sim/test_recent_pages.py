"""Long listings on weeknights: the newest pages are read, and nothing of the rest is lost.

The real client, lister and ledger; nothing is downloaded, so that a long account costs a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archiver import archive
from archiver.adapters.clock import SystemClock
from archiver.adapters.ledger import SqliteLedger
from archiver.connecting import Connection, connected
from archiver.core import recency
from archiver.core.model import DAY_S, ChannelId, VideoId
from archiver.core.selection import (
    ALL,
    AccountSource,
    ChannelSource,
    Filter,
    PlaylistSource,
    Source,
    VideoSource,
)
from archiver.core.summary import Reading
from archiver.emulator.server import Emulator
from archiver.errors import ListingError
from archiver.lister import Lister
from archiver.run_options import RunOptions
from tests.hasty import Watcher, account_of, emulator, hastily, night, now

VIDEOS, PAGES = 63, 7
CONFIG: dict[str, Any] = {
    "videos": VIDEOS, "page_videos": 10, "channels": 1, "playlists": 0, "size": (15_500, 60_000),
}  # fmt: skip


@pytest.fixture(autouse=True)
def a_few_pages_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real bound is held by ``tests/core``; seven pages tell the same as seventy."""
    monkeypatch.setattr(recency, "CHEAP_MOST", 20)


@dataclass
class Night:
    """What one listing of the account told, and what it cost."""

    lister: Lister
    ids: set[VideoId]
    calls: int

    @property
    def reading(self) -> Reading:
        return self.lister.read[-1].reading


@dataclass
class Nights:
    """An account, a ledger, and the way between them."""

    vendor: Emulator
    to: Connection
    ledger: SqliteLedger
    clock: SystemClock

    async def listed(
        self, *sources: Source, wanted: Filter = ALL, variant: str = "mp4", **how: bool
    ) -> Night:
        """One night's listing, taken in like a run does it."""
        lister = Lister(self.to.vendor, self.ledger, self.clock, Watcher(), variant)
        before, ids = self.to.calls.list, set[VideoId]()
        async for batch in lister.videos(sources or (AccountSource(),), wanted, **how):
            await self.ledger.reconcile(batch, self.clock.now(), variant)
            assert not ids & {video.id for video in batch}
            ids |= {video.id for video in batch}
        assert not ids & set(lister.remembered)
        return Night(lister, ids | set(lister.remembered), self.to.calls.list - before)


@asynccontextmanager
async def nights(tmp_path: Path, **config: Any) -> AsyncIterator[Nights]:
    """An account that was never listed."""
    async with emulator(**{**CONFIG, **config}) as vendor:
        clock = SystemClock(now, asyncio.get_running_loop().time)
        async with (
            connected(account_of(vendor), clock) as to,
            await SqliteLedger.open(tmp_path / "ledger.sqlite3") as ledger,
        ):
            yield Nights(vendor, to, ledger, clock)


@asynccontextmanager
async def the_next_night(tmp_path: Path, **config: Any) -> AsyncIterator[Nights]:
    """An account that was listed to its end a day ago."""
    async with nights(tmp_path, **config) as here:
        await here.listed()
        await asyncio.sleep(DAY_S)
        yield here


def everything(vendor: Emulator) -> set[VideoId]:
    return {VideoId(number) for number in vendor.world.account.videos}


def test_on_weeknights_the_newest_pages_are_read_and_on_sundays_all(tmp_path: Path) -> None:
    """The selection is the same; a new video is found the night it comes."""

    async def story() -> None:
        async with nights(tmp_path) as here:
            first = await here.listed()
            assert (first.reading, first.lister.remembered) == (Reading.WHOLE, [])
            assert first.calls >= PAGES
            whole = []
            for day in range(1, 9):
                await asyncio.sleep(DAY_S)
                here.vendor.world.add_video(title=f"Day {day}", now=now())
                again = await here.listed()
                assert again.ids == everything(here.vendor)
                assert again.lister.listed == len(again.ids)
                if again.reading is Reading.WHOLE:
                    whole.append(day)
                else:
                    assert again.calls <= 5  # two pages, the first once more, the channels
            assert whole == [7]

    hastily(story())


@pytest.mark.parametrize(
    "how", ["asked for", "limited", "another format", "a rebuilt ledger", "a channel not read yet"]
)
def test_the_whole_listing_is_read_where_the_ledger_cannot_know_the_rest(
    tmp_path: Path, how: str
) -> None:
    """Rather too many calls than a video that nobody asks for until Sunday."""

    async def story() -> None:
        async with AsyncExitStack() as stack, the_next_night(tmp_path) as here:
            wanted, sources, how_read = ALL, list[Source](), dict[str, bool]()
            match how:
                case "asked for":
                    how_read = {"whole": True}
                case "limited":
                    wanted = Filter(limit=VIDEOS - 3)
                case "a rebuilt ledger":
                    await here.ledger.close()
                    here.ledger = await stack.enter_async_context(
                        await SqliteLedger.open(tmp_path / "rebuilt.sqlite3")
                    )  # fmt: skip
                case "a channel not read yet":
                    channel = next(iter(here.vendor.world.account.channels))
                    sources = [ChannelSource(ChannelId(channel))]
                case _:
                    assert how == "another format"
            variant = "flv" if how == "another format" else "mp4"
            again = await here.listed(*sources, wanted=wanted, variant=variant, **how_read)
            assert len(again.ids) == (VIDEOS - 3 if how == "limited" else VIDEOS)
            assert again.lister.remembered == []
            assert again.calls >= PAGES

    hastily(story())


def test_a_format_whose_first_listing_broke_off_is_read_whole(tmp_path: Path) -> None:
    """The first pages are known then, in that format, and nothing behind them."""

    async def story() -> None:
        async with nights(tmp_path) as here:
            await here.listed()
            lister = Lister(here.to.vendor, here.ledger, here.clock, Watcher(), "flv")
            batches = lister.videos((AccountSource(),), ALL)
            for _ in range(3):
                await here.ledger.reconcile(await anext(batches), here.clock.now(), "flv")
            await batches.aclose()  # type: ignore[attr-defined]
            await asyncio.sleep(DAY_S)
            again = await here.listed(variant="flv")
            assert (again.reading, again.ids) == (Reading.WHOLE, everything(here.vendor))

    hastily(story())


def test_a_page_with_something_new_is_never_the_last(tmp_path: Path) -> None:
    """Renamed, replaced or bumped videos among the newest lead on to the next page."""

    async def story() -> None:
        async with the_next_night(tmp_path) as here:
            world = here.vendor.world
            ids = sorted(world.account.videos, key=lambda n: -world.account.videos[n].rank)
            world.replace_video(ids[6], size=70_000)
            world.rename_video(ids[16], "Another title")
            world.bump_video(ids[40])
            again = await here.listed()
            assert again.reading is Reading.RECENT
            assert again.ids == everything(here.vendor)
            assert again.calls == 3 + 1 + 1, "two pages with changes, one without; page 1; channels"

    hastily(story())


def test_a_listing_that_moves_is_walked_again_and_no_further(tmp_path: Path) -> None:
    """By the second walk the ledger knows the new video: it is not taken for an old one."""

    async def story() -> None:
        async with the_next_night(tmp_path) as here:
            here.vendor.world.add_video(title="New", now=now() - 3 * DAY_S)
            here.vendor.world.faults.set(["moving-page*1"])
            again = await here.listed()
            assert again.ids == everything(here.vendor)
            assert here.vendor.world.faults.fired["moving-page"] == 1
            assert again.calls <= 9

    hastily(story())


def test_a_young_recording_further_down_is_looked_for(tmp_path: Path) -> None:
    """It is archived the night after it ended, not on Sunday."""

    async def story() -> None:
        async with nights(tmp_path) as here:
            world = here.vendor.world
            live = world.add_video(title="Round the clock", recording=True, now=now() - 20 * DAY_S)
            for number in range(24):
                world.add_video(title=f"Later {number}", now=now() - 10 * DAY_S)
            await here.listed()
            await asyncio.sleep(DAY_S)
            live.recording = False
            again = await here.listed()
            assert again.reading is Reading.RECENT
            known = await here.ledger.known([VideoId(live.id)], "mp4")
            assert known[VideoId(live.id)].job.reason == "no longer being recorded"

    hastily(story())


def test_a_filter_chooses_among_what_no_page_named_as_well(tmp_path: Path) -> None:
    """By what the last whole listing said of each."""

    async def story() -> None:
        async with the_next_night(tmp_path, private_share=0.3) as here:
            some = await here.listed(wanted=Filter(protect="private"))
            videos = here.vendor.world.account.videos.values()
            assert some.reading is Reading.RECENT
            assert some.ids == {VideoId(v.id) for v in videos if v.protect == "private"}
            assert 0 < len(some.ids) < VIDEOS

    hastily(story())


def test_shared_channels_are_left_early_too_and_other_sources_never(tmp_path: Path) -> None:
    """Each listing of the account for itself; a playlist has an order of its own."""

    async def story() -> None:
        async with the_next_night(tmp_path, channels=3, playlists=1) as here:
            shared = list(here.vendor.world.account.channels)[2]
            new = here.vendor.world.add_video(title="Shared", channel_id=shared, now=now())
            again = await here.listed()
            assert again.reading is Reading.RECENT
            assert again.ids == everything(here.vendor) >= {new.id}
            assert again.calls <= 8
            playlist = PlaylistSource(next(iter(here.vendor.world.account.playlists)))
            single = VideoSource(VideoId(new.id))
            mixed = await here.listed(playlist, single, AccountSource())
            assert mixed.ids == everything(here.vendor)
            assert [each.reading for each in mixed.lister.read] == [
                Reading.WHOLE, Reading.WHOLE, Reading.RECENT
            ]  # fmt: skip

    hastily(story())


def test_a_listing_left_early_is_not_taken_for_a_shrunken_one(tmp_path: Path) -> None:
    """The whole listing alone is held against the last whole one."""

    async def story() -> None:
        async with the_next_night(tmp_path) as here:
            world = here.vendor.world
            ids = sorted(world.account.videos, key=lambda n: -world.account.videos[n].rank)
            for number in ids[20:]:
                world.delete_video(number)
            weeknight = await here.listed()
            assert weeknight.reading is Reading.RECENT
            assert len(weeknight.ids) == VIDEOS, "what is deleted far down is seen on Sunday"
            await asyncio.sleep(6 * DAY_S)
            with pytest.raises(ListingError, match="has 20 videos; the last one had 63"):
                await here.listed()

    hastily(story())


def test_a_plan_and_a_run_know_what_no_page_named(tmp_path: Path) -> None:
    """The whole program: the same selection on a weeknight, in a few calls, planned and done."""

    async def story() -> None:
        async with emulator(**{**CONFIG, "videos": 33}) as vendor:
            first = await night(tmp_path, vendor)
            assert (first.exit_code, first.archived) == (0, 33)
            await asyncio.sleep(DAY_S)
            vendor.world.add_video(title="New", now=now() - 5 * 3600)
            options = RunOptions(sources=(AccountSource(),))
            report = await archive.plan(str(tmp_path), account_of(vendor), options, Watcher())
            assert (report.selected, report.new, report.archived) == (34, 1, 33)
            again = await night(tmp_path, vendor)
            assert (again.exit_code, again.selected, again.archived) == (0, 34, 1)
            assert again.api_calls.list <= 4 < first.api_calls.list
            assert again.as_json()["listed"] == [
                {"source": "account", "videos": 34, "whole": False}
            ]  # fmt: skip
            whole = await night(tmp_path, vendor, full_listing=True)
            assert whole.api_calls.list == first.api_calls.list
            assert whole.selected == 34

    hastily(story())
