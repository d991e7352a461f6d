"""What belongs to a video beside its file: asked for once, complete, and never overwritten.

Real: the vendor, sockets, files; only the time jumps.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import bagit
import pytest

from archiver import archive
from archiver.adapters.places import PRIVATE
from archiver.core.model import Holding, Instant, VideoId
from archiver.core.selection import AccountSource
from archiver.core.summary import ApiCalls
from archiver.emulator.account import Caption
from archiver.emulator.server import Emulator
from archiver.errors import WeatherError
from archiver.opening import changing
from archiver.purse import Purse, SpentError
from archiver.reading import LEDGER, reading
from archiver.run_options import RunOptions
from tests.hasty import Watcher, account_of, emulator, hastily, night, surroundings

SMALL = (15_500, 60_000)
DAY_S = 86_400.0
NEW_S = 1_790_000_000.0  # the loop's own days: expiration is asked for


def files(dest: Path) -> dict[str, bytes]:
    return {
        path.relative_to(dest).as_posix(): path.read_bytes()
        for path in (dest / "data").rglob("*")
        if path.is_file()
    }


def named(dest: Path, video: int, ending: str) -> list[str]:
    """What follows the stem in the names of a video's files that end so."""
    found = [path.rpartition(f"[{video}]")[2] for path in files(dest) if f"[{video}]" in path]
    return sorted(name for name in found if name.endswith(ending))


def document(dest: Path, video: int, ending: str = "].info.json") -> dict[str, Any]:
    (text,) = (t for path, t in files(dest).items() if path.endswith(f"[{video}{ending}"))
    found: dict[str, Any] = json.loads(text)
    return found


def asked(vendor: Emulator, before: Counter[str] | None = None) -> Counter[str]:
    """How often each extra was asked for, since *before*."""
    now: Counter[str] = Counter(vendor.stats["extras_by_path"])
    return now - (before or Counter())


async def gathered(dest: Path, vendor: Emulator, **options: Any) -> Any:
    return await night(dest, vendor, Watcher(), extras=True, **options)


def finished(vendor: Emulator) -> None:
    for video in vendor.world.account.videos.values():
        video.captions = [each for each in video.captions if each.status == "active"]


def test_everything_that_belongs_to_a_video_comes_with_it(tmp_path: Path) -> None:
    """Complete from the start: one call each, no second description, a valid bag."""

    async def story() -> None:
        async with emulator(
            videos=24, size=SMALL, channels=3, playlists=3, newest_at=int(NEW_S) - 3600
        ) as vendor:
            finished(vendor)
            summary = await gathered(tmp_path, vendor)
            assert (summary.exit_code, summary.archived) == (0, 24)
            assert (summary.extras_asked, summary.extras_missing) == (24, 0)
            assert set(asked(vendor).values()) == {1}
            for video in vendor.world.account.videos.values():
                told = document(tmp_path, video.id)
                assert told["details"]["tinyurl"]
                if not vendor.world.account.channels[video.channel_id or 0].own:
                    continue  # another account's: the vendor shows no more of it
                assert [track["language"] for track in told["captions"]] == [
                    track.language for track in video.captions
                ]
                assert {field["field_name"] for field in told["custom_metadata"]} <= {
                    "Department", "Retention class"
                }  # fmt: skip
                assert {"chapters", "labels", "expiration", "audio_tracks", "locks"} <= set(told)
                assert named(tmp_path, video.id, ".jpg") == [".jpg"]
                assert named(tmp_path, video.id, ".info.json") == [".info.json"]
                assert len(named(tmp_path, video.id, ".vtt")) == len(video.captions)
            channels = [p for p in files(tmp_path) if p.endswith("/channel.info.json")]
            assert len(channels) == 3
            held = json.loads(files(tmp_path)[channels[0]])["playlists"]
            assert all(isinstance(each["videos"], list) for each in held)

            before, posts = asked(vendor), vendor.stats["posts"]
            second = await gathered(tmp_path, vendor)
            assert (second.api_calls.extras, vendor.stats["posts"]) == (0, posts)
            assert not asked(vendor, before)

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_a_call_that_was_never_sent_costs_nothing() -> None:
    """Whoever asked: a video's extras, or a channel's."""

    async def spend() -> None:
        purse = Purse(ApiCalls(), most=2)

        async def fails(*, sent: bool) -> str:
            raise WeatherError("https://api.example", "away", sent=sent)

        for sent in (False, False, True, False):
            with pytest.raises(WeatherError):
                await purse.call(lambda sent=sent: fails(sent=sent))  # type: ignore[misc]
        assert await purse.call(lambda: asyncio.sleep(0, "had")) == "had"
        with pytest.raises(SpentError, match="the night's calls are spent"):
            await purse.call(lambda: fails(sent=True))
        purse.gives_way = True
        with pytest.raises(SpentError, match="videos need the calls"):
            await purse.call(lambda: fails(sent=True))

    asyncio.run(spend())


async def planned(dest: Path, vendor: Emulator, **options: Any) -> Any:
    wanted = RunOptions(sources=(AccountSource(),), **options)
    return await archive.plan(str(dest), account_of(vendor), wanted, Watcher())


def test_a_plan_knows_how_many_calls_extras_will_take(tmp_path: Path) -> None:
    """All but those that the answers themselves lead to: captions, playlists, names of fields."""

    async def story() -> None:
        async with emulator(
            videos=12, size=SMALL, channels=2, playlists=3, newest_at=int(NEW_S) - 3600
        ) as vendor:
            finished(vendor)
            videos, account = vendor.world.account.videos.values(), vendor.world.account
            texts = sum(len(video.captions) for video in videos)
            later = texts + any(video.metadata for video in videos)
            assert texts, "else the test proves nothing"
            plan = await planned(tmp_path, vendor)
            first = await gathered(tmp_path, vendor)
            assert first.api_calls.extras == (
                plan.extras_calls_expected + later + len(account.playlists)
            )
            assert (await planned(tmp_path, vendor)).extras_calls_expected == 0
            await asyncio.sleep(DAY_S)
            plan = await planned(tmp_path, vendor)
            again = await gathered(tmp_path, vendor)
            assert again.archived == 0
            assert again.api_calls.extras == plan.extras_calls_expected + later
            assert (await planned(tmp_path, vendor, extras=False)).extras_calls_expected == 0
            whole = await planned(tmp_path, vendor, refresh=True)
            assert whole.extras_calls_expected > 12
            few = await planned(tmp_path, vendor, refresh=True, extras_calls=5)
            assert few.extras_calls_expected == 5

    hastily(story())


def test_a_caption_that_is_finished_later_comes_alone(tmp_path: Path) -> None:
    """Its list and its text are asked for, and nothing else of any video."""

    async def story() -> None:
        async with emulator(videos=6, size=SMALL, channels=1, playlists=0) as vendor:
            finished(vendor)
            late, done = list(vendor.world.account.videos)[:2]
            for number in (late, done):
                account = vendor.world.account
                account.videos[number].captions = [Caption("ja-00", status="processing")]
            first = await gathered(tmp_path, vendor)
            assert (first.exit_code, first.extras_asked, first.extras_missing) == (0, 4, 2)
            vendor.world.finish_caption(done, "ja-00")
            before, kept = asked(vendor), files(tmp_path)
            second = await gathered(tmp_path, vendor)
            assert (second.exit_code, second.extras_asked, second.extras_missing) == (0, 1, 1)
            assert asked(vendor, before) == {
                f"/videos/{late}/captions.json": 1, f"/videos/{done}/captions.json": 1,
                f"/videos/{done}/captions/ja-00/vtt": 1,
            }  # fmt: skip
            fresh = {path.rpartition("]")[2] for path in files(tmp_path).keys() - kept.keys()}
            assert fresh == {".ja-00.vtt", " r2.info.json"}
            assert kept.items() <= files(tmp_path).items()

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_what_changes_comes_beside_what_was_at_the_next_age(tmp_path: Path) -> None:
    """A day later everything is looked at again; what did not change makes no file."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL, channels=1, playlists=0) as vendor:
            finished(vendor)
            one, two, _ = vendor.world.account.videos
            vendor.world.account.videos[one].captions = [Caption("en-00")]
            await gathered(tmp_path, vendor)
            kept = files(tmp_path)
            await asyncio.sleep(DAY_S)
            again = await gathered(tmp_path, vendor)
            assert (again.extras_asked, files(tmp_path)) == (3, kept)

            vendor.world.edit_caption(one, "en-00")
            vendor.world.new_picture(two)
            vendor.world.label_video(two, "fresh")
            assert (await gathered(tmp_path, vendor)).api_calls.extras == 0
            await asyncio.sleep(2 * DAY_S)
            await gathered(tmp_path, vendor)
            assert kept.items() <= files(tmp_path).items()
            assert named(tmp_path, one, ".vtt") == [" r2.en-00.vtt", ".en-00.vtt"]
            assert named(tmp_path, two, ".jpg") == [" r2.jpg", ".jpg"]
            assert named(tmp_path, two, ".info.json") == [" r2.info.json", ".info.json"]
            assert "fresh" in json.dumps(document(tmp_path, two, "] r2.info.json")["labels"])
            assert len(files(tmp_path)) == len(kept) + 3

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_the_ages_end_and_refresh_asks_again(tmp_path: Path) -> None:
    """After thirty days nothing is asked for, until a person wants it."""

    async def story() -> None:
        async with emulator(videos=2, size=SMALL, channels=1, playlists=1) as vendor:
            finished(vendor)
            nights, day = [], 0
            for number in (0, 1, 2, 3, 5, 7, 9, 29, 30, 33):
                await asyncio.sleep((number - day) * DAY_S)
                day = number
                summary = await gathered(tmp_path, vendor)
                nights += [number] if summary.extras_asked else []
            assert nights == [0, 1, 3, 7, 30]
            before, kept = asked(vendor), files(tmp_path)
            summary = await gathered(tmp_path, vendor, refresh=True)
            assert (summary.extras_asked, files(tmp_path)) == (2, kept)
            again = asked(vendor, before)
            assert [path for path in again if path.startswith("/channels/")]
            assert set(again.values()) == {1}

    hastily(story())


@pytest.mark.parametrize("most", [0, 1, 7, 20])
def test_a_night_keeps_to_its_calls(tmp_path: Path, most: int) -> None:
    """Videos come all the same; later nights go on where this one ended, and ask nothing twice."""

    async def story() -> None:
        async with emulator(videos=4, size=SMALL, channels=1, playlists=1) as vendor:
            finished(vendor)
            first = await gathered(tmp_path, vendor, extras_calls=most)
            assert (first.exit_code, first.archived) == (0, 4)
            assert first.api_calls.extras == most
            assert first.extras_missing >= (most < 20)
            bagit.Bag(str(tmp_path)).validate()
            last = await gathered(tmp_path, vendor)
            assert (last.exit_code, last.extras_missing) == (0, 0)
            assert set(asked(vendor).values()) == {1}

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


@pytest.mark.parametrize(
    "fault",
    ["error-500@labels!", "caption-html!", "picture-503!", "picture-svg!", "odd-captions!"],
)
def test_an_extra_that_fails_fails_nothing_else(tmp_path: Path, fault: str) -> None:
    """It is missing, which is no failure of the night, and comes on a later one."""

    async def story() -> None:
        async with emulator(videos=5, size=SMALL, channels=1, playlists=0) as vendor:
            finished(vendor)
            sick = next(iter(vendor.world.account.videos))
            vendor.world.account.videos[sick].captions = [Caption("en-00")]
            vendor.world.faults.set([fault])
            first = await gathered(tmp_path, vendor)
            assert (first.exit_code, first.archived) == (0, 5)
            assert first.extras_missing >= (fault != "odd-captions!")
            assert document(tmp_path, sick)["details"]
            assert vendor.stats["credential_leaks"] == 0
            vendor.world.faults.set([])
            before = asked(vendor)
            second = await gathered(tmp_path, vendor)
            assert (second.exit_code, second.extras_missing) == (0, 0)
            failed = "captions" if fault.startswith(("caption", "odd")) else "labels"
            paths = {path for path in asked(vendor, before) if "thumbnail" not in path}
            assert all(failed in path for path in paths), paths

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


@pytest.mark.parametrize("fault", ["extra-denied!", "extra-missing!", "picture-missing!"])
def test_what_is_not_there_is_not_missing(tmp_path: Path, fault: str) -> None:
    """403 and 404 of a single extra are answers."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL, channels=1, playlists=0) as vendor:
            vendor.world.faults.set([fault])
            finished(vendor)
            first = await gathered(tmp_path, vendor)
            assert (first.exit_code, first.extras_asked, first.extras_missing) == (0, 3, 0)
            assert (await gathered(tmp_path, vendor)).api_calls.extras == 0

    hastily(story())


def test_a_replaced_video_has_extras_of_its_own(tmp_path: Path) -> None:
    """Another film has other captions: they are asked for, and its own sidecar tells them."""

    async def story() -> None:
        async with emulator(videos=5, size=SMALL, channels=1, playlists=0) as vendor:
            finished(vendor)
            number = next(iter(vendor.world.account.videos))
            await gathered(tmp_path, vendor)
            kept, before = files(tmp_path), asked(vendor)
            vendor.world.replace_video(number, size=70_000)
            vendor.world.label_video(number, "second cut")
            summary = await gathered(tmp_path, vendor)
            assert (summary.archived, summary.extras_asked) == (1, 1)
            paths = [path for path in asked(vendor, before) if path.startswith("/videos/")]
            assert paths
            assert all(f"/{number}" in path for path in paths)
            told = document(tmp_path, number, "] v2.info.json")
            assert "second cut" in json.dumps(told["labels"])
            assert told["archive"]["version"] == 2
            assert named(tmp_path, number, ".info.json") == [" v2.info.json", ".info.json"]
            assert kept.items() <= files(tmp_path).items()

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_an_archive_of_videos_alone_gets_its_extras_later(tmp_path: Path) -> None:
    """Its sidecars stay as they were written."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL, channels=1, playlists=0) as vendor:
            finished(vendor)
            first = await night(tmp_path, vendor)
            assert (first.archived, first.extras_missing, first.api_calls.extras) == (3, 0, 0)
            kept = files(tmp_path)
            second = await gathered(tmp_path, vendor)
            assert (second.exit_code, second.extras_asked) == (0, 3)
            assert kept.items() <= files(tmp_path).items()
            for number in vendor.world.account.videos:
                assert named(tmp_path, number, ".info.json") == [" r2.info.json", ".info.json"]
                assert document(tmp_path, number, "] r2.info.json")["details"]

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_a_lost_ledger_takes_everything_in_again(tmp_path: Path) -> None:
    """Captions, pictures, later descriptions and channels are records like any other."""

    async def story() -> None:
        async with emulator(videos=4, size=SMALL, channels=2, playlists=1) as vendor:
            finished(vendor)
            one = next(iter(vendor.world.account.videos))
            vendor.world.account.videos[one].captions = [Caption("en-00")]
            await gathered(tmp_path, vendor)
            vendor.world.label_video(one, "later")
            vendor.world.edit_caption(one, "en-00")
            await asyncio.sleep(DAY_S)
            await gathered(tmp_path, vendor)
            kept, known = files(tmp_path), await _recorded(tmp_path)
            (tmp_path / PRIVATE / LEDGER).unlink()
            watcher = Watcher()
            summary = await night(tmp_path, vendor, watcher, extras=True)
            assert (summary.exit_code, summary.archived) == (0, 0)
            assert files(tmp_path) == kept
            assert await _recorded(tmp_path) == known
            assert not [word for word in watcher.words if "cannot be taken in" in word]
            report = await archive.verify(str(tmp_path))
            assert report.verdict.is_clean

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


async def _recorded(dest: Path) -> set[tuple[Any, ...]]:
    async with reading(str(dest)) as ledger:
        return {
            (held.video_id, held.kind, held.variant, held.version, held.path, held.sha256)
            async for held in ledger.holdings()
        }


@pytest.mark.parametrize("is_placed", [True, False])
def test_a_file_that_a_crash_left_between_its_name_and_its_record(
    tmp_path: Path, is_placed: bool
) -> None:
    """It is taken over, or forgotten: the bag names exactly what stands there."""

    async def story() -> None:
        around, content = surroundings(), b"WEBVTT\n"
        path = "data/account/2026/x [7]/x [7].en-00.vtt"
        async with changing(str(tmp_path), create=True, surroundings=around) as place:
            sha256 = "2ba6a1b2b5ba0c8bfe2c2d0d1b4ac8f8c2c5f8ad6ad46bb7a0c2e2b6ad93c2a5"
            if is_placed:
                placed = await place.vault.put_small(path, content)
                sha256 = placed.sha256
            held = Holding(
                VideoId(7), "caption", "en-00", 1, path, len(content), sha256, Instant(1.0)
            )
            await place.ledger.intend(held)
        async with changing(str(tmp_path), create=True, surroundings=around) as place:
            recorded = [each.path async for each in place.ledger.holdings()]
            assert recorded == ([path] if is_placed else [])
            assert await place.ledger.intents() == []

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_a_video_that_the_vendor_no_longer_knows_keeps_what_is_known(tmp_path: Path) -> None:
    """One call says so; nothing that was answered before is forgotten."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL, channels=1, playlists=0) as vendor:
            finished(vendor)
            number = next(iter(vendor.world.account.videos))
            await gathered(tmp_path, vendor)
            kept = files(tmp_path)
            vendor.world.faults.set([f"extra-missing@{number}!"])
            await asyncio.sleep(DAY_S)
            await gathered(tmp_path, vendor)
            assert files(tmp_path) == kept

    hastily(story())


def test_a_tight_rate_limit_is_the_videos_own(tmp_path: Path) -> None:
    """They are archived as soon as without extras, and extras come with what is left."""

    async def story() -> None:
        async with emulator(
            videos=12, size=SMALL, channels=1, playlists=0, generation_s=(60.0, 300.0),
            rate_limit=20, rate_period_s=300.0, window_s=3600.0,
        ) as vendor:  # fmt: skip
            finished(vendor)
            summary = await gathered(tmp_path, vendor)
            assert (summary.exit_code, summary.archived, summary.expired) == (0, 12, 0)
            assert (vendor.stats["rate_limited"], summary.extras_missing) == (0, 0)
            assert set(asked(vendor).values()) == {1}

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_an_outage_of_everything_that_is_left_ends_the_night(tmp_path: Path) -> None:
    """Nobody waits half a night for extras alone."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL, channels=1, playlists=0) as vendor:
            finished(vendor)
            await night(tmp_path, vendor)
            videos = vendor.world.account.videos
            vendor.world.faults.set([f"error-503@{number}!" for number in videos])
            summary = await gathered(tmp_path, vendor)
            assert (summary.exit_code, summary.extras_missing) == (0, 3)
            assert summary.seconds < 3600

    hastily(story())
