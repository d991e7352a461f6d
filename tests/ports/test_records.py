"""Inventory and statement: from a ledger's rows to files of the bag."""

from __future__ import annotations

import asyncio
import csv
from dataclasses import replace
from pathlib import Path

import bagit

from archiver.adapters.ledger import SqliteLedger
from archiver.adapters.publish import LocalVault
from archiver.core.bag import Contact
from archiver.core.events import Available, Fetched, Stored
from archiver.core.extras import LABELS
from archiver.core.model import ChannelId, Holding, Instant, Job, Link, Video, VideoId
from archiver.records.inventory import COLUMNS, UNLISTED_KEY
from archiver.records.tag_files import STATEMENT_KEY, keep_contact, write_tag_files
from tests.ports.disk_world import MP4, NOW, fetched, opened

LINK = Link("https://cdn.example/video.mp4")
FILM = Video(
    VideoId(7), "=HYPERLINK(\"x\")\n\u65e5\u672c", ChannelId(9), "News; +1", Instant(0.0),
    Instant(86_400.0), 10, 12.5,
)  # fmt: skip


async def archived(vault: LocalVault, ledger: SqliteLedger, video: Video) -> Job:
    """Take one video in, as a run does."""
    await ledger.reconcile([video], NOW, "mp4")
    await ledger.select([video.id])
    (job,) = [j for j in (await ledger.window(NOW, "mp4", 99)).jobs if j.key.video_id == video.id]
    done = await fetched(vault, job.key)
    shelf = await ledger.shelf(video.id)
    holdings = await vault.publish(done, shelf)
    for event in (Available(NOW, LINK), Fetched(done.saved, done.sha256 or ""), Stored(holdings)):
        job = await ledger.record(job, event, NOW)
    return job


async def ledger_in(tmp_path: Path) -> SqliteLedger:
    return await SqliteLedger.open(tmp_path / "archive" / ".archiver" / "ledger.sqlite3")


def rows(tmp_path: Path) -> list[dict[str, str]]:
    """The inventory as a spreadsheet opens it."""
    text = (tmp_path / "archive" / "inventory.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    assert text.count(b"\n") == text.count(b"\r\n")
    lines = text.decode("utf-8-sig").splitlines(keepends=True)
    return list(csv.DictReader(lines, dialect="excel", strict=True))


def test_the_inventory_has_a_line_for_each_stored_version(tmp_path: Path) -> None:
    """With all that was promised in it, and nothing that a spreadsheet would run."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            async with await ledger_in(tmp_path) as ledger:
                await archived(vault, ledger, FILM)
                await archived(vault, ledger, Video(VideoId(8), "Plain"))
                held = Holding(VideoId(7), "caption", "en-00", 1, "data/c.vtt", 1, "ab" * 32, NOW)
                await ledger.placed(held, "", NOW)
                await ledger.keep_answer(7, LABELS, '{"1": {"label_name": "=new"}}', NOW)
                await ledger.meta_set(UNLISTED_KEY, "[8]")
                await write_tag_files(vault, ledger, NOW)

    asyncio.run(run())
    one, other = sorted(rows(tmp_path), key=lambda row: row["id"])
    assert tuple(one) == COLUMNS
    assert one["title"] == '\'=HYPERLINK("x") \u65e5\u672c'
    assert one["channel"] == "News; '+1"
    assert (one["id"], one["channel_id"], one["length_s"]) == ("7", "9", "12.5")
    assert (one["created_utc"], one["added_utc"]) == ("1970-01-01 00:00:00", "1970-01-02 00:00:00")
    assert one["bytes"] == str(len(MP4))
    assert (one["captions"], one["labels"]) == ("en-00", "'=new")
    assert one["address"] == "https://video.ibm.com/recorded/7"
    assert (tmp_path / "archive" / one["path"]).read_bytes() == MP4
    assert (one["version"], one["vendor"]) == ("1", "listed")
    assert (other["channel_id"], other["length_s"], other["vendor"]) == ("", "", "not listed")


def test_a_stored_version_keeps_the_length_with_which_it_was_asked_for(tmp_path: Path) -> None:
    """The video was replaced by a longer one since: that is not what the file has."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            async with await ledger_in(tmp_path) as ledger:
                await archived(vault, ledger, FILM)
                longer = replace(FILM, size_bytes=99, length_s=3600.0)
                await ledger.reconcile([longer], Instant(NOW + 1), "mp4")
                await write_tag_files(vault, ledger, NOW)

    asyncio.run(run())
    (one,) = rows(tmp_path)
    assert (one["version"], one["length_s"]) == ("1", "12.5")


def test_records_belong_to_the_bag(tmp_path: Path) -> None:
    """A validator finds it if somebody edits them; nights without news do not touch them."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            async with await ledger_in(tmp_path) as ledger:
                await archived(vault, ledger, FILM)
                await ledger.meta_set(STATEMENT_KEY, "all is here\n")
                await write_tag_files(vault, ledger, NOW)
                seen = stats(tmp_path)
                await write_tag_files(vault, ledger, Instant(NOW + 9e6))
                assert stats(tmp_path) == seen

    asyncio.run(run())
    archive = tmp_path / "archive"
    assert (archive / "completeness.txt").read_text() == "all is here\n"
    bagit.Bag(str(archive)).validate()
    for name in ("inventory.csv", "completeness.txt"):
        kept = (archive / name).read_bytes()
        (archive / name).write_bytes(kept + b"?")
        assert not bagit.Bag(str(archive)).is_valid()
        (archive / name).write_bytes(kept)


def stats(tmp_path: Path) -> dict[str, tuple[int, int]]:
    """What changes when a file outside ``data`` is written again."""
    found = [path for path in (tmp_path / "archive").iterdir() if path.is_file()]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_the_last_statement_stays_where_the_ledger_was_lost(tmp_path: Path) -> None:
    """It cannot be made again, and it is still the last one."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            (tmp_path / "archive" / "completeness.txt").write_text("as it was\n")
            async with await ledger_in(tmp_path) as ledger:
                await write_tag_files(vault, ledger, NOW)

    asyncio.run(run())
    archive = tmp_path / "archive"
    assert (archive / "completeness.txt").read_text() == "as it was\n"
    assert "completeness.txt" in (archive / "tagmanifest-sha256.txt").read_text()
    bagit.Bag(str(archive)).validate()


def test_whose_archive_it_is_is_told_once_and_kept(tmp_path: Path) -> None:
    """By later runs that say nothing of it, or only a part; and where the ledger was lost."""

    async def run() -> list[dict[str, str]]:
        infos: list[dict[str, str]] = []
        with opened(tmp_path) as vault:

            async def told(contact: Contact) -> None:
                async with await ledger_in(tmp_path) as ledger:
                    await keep_contact(vault, ledger, contact)
                    await write_tag_files(vault, ledger, NOW)
                info = bagit.Bag(str(tmp_path / "archive")).info
                assert info.pop("External-Identifier") == vault.archive_id
                infos.append({k: v for k, v in info.items() if k.startswith(("Source", "Contact"))})

            await told(Contact("The town", contact_name="A. Clerk"))
            await told(Contact())
            await told(Contact(contact_name="", contact_email="b@town.example"))
            (tmp_path / "archive" / ".archiver" / "ledger.sqlite3").unlink()
            await told(Contact())
        return infos

    first = {"Source-Organization": "The town", "Contact-Name": "A. Clerk"}
    then = {"Source-Organization": "The town", "Contact-Email": "b@town.example"}
    assert asyncio.run(run()) == [first, first, then, then]
