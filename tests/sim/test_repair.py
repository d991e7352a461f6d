"""Damage to stored files, from its discovery to its end: nothing is lost, and nothing goes round.

Real: the vendor, sockets, files; only the time jumps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archiver import archive
from archiver.adapters.places import PRIVATE
from archiver.core.events import Damaged
from archiver.core.model import Instant
from archiver.errors import DestinationError
from archiver.opening import changing
from archiver.surroundings import Surroundings
from tests.crash.program import is_valid_bag
from tests.hasty import Watcher, emulator, hastily, night
from tests.ports.disk_world import LosesFile

SMALL = {"videos": 3, "channels": 1, "playlists": 0, "size": (15_500, 60_000)}


def flipped(path: Path) -> bytes:
    """One bit, the size as before."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return bytes(data)


async def catalogue(dest: Path) -> list[dict[str, Any]]:
    return [row.as_json() async for row in archive.catalogue(str(dest))]


async def repaired(dest: Path) -> dict[str, Any]:
    return (await archive.repair(str(dest))).as_json()


async def verified(dest: Path) -> dict[str, Any]:
    return (await archive.verify(str(dest))).as_json()


def linked(path: Path) -> None:
    elsewhere = path.parents[4] / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def foldered(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [flipped, Path.unlink, linked, foldered])
def test_the_same_bytes_come_back_to_the_old_path(tmp_path: Path, damage: Any) -> None:
    """Set aside, asked for again, put back; the sums of the run add up, the damaged copy stays."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            row = (await catalogue(tmp_path))[0]
            path = tmp_path / row["path"]
            good = path.read_bytes()
            damage(path)
            found = await repaired(tmp_path)
            assert [each["path"] for each in found["queued"]] == [row["path"]]
            assert not path.exists()
            assert not path.is_symlink()
            assert (await catalogue(tmp_path))[0]["state"] == "discovered"
            kept = list((tmp_path / PRIVATE / "damaged").iterdir())
            assert len(kept) == (damage is not Path.unlink)
            again = await repaired(tmp_path)  # safe to repeat
            assert [each["path"] for each in again["queued"]] == [row["path"]]

            summary = (await night(tmp_path, vendor)).as_json()["videos"]
            assert (summary["archived"], summary["already_archived"]) == (1, 2)
            assert path.read_bytes() == good
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            assert list((tmp_path / PRIVATE / "damaged").iterdir()) == kept
            is_valid_bag(tmp_path)

    hastily(story())


def test_other_bytes_become_a_version_beside(tmp_path: Path) -> None:
    """The lost bytes are lost, and said to be; nothing asks for them again and again."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            row = (await catalogue(tmp_path))[0]
            bad = flipped(tmp_path / row["path"])
            await repaired(tmp_path)
            vendor.world.replace_video(int(row["id"]))  # of the same size and length
            summary = (await night(tmp_path, vendor)).as_json()
            assert summary["outcome"] == "complete"
            assert (summary["videos"]["archived"], summary["videos"]["already_archived"]) == (1, 2)

            old, new = (await catalogue(tmp_path))[:2]
            assert (old["version"], old["state"], old["sha256"]) == (1, "gone", row["sha256"])
            assert (new["version"], new["state"]) == (2, "archived")
            assert not (tmp_path / old["path"]).exists()
            assert new["path"].endswith(" v2.mp4")
            assert (tmp_path / new["path"]).is_file()
            (kept,) = (tmp_path / PRIVATE / "damaged").iterdir()
            assert kept.read_bytes() == bad
            for report in (await verified(tmp_path), await repaired(tmp_path)):
                (missing,) = report["missing"]
                assert missing["path"] == old["path"]
                assert "version 2" in missing["reason"]
                assert not report["changed"]
                assert not report.get("queued")
            assert (await night(tmp_path, vendor)).archived == 0

    hastily(story())


async def lost_everywhere(tmp_path: Path, vendor: Any) -> tuple[dict[str, Any], bytes, bytes]:
    """The row, the good and the bad bytes of a file that is damaged here and deleted there."""
    await night(tmp_path, vendor)
    row = (await catalogue(tmp_path))[0]
    path = tmp_path / row["path"]
    good = path.read_bytes()
    bad = flipped(path)
    vendor.world.delete_video(int(row["id"]))
    await repaired(tmp_path)
    return row, good, bad


def test_what_the_vendor_no_longer_has_goes_back(tmp_path: Path) -> None:
    """A damaged copy is better than none; it is asked for though no listing names it any more."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            row, _, bad = await lost_everywhere(tmp_path, vendor)
            path = tmp_path / row["path"]
            assert not path.exists()
            summary = await night(tmp_path, vendor)
            assert (summary.selected, summary.already_archived, summary.gone) == (3, 2, 1)
            assert path.read_bytes() == bad
            for report in (await verified(tmp_path), await repaired(tmp_path)):
                (changed,) = report["changed"]
                assert changed["path"] == row["path"]
                assert "404" in changed["reason"]
                assert not report.get("queued")
            assert path.read_bytes() == bad
            assert (await night(tmp_path, vendor)).as_json()["videos"]["remaining"] == 0
            assert path.read_bytes() == bad

    hastily(story())


def test_a_good_copy_in_the_place_of_what_nobody_has_is_believed(tmp_path: Path) -> None:
    """Once it is durable."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            row, good, _ = await lost_everywhere(tmp_path, vendor)
            path = tmp_path / row["path"]
            await night(tmp_path, vendor)
            path.write_bytes(good)
            weak = Surroundings(system=lambda: LosesFile(path))
            with pytest.raises(DestinationError):
                await archive.repair(str(tmp_path), surroundings=weak)
            assert [each["state"] for each in await catalogue(tmp_path)].count("archived") == 2
            await repaired(tmp_path)
            assert [each["state"] for each in await catalogue(tmp_path)].count("archived") == 3

    hastily(story())


def test_a_damaged_video_that_is_not_selected_waits_and_is_told(tmp_path: Path) -> None:
    """Nobody asked for it, and nobody forgets it."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            row = (await catalogue(tmp_path))[0]
            (tmp_path / row["path"]).unlink()
            watcher = Watcher()
            await night(tmp_path, vendor, watcher)
            assert any("verify" in word and row["path"] in word for word in watcher.words)
            await repaired(tmp_path)
            watcher = Watcher()
            await night(tmp_path, vendor, watcher, variant="flv")
            assert any("not selected" in word for word in watcher.words)
            assert not any("of another size" in word for word in watcher.words)
            assert (await catalogue(tmp_path))[1]["state"] == "discovered"
            assert (await night(tmp_path, vendor)).archived == 1

    hastily(story())


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_damaged_sidecar_is_written_again(tmp_path: Path, is_renamed: bool) -> None:
    """With the bytes that it had, though the vendor says something else of the video by now."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            row = (await catalogue(tmp_path))[0]
            info = (tmp_path / row["path"]).with_suffix(".info.json")
            good = info.read_bytes()
            if is_renamed:
                vendor.world.rename_video(int(row["id"]), "Another title")
                await night(tmp_path, vendor)
            info.write_bytes(good[:99])
            report = await repaired(tmp_path)
            assert len(report["rewritten"]) == 1
            assert not report["queued"]
            assert info.read_bytes() == good
            (kept,) = (tmp_path / PRIVATE / "damaged").iterdir()
            assert kept.read_bytes() == good[:99]
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            is_valid_bag(tmp_path)

    hastily(story())


def test_damaged_files_of_the_bag_are_reported_and_written_again(tmp_path: Path) -> None:
    """The same with a stranger's file: reported, and left where it is."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            (tmp_path / "manifest-sha256.txt").write_text("nonsense\n")
            stray = tmp_path / "data" / "notes.txt"
            stray.write_text("mine")
            report = await repaired(tmp_path)
            assert [each["path"] for each in report["unknown"]] == ["data/notes.txt"]
            assert "manifest-sha256.txt" in {each["path"] for each in report["rewritten"]}
            assert stray.read_text() == "mine"
            stray.unlink()
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            is_valid_bag(tmp_path)

    hastily(story())


async def queued_and_killed(dest: Path, row: dict[str, Any]) -> None:
    """What a crash leaves between the record of a damaged file and its move."""
    async with changing(str(dest), create=False) as opened:
        standing = (await opened.ledger.standing([row["path"]]))[row["path"]]
        assert standing.job is not None
        await opened.ledger.record(standing.job, Damaged("damaged: x", "7.mp4"), Instant(9.0))


@pytest.mark.parametrize("is_right_again", [False, True])
def test_a_repair_that_was_killed_goes_on(tmp_path: Path, is_right_again: bool) -> None:
    """What is damaged is set aside by the next opening; what somebody put right is believed."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            row = (await catalogue(tmp_path))[0]
            path = tmp_path / row["path"]
            good, bad = path.read_bytes(), flipped(path)
            await queued_and_killed(tmp_path, row)
            if is_right_again:
                path.write_bytes(good)
            summary = await night(tmp_path, vendor)
            assert summary.archived == (not is_right_again)
            assert summary.already_archived == 2 + is_right_again
            assert path.read_bytes() == good
            kept = [each.read_bytes() for each in (tmp_path / PRIVATE / "damaged").iterdir()]
            assert kept == ([] if is_right_again else [bad])
            assert (await archive.verify(str(tmp_path))).exit_code == 0

    hastily(story())


def test_a_folder_that_is_a_link_is_left_for_a_person(tmp_path: Path) -> None:
    """Nothing is moved through it, nothing is queued, and no run ends because of it."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            row = (await catalogue(tmp_path))[0]
            folder = (tmp_path / row["path"]).parent
            elsewhere = tmp_path.with_name("elsewhere")
            folder.rename(elsewhere)
            folder.symlink_to(elsewhere)
            report = await repaired(tmp_path)
            assert not report["queued"]
            assert "link or a file" in report["missing"][0]["reason"]
            assert len(list(elsewhere.iterdir())) == 2
            watcher = Watcher()
            assert (await night(tmp_path, vendor, watcher)).exit_code == 0
            assert any("2 stored files are missing" in word for word in watcher.words)

    hastily(story())


def test_a_folder_in_the_place_of_a_file_of_the_bag_is_set_aside(tmp_path: Path) -> None:
    """With what is in it; no run is held up by it for ever."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            foldered(tmp_path / "bag-info.txt")
            (tmp_path / "bag-info.txt" / "notes").write_text("mine")
            assert (await repaired(tmp_path))["rewritten"]
            (kept,) = (tmp_path / PRIVATE / "damaged").iterdir()
            assert (kept / "notes").read_text() == "mine"
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            is_valid_bag(tmp_path)

    hastily(story())
