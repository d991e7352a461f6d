"""Marks of tag files: what nobody changed is not made anew, and nothing else is believed."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import bagit
import pytest

from archiver.adapters.ledger import SqliteLedger
from archiver.adapters.publish import LocalVault
from archiver.core.bag import INVENTORY, MANIFEST
from archiver.core.events import Damaged, NotFound
from archiver.core.extras import LABELS
from archiver.core.model import Channel, ChannelId, Holding, Instant, Job, Video, VideoId
from archiver.records import marks
from archiver.records.inventory import UNLISTED_KEY, Inventoried
from archiver.records.marks import key_of
from archiver.records.tag_files import write_tag_files
from tests.ports.disk_world import NOW, opened
from tests.ports.test_records import FILM, archived, stats

OTHER = Video(VideoId(8), "Another", ChannelId(9), "News")
HELD = Holding(VideoId(7), "caption", "en-00", 1, "data/c.vtt", 1, "ab" * 32, NOW)


class Counting(SqliteLedger):
    """Knows how often all of it was read for a tag file."""

    asked = 0

    async def holdings(self) -> AsyncIterator[Holding]:
        self.asked += 1
        async for each in super().holdings():
            yield each

    async def inventory(self) -> AsyncIterator[Inventoried]:
        self.asked += 1
        async for each in super().inventory():
            yield each


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncIterator[tuple[LocalVault, Counting]]:
    """An archive as the last night left it."""
    with opened(tmp_path) as vault:
        async with await Counting.open(ledger_of(tmp_path)) as ledger:
            yield vault, ledger


def ledger_of(tmp_path: Path) -> Path:
    return tmp_path / "archive" / ".archiver" / "ledger.sqlite3"


async def a_night(tmp_path: Path) -> Job:
    async with world(tmp_path) as (vault, ledger):
        job = await archived(vault, ledger, FILM)
        await ledger.keep_answer(7, LABELS, '{"1": {"label_name": "old"}}', NOW)
        await ledger.meta_set(UNLISTED_KEY, "[]")
        await write_tag_files(vault, ledger, NOW)
        return job


async def is_true(tmp_path: Path, vault: LocalVault, ledger: SqliteLedger) -> bool:
    """What stands there is what the whole ledger comes to, byte for byte."""
    seen = stats(tmp_path)
    await write_tag_files(vault, ledger, NOW, is_checked=True)
    return stats(tmp_path) == seen


def test_where_nothing_changed_nothing_is_read(tmp_path: Path) -> None:
    """Neither of the ledger nor of the files; a later opening believes it, too."""

    async def run() -> None:
        await a_night(tmp_path)
        seen = stats(tmp_path)
        async with world(tmp_path) as (vault, ledger):
            # The listing has it all again; what it says of no line changes none.
            await ledger.reconcile([replace(FILM, raw='{"views": 9}')], Instant(NOW + 9e6), "mp4")
            await ledger.meta_set(UNLISTED_KEY, "[]")
            await ledger.keep_answer(7, LABELS, '{"1": {"label_name": "old"}}', NOW)
            await write_tag_files(vault, ledger, Instant(NOW + 9e6))
            assert ledger.asked == 0
            assert stats(tmp_path) == seen
            assert await is_true(tmp_path, vault, ledger)

    asyncio.run(run())
    bagit.Bag(str(tmp_path / "archive")).validate()


Change: TypeAlias = Callable[[LocalVault, SqliteLedger, Job], Awaitable[object]]


async def _stored(vault: LocalVault, ledger: SqliteLedger, _: Job) -> None:
    await archived(vault, ledger, OTHER)


async def _captioned(_: LocalVault, ledger: SqliteLedger, __: Job) -> None:
    await ledger.placed(HELD, "", NOW)


async def _renamed(_: LocalVault, ledger: SqliteLedger, __: Job) -> None:
    await ledger.reconcile([replace(FILM, title="New")], Instant(NOW + 1), "mp4")


async def _moved(_: LocalVault, ledger: SqliteLedger, __: Job) -> None:
    await ledger.add_channels([Channel(ChannelId(10), "Else", "{}")])
    there = replace(FILM, channel_id=ChannelId(10), channel_title="Else")
    await ledger.reconcile([there], Instant(NOW + 1), "mp4")


async def _redated(_: LocalVault, ledger: SqliteLedger, __: Job) -> None:
    await ledger.reconcile([replace(FILM, created_at=Instant(5.0))], Instant(NOW + 1), "mp4")


async def _labelled(_: LocalVault, ledger: SqliteLedger, __: Job) -> None:
    await ledger.keep_answer(7, LABELS, '{"1": {"label_name": "new"}}', NOW)


async def _not_listed(_: LocalVault, ledger: SqliteLedger, __: Job) -> None:
    await ledger.meta_set(UNLISTED_KEY, "[7]")


async def _deleted(_: LocalVault, ledger: SqliteLedger, job: Job) -> None:
    lost = await ledger.record(job, Damaged("a bit"), NOW)
    await ledger.record(lost, NotFound(), NOW)


CHANGES = (_stored, _captioned, _renamed, _moved, _redated, _labelled, _not_listed, _deleted)


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.__name__)
def test_each_change_of_a_line_is_written(tmp_path: Path, change: Change) -> None:
    """Whatever a mark says was made before it."""

    async def run() -> None:
        job = await a_night(tmp_path)
        before = (tmp_path / "archive" / INVENTORY).read_bytes()
        async with world(tmp_path) as (vault, ledger):
            await change(vault, ledger, job)
            await write_tag_files(vault, ledger, NOW)
            assert (tmp_path / "archive" / INVENTORY).read_bytes() != before
            assert await is_true(tmp_path, vault, ledger)
            ledger.asked = 0
            await write_tag_files(vault, ledger, NOW)
            assert ledger.asked == 0

    asyncio.run(run())


def _appended(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"?")


def _overwritten(path: Path) -> None:
    """Of the same size and age; only that its inode was written cannot be hidden."""
    seen = path.stat()
    with path.open("r+b") as file:
        file.write(b"?")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _copied_back(path: Path) -> None:
    """From a backup that was made before the last night."""
    path.write_bytes(b"old\n")
    os.utime(path, (0, 0))


@pytest.mark.parametrize("name", [MANIFEST, INVENTORY])
@pytest.mark.parametrize("harm", [Path.unlink, _appended, _overwritten, _linked, _copied_back])
def test_a_file_that_somebody_changed_is_made_anew(
    tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    """Changed, lost, or of another time."""

    async def run() -> None:
        await a_night(tmp_path)
        path = tmp_path / "archive" / name
        good = path.read_bytes()
        harm(path)
        async with world(tmp_path) as (vault, ledger):
            await write_tag_files(vault, ledger, NOW)
        assert path.read_bytes() == good
        assert not path.is_symlink()

    asyncio.run(run())


@pytest.mark.parametrize("with_its_files", [False, True])
def test_the_mark_of_an_old_ledger_says_nothing_of_newer_files(
    tmp_path: Path, with_its_files: bool
) -> None:
    """It names the file that stood there then; one that came back in its place is another one."""
    kept = [ledger_of(tmp_path)]
    if with_its_files:
        kept += [tmp_path / "archive" / name for name in (MANIFEST, INVENTORY)]

    async def run() -> None:
        await a_night(tmp_path)
        for number, path in enumerate(kept):
            shutil.copy2(path, tmp_path / str(number))
        async with world(tmp_path) as (vault, ledger):
            await archived(vault, ledger, OTHER)
            await write_tag_files(vault, ledger, NOW)
        for number, path in enumerate(kept):
            shutil.copy2(tmp_path / str(number), path)
        async with world(tmp_path) as (vault, ledger):
            await write_tag_files(vault, ledger, NOW)
            assert ledger.asked == 2
            assert await is_true(tmp_path, vault, ledger)

    asyncio.run(run())


def test_what_changes_while_a_file_is_made_leaves_no_mark(tmp_path: Path) -> None:
    """The file has it or not; the next time it is made again, and has it."""

    class Restless(Counting):
        async def holdings(self) -> AsyncIterator[Holding]:
            async for each in super().holdings():
                yield each
            await self.placed(HELD, "", NOW)

    async def run() -> None:
        await a_night(tmp_path)
        with opened(tmp_path) as vault:
            async with await Restless.open(ledger_of(tmp_path)) as ledger:
                await write_tag_files(vault, ledger, NOW, is_checked=True)
                assert await ledger.meta_get(key_of(MANIFEST)) is None
        async with world(tmp_path) as (vault, ledger):
            await write_tag_files(vault, ledger, NOW)
            assert await is_true(tmp_path, vault, ledger)
        assert HELD.path in (tmp_path / "archive" / MANIFEST).read_text()

    asyncio.run(run())


def test_a_file_that_was_never_finished_has_no_mark(tmp_path: Path) -> None:
    """A kill before it was in its place, or before that was written down."""

    async def run() -> None:
        await a_night(tmp_path)
        async with world(tmp_path) as (vault, ledger):
            notes = marks.LedgerMarks(vault, ledger)
            assert await notes.standing(MANIFEST) is not None
            await notes.begin(MANIFEST)
        async with world(tmp_path) as (vault, ledger):
            assert await marks.LedgerMarks(vault, ledger).standing(MANIFEST) is None
            await write_tag_files(vault, ledger, NOW)
            assert ledger.asked == 1

    asyncio.run(run())


def test_another_program_believes_no_mark_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may tell other things in the same file."""

    async def run() -> None:
        await a_night(tmp_path)
        monkeypatch.setattr(marks, "__version__", "99")
        async with world(tmp_path) as (vault, ledger):
            await write_tag_files(vault, ledger, NOW)
            assert ledger.asked == 2

    asyncio.run(run())


def test_a_ledger_of_an_earlier_program_is_watched_from_its_next_opening(tmp_path: Path) -> None:
    """Nothing that it lacks keeps a mark alive."""

    async def run() -> None:
        async with world(tmp_path):
            pass
        db = sqlite3.connect(ledger_of(tmp_path))
        query = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND sql LIKE '%FROM meta%'"
        ours = [name for (name,) in db.execute(query).fetchall()]
        assert len(ours) == 13
        for name in ours:
            db.execute(f"DROP TRIGGER {name}")
        db.commit()
        await a_night(tmp_path)
        assert [name for (name,) in db.execute(query).fetchall()] == ours
        db.close()

    asyncio.run(run())
