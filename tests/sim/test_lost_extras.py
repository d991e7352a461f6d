"""What stands beside videos, damaged or lost, from the repair to its end.

Real: the vendor, sockets, files; only the time jumps.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from archiver import archive
from archiver.adapters.destination import PRIVATE
from archiver.emulator.account import Caption
from archiver.emulator.server import Emulator
from archiver.errors import DestinationError
from archiver.reading import LEDGER
from archiver.surroundings import Surroundings
from tests.crash.program import is_valid_bag
from tests.hasty import Watcher, emulator, hastily, night
from tests.ports.disk_world import LosesFile

SMALL = {"videos": 2, "channels": 1, "playlists": 1, "size": (15_500, 30_000)}
ENDINGS = ("].jpg", ".en-00.vtt", "].info.json", "channel.info.json")


def vendor_with_captions() -> Emulator:
    vendor = emulator(**SMALL)
    for video in vendor.world.account.videos.values():
        video.captions = [Caption("en-00")]
    return vendor


def first(dest: Path, ending: str) -> Path:
    return min(path for path in (dest / "data").rglob("*") if path.name.endswith(ending))


def number_of(path: Path) -> int:
    return int(path.name.rpartition("[")[2].partition("]")[0])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def edited(path: Path) -> None:
    path.write_bytes(path.read_bytes().swapcase())


def files(dest: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (dest / "data").rglob("*") if p.is_file()}


async def gathered(dest: Path, vendor: Emulator, **options: Any) -> Watcher:
    watcher = Watcher()
    summary = await night(dest, vendor, watcher, extras=True, **options)
    assert summary.exit_code == 0
    return watcher


async def repaired(dest: Path) -> dict[str, Any]:
    return (await archive.repair(str(dest))).as_json()


async def verified(dest: Path) -> dict[str, Any]:
    return (await archive.verify(str(dest))).as_json()


@pytest.mark.parametrize(
    ("damage", "is_rebuilt"), [(Path.unlink, False), (cut, False), (edited, True)]
)
def test_every_small_file_comes_back_with_its_bytes(
    tmp_path: Path, damage: Callable[[Path], Any], is_rebuilt: bool
) -> None:
    """Descriptions at once, the rest by the next run; the bag is valid, and nothing is doubled."""

    async def story() -> None:
        async with vendor_with_captions() as vendor:
            await gathered(tmp_path, vendor)
            if is_rebuilt:
                (tmp_path / PRIVATE / LEDGER).unlink()
                await gathered(tmp_path, vendor)
            good, lost = files(tmp_path), [first(tmp_path, each) for each in ENDINGS]
            for path in lost:
                damage(path)
            report = await repaired(tmp_path)
            assert {Path(each["path"]).name for each in report["rewritten"]} == {
                path.name for path in lost[2:]
            }
            assert {Path(each["path"]).name for each in report["queued"]} == {
                path.name for path in lost[:2]
            }
            words = (await gathered(tmp_path, vendor)).words
            assert "2 files that were lost are back in their places" in words
            assert files(tmp_path) == good
            kept = list((tmp_path / PRIVATE / "damaged").iterdir())
            assert len(kept) == (0 if damage is Path.unlink else len(lost))
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            is_valid_bag(tmp_path)

    hastily(story())


def test_descriptions_come_back_though_the_vendor_says_more_by_now(tmp_path: Path) -> None:
    """Whichever of them is lost, and whatever was asked meanwhile: the bag is valid again."""

    async def story() -> None:
        async with vendor_with_captions() as vendor:
            await gathered(tmp_path, vendor)
            info = first(tmp_path, "].info.json")
            vendor.world.label_video(number_of(info), "later")
            info.unlink()
            await gathered(tmp_path, vendor, refresh=True)
            good = files(tmp_path)
            revision = first(tmp_path, "] r2.info.json")
            revision.unlink()
            assert len((await repaired(tmp_path))["rewritten"]) == 2
            assert info.exists()
            assert revision.read_bytes() == good[revision.name]
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            is_valid_bag(tmp_path)

    hastily(story())


def test_what_was_asked_again_and_did_not_change_makes_no_revision(tmp_path: Path) -> None:
    """A plain run warns of lost files and asks for none; a new round puts them back by the way.

    What somebody wrote himself stays: nobody asked for a repair.
    """

    async def story() -> None:
        async with vendor_with_captions() as vendor:
            await gathered(tmp_path, vendor)
            good = files(tmp_path)
            lost, mine = first(tmp_path, "].jpg"), first(tmp_path, ".en-00.vtt")
            first(tmp_path, "].info.json").unlink()
            lost.unlink()
            edited(mine)
            words = (await gathered(tmp_path, vendor)).words
            assert any("2 stored files are missing" in word for word in words)
            assert not lost.exists()
            await gathered(tmp_path, vendor, refresh=True)
            assert lost.read_bytes() == good[lost.name]
            assert mine.read_bytes() != good[mine.name]
            assert len((await repaired(tmp_path))["rewritten"]) == 1
            await gathered(tmp_path, vendor)
            assert files(tmp_path) == good

    hastily(story())


@pytest.mark.parametrize("ending", ENDINGS[:2])
def test_other_bytes_become_a_revision_beside(tmp_path: Path, ending: str) -> None:
    """The lost bytes are said to be lost, and nothing asks for them again and again."""

    async def story() -> None:
        async with vendor_with_captions() as vendor:
            await gathered(tmp_path, vendor)
            path = first(tmp_path, ending)
            path.unlink()
            vendor.world.new_picture(number_of(path))
            vendor.world.edit_caption(number_of(path), "en-00")
            await repaired(tmp_path)
            words = (await gathered(tmp_path, vendor)).words
            assert any("1 files that were lost cannot be had" in word for word in words)
            for report in (await verified(tmp_path), await repaired(tmp_path)):
                (missing,) = report["missing"]
                assert " r2" in missing["reason"]
                assert not report.get("queued")
            asked = dict(vendor.stats["extras_by_path"])
            words = (await gathered(tmp_path, vendor)).words
            assert not any("missing or of another size" in word for word in words)
            assert dict(vendor.stats["extras_by_path"]) == asked

    hastily(story())


@pytest.mark.parametrize("is_unlisted", [False, True])
def test_what_the_vendor_no_longer_has_stays_as_it_is(tmp_path: Path, is_unlisted: bool) -> None:
    """A damaged copy is better than none; it is listed, and asked for once."""

    async def story() -> None:
        async with vendor_with_captions() as vendor:
            await gathered(tmp_path, vendor)
            path = first(tmp_path, ".en-00.vtt")
            edited(path)
            bad = path.read_bytes()
            if is_unlisted:
                vendor.world.delete_video(number_of(path))
            else:
                vendor.world.account.videos[number_of(path)].captions = []
            await repaired(tmp_path)
            await gathered(tmp_path, vendor)
            assert path.read_bytes() == bad
            for report in (await verified(tmp_path), await repaired(tmp_path)):
                (changed,) = report["changed"]
                assert "does not have it" in changed["reason"]
                assert not report.get("queued")
            if not is_unlisted:  # and back again: a later round brings what was given up
                vendor.world.account.videos[number_of(path)].captions = [Caption("en-00")]
                await gathered(tmp_path, vendor, refresh=True)
                assert (await archive.verify(str(tmp_path))).exit_code == 0

    hastily(story())


def test_a_vendor_who_is_away_is_asked_on_another_night(tmp_path: Path) -> None:
    """Nothing is given up meanwhile, and what the reports say is true."""

    async def story() -> None:
        async with vendor_with_captions() as vendor:
            await gathered(tmp_path, vendor)
            good, path = files(tmp_path), first(tmp_path, ".en-00.vtt")
            path.unlink()
            await repaired(tmp_path)
            vendor.world.faults.set([f"error-503@{number_of(path)}!"])
            await gathered(tmp_path, vendor)
            assert "it waits for a run" in (await verified(tmp_path))["missing"][0]["reason"]
            assert len((await repaired(tmp_path))["queued"]) == 1
            vendor.world.faults.set([])
            await gathered(tmp_path, vendor)
            assert files(tmp_path) == good

    hastily(story())


def test_what_somebody_put_right_is_believed(tmp_path: Path) -> None:
    """By the next repair, though no vendor was asked."""

    async def story() -> None:
        async with vendor_with_captions() as vendor:
            await gathered(tmp_path, vendor)
            path = first(tmp_path, "].jpg")
            good = path.read_bytes()
            path.unlink()
            await repaired(tmp_path)
            path.write_bytes(good)
            weak = Surroundings(system=lambda: LosesFile(path))
            with pytest.raises(DestinationError):  # a power cut might take it again
                await archive.repair(str(tmp_path), surroundings=weak)
            assert not (await repaired(tmp_path))["missing"]
            path.unlink()
            words = (await gathered(tmp_path, vendor)).words
            assert any("1 stored files are missing" in word for word in words)

    hastily(story())


@pytest.mark.parametrize("damage", [Path.unlink, cut])
def test_what_was_damaged_when_the_ledger_was_lost_does_not_spoil_the_bag(
    tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    """Only its hash is known by then: it is set aside, and asked for as if it had never been."""

    async def story() -> None:
        async with vendor_with_captions() as vendor:
            await gathered(tmp_path, vendor)
            good, lost = files(tmp_path), [first(tmp_path, each) for each in ENDINGS]
            for path in lost:
                damage(path)
            bad = {path.read_bytes() for path in lost if path.exists()}
            (tmp_path / PRIVATE / LEDGER).unlink()
            words = (await gathered(tmp_path, vendor)).words
            assert any("set aside" in word for word in words) == bool(bad)
            kept = (tmp_path / PRIVATE / "damaged").iterdir()
            assert {path.read_bytes() for path in kept} == bad
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            is_valid_bag(tmp_path)
            there = files(tmp_path)
            assert {path.name: there[path.name] for path in lost[:2]} == {
                path.name: good[path.name] for path in lost[:2]
            }
            assert there[f"{lost[2].name.removesuffix('.info.json')} r2.info.json"]

    hastily(story())


def test_a_ledger_of_an_earlier_program_is_read_and_goes_on(tmp_path: Path) -> None:
    """It lacks the texts: a description comes back as long as the same bytes can be made."""

    async def story() -> None:
        async with vendor_with_captions() as vendor:
            await gathered(tmp_path, vendor)
            good, path = files(tmp_path), first(tmp_path, "].info.json")
            with closing(sqlite3.connect(tmp_path / PRIVATE / LEDGER)) as db:
                db.executescript("DROP TABLE text; DROP TABLE loss;")
            path.unlink()
            assert len((await verified(tmp_path))["missing"]) == 1
            assert len((await repaired(tmp_path))["rewritten"]) == 1
            assert files(tmp_path) == good
            assert (await archive.verify(str(tmp_path))).exit_code == 0

    hastily(story())
