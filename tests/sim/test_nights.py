"""Whole nights in minutes: the real program and the emulator, on a clock that jumps.

Real: everything but the time.  A night of hours takes a second or two.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import bagit

from archiver import archive
from archiver.core.listing import HELD
from archiver.core.model import NEVER, JobState, VideoId
from archiver.core.selection import AccountSource, Filter, VideoSource
from archiver.core.summary import Summary
from archiver.emulator.server import Emulator
from archiver.run_options import RunOptions
from tests.hasty import Unplugged, Watcher, account_of, emulator, hastily, night, surroundings

SMALL = (15_500, 60_000)


def listing_alone(summary: Summary) -> bool:
    calls = summary.api_calls
    return (calls.request, calls.poll, summary.bytes_downloaded) == (0, 0, 0) and calls.list > 0


def test_an_hour_without_network_costs_an_hour_and_nothing_else(tmp_path: Path) -> None:
    """Nothing is parked, nothing is left, nothing is asked for twice."""
    watcher = Watcher()

    async def story() -> None:
        generation = {"generation_s": (300.0, 1500.0)}
        config: dict[str, Any] = {"videos": 40, "size": (200_000, 900_000), **generation}
        async with emulator(line_bytes_s=300_000, **config) as vendor:
            options = RunOptions(sources=(AccountSource(),), extras=False)

            async def pull_the_plug() -> None:
                await anyio.sleep(600)
                Unplugged.off = True
                vendor.cut()
                await anyio.sleep(3600)
                Unplugged.off = False

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pull_the_plug)
                summary = await archive.run(
                    str(tmp_path), account_of(vendor), options, watcher, anyio.Event(),
                    surroundings(lambda _: Unplugged()),
                )  # fmt: skip
            assert (summary.exit_code, summary.archived, summary.parked) == (0, 40, 0)
            assert set(vendor.stats["posts_by_video"].values()) == {1}
            assert vendor.stats["expired"] == 0

    hastily(story())
    seen = Counter(type(event).__name__ for _, event, _ in watcher.events)
    assert seen["Hindered"] > 0, "the outage was not felt: the test proves nothing"
    assert seen["GaveUp"] == 0
    assert seen["Asked"] == 40


def tag_files(dest: Path) -> dict[str, bytes]:
    """The bag's own files, but the statement that each run makes, and what names its hash."""
    told = ("completeness.txt", "tagmanifest-sha256.txt")
    return {p.name: p.read_bytes() for p in dest.iterdir() if p.is_file() and p.name not in told}


def test_a_second_night_makes_listing_calls_alone(tmp_path: Path) -> None:
    """Safe to repeat: nothing is asked for, nothing fetched, the bag stays as it is."""

    async def story() -> None:
        async with emulator(videos=12, size=SMALL) as vendor:
            first = await night(tmp_path, vendor)
            assert (first.exit_code, first.archived, first.already_archived) == (0, 12, 0)
            tags = tag_files(tmp_path)
            statement = (tmp_path / "completeness.txt").read_text()
            assert "account: 12 listed (the whole listing)\n12 selected, 12 archived" in statement
            second = await night(tmp_path, vendor)
            assert (second.archived, second.already_archived) == (0, 12)
            assert listing_alone(second)
            assert tag_files(tmp_path) == tags
            assert (tmp_path / "completeness.txt").read_text() != statement

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_new_replaced_renamed_and_deleted_videos_on_a_second_night(tmp_path: Path) -> None:
    """Exactly what changed is fetched; nothing that stands there is touched."""

    async def story() -> None:
        async with emulator(videos=8, size=SMALL, channels=1, private_share=0.5) as vendor:
            assert (await night(tmp_path, vendor)).exit_code == 0
            before = {p: p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file()}
            ids = list(vendor.world.account.videos)
            new = vendor.world.add_video(title="Brand new").id
            vendor.world.replace_video(ids[0], size=70_000)
            vendor.world.rename_video(ids[1], "Another title")
            vendor.world.delete_video(ids[2])
            posts = vendor.stats["posts"]
            second = await night(tmp_path, vendor)
            assert (second.exit_code, second.archived, second.selected) == (0, 2, 8)
            assert vendor.stats["posts"] == posts + 2
            assert all(path.read_bytes() == content for path, content in before.items())
            rows = [row.as_json() async for row in archive.catalogue(str(tmp_path))]
            versions = {(row["id"], row["version"]): row for row in rows}
            assert len(rows) == 10
            assert versions[str(ids[0]), 2]["path"].endswith(f"[{ids[0]}] v2.mp4")
            assert versions[str(ids[1]), 1]["title"] == "Another title"
            assert versions[str(ids[2]), 1]["state"] == "archived"
            assert versions[str(new), 1]["state"] == "archived"
            assert listing_alone(await night(tmp_path, vendor))

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_a_token_that_ends_during_the_night_is_renewed_before(tmp_path: Path) -> None:
    """Ten minutes of life, an hour of work: no call is refused."""

    async def story() -> None:
        async with emulator(
            videos=10, size=SMALL, generation_s=(60.0, 3000.0), token_life_s=600
        ) as vendor:  # fmt: skip
            summary = await night(tmp_path, vendor)
            assert summary.exit_code == 0
            assert vendor.stats["unauthorized"] == 0
            assert 2 <= summary.api_calls.token == vendor.stats["tokens"]

    hastily(story())


def test_the_rate_limit_is_kept_before_a_429_comes(tmp_path: Path) -> None:
    """Twenty calls a minute are enough, and no twenty-first is tried."""

    async def story() -> None:
        async with emulator(
            videos=60, size=SMALL, rate_limit=20, rate_period_s=60.0, generation_s=(1.0, 90.0)
        ) as vendor:
            summary = await night(tmp_path, vendor)
            assert (summary.exit_code, summary.archived) == (0, 60)
            assert vendor.stats["rate_limited"] == 0

    hastily(story())


def test_without_headers_a_429_is_backed_off_from(tmp_path: Path) -> None:
    """It is nobody's fault: nothing is counted, nothing parked."""

    async def story() -> None:
        async with emulator(
            videos=40, size=SMALL, rate_limit=20, rate_period_s=60.0, rate_headers=False
        ) as vendor:
            summary = await night(tmp_path, vendor)
            assert (summary.exit_code, summary.archived, summary.parked) == (0, 40, 0)
            assert 0 < vendor.stats["rate_limited"] < 60

    hastily(story())


def test_a_tight_window_wastes_next_to_nothing(tmp_path: Path) -> None:
    """80 files, a line that carries 15 of them in a window: under 5 % run out."""

    async def story() -> None:
        size = (200_000, 800_000)
        async with emulator(
            videos=80, size=size, line_bytes_s=480_000, window_s=20.0, generation_s=(1.0, 5.0)
        ) as vendor:
            summary = await night(tmp_path, vendor)
            assert (summary.exit_code, summary.archived) == (0, 80)
            assert vendor.stats["expired"] < 0.05 * vendor.stats["versions"]
            line_s = summary.bytes_archived / 480_000
            assert summary.seconds < 1.3 * line_s

    hastily(story())


def test_a_version_that_ran_out_is_asked_for_again_by_itself(tmp_path: Path) -> None:
    """The plug is out for longer than the window: every version dies, no video does."""

    async def story() -> None:
        async with emulator(
            videos=6, size=(100_000, 300_000), window_s=300.0, generation_s=(60.0, 90.0)
        ) as vendor:

            async def pull_the_plug() -> None:
                await anyio.sleep(50)
                Unplugged.off = True
                vendor.cut()
                await anyio.sleep(600)
                Unplugged.off = False

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pull_the_plug)
                summary = await archive.run(
                    str(tmp_path), account_of(vendor),
                    RunOptions(sources=(AccountSource(),), extras=False),
                    Watcher(), anyio.Event(), surroundings(lambda _: Unplugged()),
                )  # fmt: skip
            assert (summary.exit_code, summary.archived) == (0, 6)
            assert vendor.stats["posts"] > 6

    hastily(story())


def test_a_time_limit_ends_cleanly_and_the_next_night_goes_on(tmp_path: Path) -> None:
    """Code 5, nothing lost, no byte fetched twice but what was in the air."""

    async def story() -> None:
        async with emulator(videos=12, size=(400_000, 800_000), line_bytes_s=100_000) as vendor:
            first = await night(tmp_path, vendor, downloads=1, max_duration_s=20.0)
            assert (first.exit_code, first.outcome) == (5, "stopped")
            assert 0 < first.remaining < 12
            second = await night(tmp_path, vendor)
            assert (second.exit_code, second.remaining) == (0, 0)
            assert set(vendor.stats["posts_by_video"].values()) == {1}

    hastily(story())


def test_a_selection_is_kept_and_other_videos_are_left_alone(tmp_path: Path) -> None:
    """Sources that overlap count once; what the filter leaves out is not asked for."""

    async def story() -> None:
        async with emulator(videos=10, size=SMALL, channels=1) as vendor:
            ids = [VideoId(number) for number in vendor.world.account.videos]
            twice = (VideoSource(ids[3]), VideoSource(ids[3]), VideoSource(ids[4]))
            some = await night(tmp_path, vendor, sources=twice)
            assert (some.selected, some.archived) == (2, 2)
            limited = await night(tmp_path, vendor, filter=Filter(limit=3))
            assert limited.selected == 3
            private = await night(tmp_path, vendor, filter=Filter(protect="private"))
            assert private.exit_code == 0
            levels = {v.protect for n, v in vendor.world.account.videos.items()}
            assert levels == {"public", "private"}
            every = await night(tmp_path, vendor)
            assert every.selected == 10

    hastily(story())


def test_a_listing_that_lost_half_is_refused_until_it_is_accepted(tmp_path: Path) -> None:
    """A role that changed looks like this; nothing is marked as gone."""

    async def story() -> None:
        async with emulator(videos=10, size=SMALL, channels=1) as vendor:
            assert (await night(tmp_path, vendor)).exit_code == 0
            for number in list(vendor.world.account.videos)[:7]:
                vendor.world.delete_video(number)
            refused = await night(tmp_path, vendor)
            assert (refused.exit_code, refused.outcome) == (1, "refused")
            assert "--accept-shrunk" in refused.message
            accepted = await night(tmp_path, vendor, accept_shrunk=True)
            assert (accepted.exit_code, accepted.selected, accepted.gone) == (0, 3, 0)
            states = (await archive.status(str(tmp_path))).states
            assert states == {JobState.ARCHIVED: 10}

    hastily(story())


async def planning(dest: Path, vendor: Emulator, watcher: Watcher, **options: Any) -> Any:
    wanted = RunOptions(**{"sources": (AccountSource(),), "extras": False, **options})
    return await archive.plan(str(dest), account_of(vendor), wanted, watcher)


def test_a_plan_names_no_video_that_is_still_being_recorded(tmp_path: Path) -> None:
    """It would not be fetched either."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL, channels=1) as vendor:
            growing, *whole = vendor.world.account.videos.values()
            growing.recording = True
            told = (await planning(tmp_path / "none", vendor, Watcher())).as_json()
            assert (told["videos"]["selected"], told["videos"]["new"]) == (3, 2)
            names = sorted(int(path.rpartition("[")[2].partition("]")[0])
                           for path in told["names_preview"])  # fmt: skip
            assert names == sorted(video.id for video in whole)

    hastily(story())


def test_an_archive_that_looks_replaced_is_left_until_it_is_accepted(tmp_path: Path) -> None:
    """A vendor that counts sizes anew looks like this; what is new is archived all the same."""

    async def story() -> None:
        async with emulator(videos=12, size=SMALL, channels=1) as vendor:
            assert (await night(tmp_path, vendor)).exit_code == 0
            ids = list(vendor.world.account.videos)
            for number in ids[:4]:
                vendor.world.replace_video(number, size=70_000)
            vendor.world.add_video(title="New and as it should be")
            for fresh in (1, 0):
                watcher = Watcher()
                planned = await planning(tmp_path, vendor, watcher)
                assert (planned.new, planned.changed, planned.held) == (fresh, 4, 4)
                (said,) = watcher.words
                assert f"4 of {13 - fresh} archived videos look replaced" in said
                let = await planning(tmp_path, vendor, watcher, accept_replaced=True)
                assert (let.new, let.changed, let.held) == (fresh, 4, 0)
                assert let.bytes_to_fetch - planned.bytes_to_fetch == 4 * 70_000
                assert let.api_calls_expected - planned.api_calls_expected == 4 * 2
                assert len(watcher.words) == 1
                held = await night(tmp_path, vendor, watcher)
                assert (held.exit_code, held.outcome) == (1, "partial")
                assert (held.archived, held.remaining, held.gone) == (fresh, 4, 0)
                assert {each.reason for each in held.failures} == {HELD}
                assert any("--accept-replaced" in word for word in watcher.words)
            later: dict[str, Any] = {"accept_replaced": True, "max_duration_s": 0.5}
            begun = await night(tmp_path, vendor, **later)
            assert begun.remaining, "all was done in time: the test proves nothing"
            went_on = await night(tmp_path, vendor)
            assert (went_on.exit_code, went_on.remaining) == (0, 0)
            rows = [row.as_json() async for row in archive.catalogue(str(tmp_path))]
            assert sorted(row["id"] for row in rows if row["version"] == 2) == sorted(
                map(str, ids[:4])
            )
            assert listing_alone(await night(tmp_path, vendor))

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_an_empty_listing_is_an_error_and_an_empty_selection_is_none(tmp_path: Path) -> None:
    """Silent success with nothing archived would be the worst outcome."""

    async def story() -> None:
        async with emulator(videos=2, size=SMALL, channels=1) as vendor:
            nothing = await night(tmp_path, vendor, filter=Filter(since=NEVER))
            assert (nothing.exit_code, nothing.selected) == (0, 0)
            for number in list(vendor.world.account.videos):
                vendor.world.delete_video(number)
            empty = await night(tmp_path, vendor)
            assert (empty.exit_code, empty.outcome) == (1, "refused")
            assert "role" in empty.message

    hastily(story())


def test_what_was_learnt_is_kept_for_the_next_night(tmp_path: Path) -> None:
    """The second night's first polls come when files are ready."""

    async def story() -> None:
        async with emulator(videos=30, size=SMALL, generation_s=(40.0, 60.0)) as vendor:
            first = await night(tmp_path, vendor, filter=Filter(limit=15))
            second = await night(tmp_path, vendor)
            assert second.api_calls.poll < first.api_calls.poll
            assert second.api_calls.poll <= 2 * 15

    hastily(story())


def test_a_summary_is_kept_for_status(tmp_path: Path) -> None:
    """`status` tells how the last runs went, in the words of their own reports."""

    async def story() -> None:
        async with emulator(videos=2, size=SMALL) as vendor:
            summary = await night(tmp_path, vendor)
            told = await archive.status(str(tmp_path))
            assert told.last_runs == [json.loads(json.dumps(summary.as_json()))]
            assert told.running is None

    hastily(story())
    assert asyncio.run(archive.verify(str(tmp_path))).exit_code == 0


def test_a_recording_that_still_runs_is_skipped_and_archived_when_it_has_ended(
    tmp_path: Path,
) -> None:
    """It is asked for when it is whole, not before."""

    async def story() -> None:
        async with emulator(videos=2, size=SMALL, channels=1) as vendor:
            live = vendor.world.add_video(title="Live now", recording=True)
            first = await night(tmp_path, vendor)
            assert (first.exit_code, first.archived, first.skipped) == (0, 2, 1)
            assert f"{live.id}/mp4" not in vendor.stats["posts_by_video"]
            live.recording = False
            second = await night(tmp_path, vendor)
            assert (second.exit_code, second.archived, second.skipped) == (0, 1, 0)

    hastily(story())


def test_both_formats_of_a_video_stand_side_by_side(tmp_path: Path) -> None:
    """Asking for FLV later fetches it once, and touches nothing of the MP4."""

    async def story() -> None:
        async with emulator(videos=3, size=SMALL) as vendor:
            assert (await night(tmp_path, vendor)).archived == 3
            before = {p: p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file()}
            flv = await night(tmp_path, vendor, variant="flv")
            assert (flv.exit_code, flv.archived) == (0, 3)
            assert all(path.read_bytes() == content for path, content in before.items())
            assert len(list(tmp_path.rglob("*.flv"))) == 3
            assert listing_alone(await night(tmp_path, vendor, variant="flv"))
            assert listing_alone(await night(tmp_path, vendor))

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()
    assert asyncio.run(archive.verify(str(tmp_path))).exit_code == 0
