"""Night after night on an account that lives: exactly what changed is fetched, nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bagit
import pytest

from archiver import archive
from archiver.core.model import DAY_S
from archiver.emulator.account import Caption, Video
from archiver.emulator.server import Emulator
from tests.hasty import emulator, hastily, night, now

SMALL = (15_500, 60_000)


@pytest.mark.parametrize("nights", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_every_night_fetches_what_changed_that_day(tmp_path: Path, nights: int) -> None:
    """New, replaced, renamed and deleted videos, by the emulator's counters and the files."""
    dice = random.Random(30)

    async def story() -> None:
        async with emulator(
            videos=24, channels=3, page_videos=10, size=SMALL, private_share=0.3
        ) as vendor:
            first = await night(tmp_path, vendor)
            assert (first.exit_code, first.archived) == (0, 24)
            world, posts, versions = vendor.world, vendor.stats["posts"], 24
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


AGES = (0, 1, 3, 7, 30)  # in nights
ALWAYS = (
    ".json", "/audio/tracks.json", "/captions.json", "/chapters.json", "/custom-metadata.json",
    "/labels.json",
)  # fmt: skip


@dataclass
class Oracle:
    """What extras a night has to ask for: told by the owner's deeds alone, in words of its own."""

    born: dict[int, int] = field(default_factory=dict)  # video -> night of its newest version
    had: dict[int, set[str]] = field(default_factory=dict)  # caption texts of this round
    waits: set[int] = field(default_factory=set)  # for a caption that is being made

    def expected(self, vendor: Emulator, number: int) -> Counter[str]:
        """Path -> GETs of night *number*."""
        account = vendor.world.account
        asked: Counter[str] = Counter()
        fields = False
        for video in account.videos.values():
            age = number - self.born.setdefault(video.id, number)
            if age in AGES:
                asked.update(self._round(video))
                fields = fields or bool(video.metadata)
            elif video.id in self.waits:
                asked[f"/videos/{video.id}/captions.json"] += 1
                asked.update(self._texts(video))
        asked["/custom-metadata-fields.json"] += fields
        for channel in {account.videos[each].channel_id for each in self._fetched(vendor, number)}:
            asked[f"/channels/{channel}.json"] += 1
        return +asked

    def _fetched(self, vendor: Emulator, number: int) -> list[int]:
        return [each for each in vendor.world.account.videos if self.born[each] == number]

    def _round(self, video: Video) -> list[str]:
        self.had[video.id] = set()
        young = ["/expiration.json"] if now() - video.added_at <= 31 * DAY_S else []
        small = [f"/videos/{video.id}{each}" for each in (*ALWAYS, *young)]
        return [*small, f"/thumbnail/{video.id}/1920x1080.jpg", *self._texts(video)]

    def _texts(self, video: Video) -> list[str]:
        ready = {each.language for each in video.captions if each.status == "active"}
        fresh, self.had[video.id] = ready - self.had[video.id], self.had[video.id] | ready
        self.waits.discard(video.id)
        if len(ready) < len(video.captions):
            self.waits.add(video.id)
        return [f"/videos/{video.id}/captions/{language}/vtt" for language in fresh]


def a_day(vendor: Emulator, dice: random.Random, oracle: Oracle, number: int) -> tuple[int, int]:
    """The owner's deeds between two nights; how many videos are new, how many replaced."""
    world = vendor.world
    replaced, renamed, deleted, labelled, pictured, *_ = dice.sample(list(world.account.videos), 5)
    making = [v for v in world.account.videos.values() for c in v.captions if c.status != "active"]
    for video in dice.sample(making, min(2, len(making))):
        world.finish_caption(video.id, "ja-00")
    new = dice.choice((0, 1, 5))
    for each in range(new):
        fresh = world.add_video(title=f"Day {number}.{each}", now=now() - 5 * 3600)
        fresh.captions = [Caption("en-00"), Caption("ja-00", status="processing")][: each + 1]
    world.replace_video(replaced, size=70_000 + number)
    oracle.born[replaced] = number
    world.rename_video(renamed, f"Called so on day {number}")
    world.label_video(labelled, f"label {number}")
    world.new_picture(pictured)
    world.delete_video(deleted)
    return new, 1


@pytest.mark.parametrize("nights", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_every_night_asks_for_the_extras_that_are_due(tmp_path: Path, nights: int) -> None:
    """Call by call, as the owner's deeds and the videos' ages have it; the bag stays valid."""
    dice, oracle = random.Random(31), Oracle()
    config: dict[str, Any] = {"videos": 20, "channels": 2, "playlists": 2, "size": SMALL}

    async def story() -> None:
        async with emulator(**config) as vendor:
            before: Counter[str] = Counter()
            stands: dict[Path, bytes] = {}
            fetched, posts = 20, 0
            for number in range(nights + 1):
                if number:
                    await asyncio.sleep(DAY_S)
                    fetched = sum(a_day(vendor, dice, oracle, number))
                expected = oracle.expected(vendor, number)
                summary = await night(tmp_path, vendor, extras=True)
                after: Counter[str] = Counter(vendor.stats["extras_by_path"])
                assert after - before == expected, number
                before, posts = after, posts + fetched
                assert (summary.exit_code, summary.archived) == (0, fetched)
                assert (vendor.stats["posts"], summary.expired) == (posts, 0)
                assert summary.extras_missing == len(
                    oracle.waits & set(vendor.world.account.videos)
                )
                channels = sum(path.startswith("/channels/") for path in expected)
                pictures = sum(path.startswith("/thumbnail/") for path in expected)
                # A channel's playlists, and what is in its one, are counted as listings there.
                assert summary.api_calls.extras == expected.total() - pictures + 2 * channels
                bagit.Bag(str(tmp_path)).validate()
                files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
                found = {path: path.read_bytes() for path in files}
                assert stands.items() <= found.items(), "something that stood there is gone"
                stands = found

    hastily(story())
    assert asyncio.run(archive.verify(str(tmp_path))).exit_code == 0
    if nights == 30:  # else not everything needs to have happened
        names = [path.name for path in (tmp_path / "data").rglob("*")]
        for ending in ("].ja-00.vtt", "] r2.info.json", "] r2.jpg", "] v2.mp4"):
            assert any(name.endswith(ending) for name in names), ending
