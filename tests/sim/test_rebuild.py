"""A ledger that is lost, damaged or old: it comes back from the archive's files, loudly.

Nothing is fetched again, nothing is overwritten, and no old ledger is thrown away.
Real: the vendor, sockets, files; only the time jumps.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import sqlite3
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archiver import archive
from archiver.adapters.disk import Os
from archiver.adapters.ledger import SqliteLedger
from archiver.adapters.places import PRIVATE
from archiver.adapters.publish import LocalVault
from archiver.care.rebuild import catch_up
from archiver.core.bag import COMPLETENESS
from archiver.core.model import DAY_S, Instant
from archiver.core.selection import Filter
from archiver.errors import DestinationError, LedgerLostError
from archiver.opening import changing
from archiver.reading import LEDGER
from tests.crash.program import is_valid_bag
from tests.hasty import Watcher, emulator, hastily, night, surroundings

SMALL = {"videos": 4, "channels": 1, "playlists": 0, "size": (15_500, 60_000)}
PAGE = 4096
EXPECTED = ("rebuilt", "newer", "damaged", "older")


async def catalogue(dest: Path) -> list[dict[str, Any]]:
    """What the archive says it holds, but for when it came."""
    rows = [row.as_json() async for row in archive.catalogue(str(dest))]
    return [{**row, "archived_at": None} for row in rows]


def ledger_of(dest: Path) -> Path:
    return dest / PRIVATE / LEDGER


def kept_of(dest: Path) -> list[str]:
    return sorted(p.name for p in (dest / PRIVATE).glob("*.damaged-*"))


def zeroed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[2 * PAGE : 6 * PAGE] = bytes(4 * PAGE)
    path.write_bytes(data)


def without_tables(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE job")
    db.close()


def without_runs(path: Path) -> None:
    """A table that only the end of a night needs."""
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE run")
    db.close()


def foldered(path: Path) -> None:
    """A folder where the ledger was."""
    path.unlink()
    path.mkdir()


def in_no_state(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE job SET state = 'arcjived' WHERE video_id > 0")
    db.close()


def another_program(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA application_id = 7")
    db.close()


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink, lambda path: path.write_bytes(b""), zeroed, in_no_state, another_program,
        without_tables, foldered, lambda path: path.write_bytes(path.read_bytes()[: 3 * PAGE]),
        lambda path: path.write_bytes(b"<html>" * 1000),
    ],
)  # fmt: skip
def test_a_lost_ledger_comes_back_from_the_files(
    tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    """Questions say how to rebuild it; the run does it, says so, and fetches nothing."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            before, manifest = await catalogue(tmp_path), tmp_path / "manifest-sha256.txt"
            told = manifest.read_bytes()
            damage(ledger_of(tmp_path))
            was_there = ledger_of(tmp_path).exists()
            with pytest.raises(LedgerLostError) as lost:
                await catalogue(tmp_path)
            assert "--repair" in lost.value.hint
            watcher = Watcher()
            summary = await night(tmp_path, vendor, watcher)
            assert (summary.already_archived, summary.api_calls.request) == (4, 0)
            assert any("rebuilt" in word and "4 videos" in word for word in watcher.words)
            assert await catalogue(tmp_path) == before
            assert manifest.read_bytes() == told
            assert bool(kept_of(tmp_path)) == was_there
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            again = Watcher()
            assert (await night(tmp_path, vendor, again)).api_calls.request == 0
            assert not any("rebuilt" in word for word in again.words)

    hastily(story())


def test_a_missing_table_is_found_before_the_night_begins(tmp_path: Path) -> None:
    """No run ends because of it: the ledger is rebuilt first."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            without_runs(ledger_of(tmp_path))
            summary = await night(tmp_path, vendor)
            assert (summary.already_archived, summary.api_calls.request) == (4, 0)

    hastily(story())


def test_a_ledger_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    """Not a byte of it changes, nor of anything beside it."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            with sqlite3.connect(ledger_of(tmp_path)) as db:
                db.execute("PRAGMA user_version = 99")
            db.close()
            data, beside = ledger_of(tmp_path).read_bytes(), sorted((tmp_path / PRIVATE).iterdir())
            for work in (archive.repair(str(tmp_path)), night(tmp_path, vendor)):
                with pytest.raises(DestinationError, match="newer"):
                    await work
            assert ledger_of(tmp_path).read_bytes() == data
            assert sorted((tmp_path / PRIVATE).iterdir()) == beside

    hastily(story())


async def set_back(tmp_path: Path, vendor: Any, *, is_bag_old: bool) -> Any:
    """Archive all, set the ledger (and the bag) back to two videos; what was known before that."""
    await night(tmp_path, vendor, filter=Filter(limit=2))
    bag = {path: path.read_bytes() for path in tmp_path.glob("*.txt")}
    old = tmp_path.with_name("old.sqlite3")
    shutil.copyfile(ledger_of(tmp_path), old)
    await night(tmp_path, vendor)
    known = await catalogue(tmp_path)
    shutil.copyfile(old, ledger_of(tmp_path))
    for path, text in bag.items() if is_bag_old else ():
        path.write_bytes(text)
    return known


@pytest.mark.parametrize("is_bag_old", [False, True])
def test_a_ledger_from_an_old_backup_takes_in_what_came_since(
    tmp_path: Path, is_bag_old: bool
) -> None:
    """By the manifest; and where a run was killed before it wrote one, by the sidecars."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            before = await set_back(tmp_path, vendor, is_bag_old=is_bag_old)
            watcher = Watcher()
            summary = await night(tmp_path, vendor, watcher)
            assert (summary.already_archived, summary.api_calls.request) == (4, 0)
            assert any("older" in word for word in watcher.words)
            assert await catalogue(tmp_path) == before
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            is_valid_bag(tmp_path)

    hastily(story())


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_ledger_from_an_old_backup_does_not_bring_back_its_statement(
    tmp_path: Path, is_damaged: bool
) -> None:
    """The newest run's stays until there is another, unless it is damaged."""
    statement = tmp_path / COMPLETENESS

    async def opened() -> bytes:
        around = surroundings()
        async with changing(str(tmp_path), create=False, surroundings=around):
            return statement.read_bytes()

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor, filter=Filter(limit=2))
            shutil.copyfile(ledger_of(tmp_path), old := tmp_path.with_name("old.sqlite3"))
            earlier = statement.read_bytes()
            await asyncio.sleep(DAY_S)
            await night(tmp_path, vendor)
            later = statement.read_bytes()
            shutil.copyfile(old, ledger_of(tmp_path))
            if is_damaged:
                statement.write_bytes(later.replace(b"4 selected", b"5 selected"))
            assert await opened() == (earlier if is_damaged else later)
            is_valid_bag(tmp_path)
            await asyncio.sleep(DAY_S)
            await night(tmp_path, vendor)
            assert statement.read_bytes() not in (earlier, later)
            assert await opened() == statement.read_bytes()

    hastily(story())


class LosesCopies(Os):
    """What was not flushed before cannot be flushed."""

    def sync_all(self, fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("is_bag_old", [False, True])
def test_what_cannot_be_made_durable_is_not_taken_in(tmp_path: Path, is_bag_old: bool) -> None:
    """A copy may just have brought it, and the ledger would speak of what a power cut takes."""

    def taken_in() -> int:
        with sqlite3.connect(ledger_of(tmp_path)) as db:
            (count,) = db.execute("SELECT count(*) FROM event WHERE name = 'Found'").fetchone()
        db.close()
        return int(count)

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await set_back(tmp_path, vendor, is_bag_old=is_bag_old)
            weak = replace(surroundings(), system=LosesCopies)
            with suppress(DestinationError):  # the opening fails, or the run ends with it
                summary = await night(tmp_path, vendor, around=weak)
                assert "disk" in summary.message
            assert taken_in() == 0
            await night(tmp_path, vendor)
            assert taken_in() > 0

    hastily(story())


def test_what_the_files_do_not_agree_on_is_read_and_told(tmp_path: Path) -> None:
    """Damage that came with the loss is found by the next verification, not taken for the truth."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            rows = await catalogue(tmp_path)
            missing, short, bare, moved = (tmp_path / row["path"] for row in rows)
            missing.unlink()
            short.write_bytes(short.read_bytes()[:-1])
            bare.with_suffix(".info.json").unlink()
            good = moved.read_bytes()
            info = moved.with_suffix(".info.json")
            info.write_bytes(info.read_bytes().replace(b'"sha256": "', b'"sha256": "0', 1))
            ledger_of(tmp_path).unlink()
            watcher = Watcher()
            summary = await night(tmp_path, vendor, watcher)
            assert summary.api_calls.request == 0
            found = (await archive.verify(str(tmp_path))).as_json()
            assert [each["path"] for each in found["missing"]] == [rows[0]["path"]]
            assert rows[1]["path"] in [each["path"] for each in found["changed"]]
            assert moved.read_bytes() == good
            assert [row["path"] for row in await catalogue(tmp_path)] == [
                row["path"] for row in rows
            ]

    hastily(story())


def test_a_rebuilding_that_was_killed_begins_anew(tmp_path: Path) -> None:
    """At its two instants: the new ledger half written, and the old one just out of the way."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await night(tmp_path, vendor)
            before = await catalogue(tmp_path)
            ledger_of(tmp_path).rename(tmp_path / PRIVATE / f"{LEDGER}.damaged-1")
            for suffix in ("", "-wal"):
                (tmp_path / PRIVATE / f"ledger.rebuilding.sqlite3{suffix}").write_bytes(b"half")
            ledger_of(tmp_path).with_name(f"{LEDGER}-wal").write_bytes(b"its log, left behind")
            assert (await night(tmp_path, vendor)).api_calls.request == 0
            assert await catalogue(tmp_path) == before
            assert kept_of(tmp_path) == [f"{LEDGER}.damaged-1", f"{LEDGER}.damaged-2-wal"]
            assert not list((tmp_path / PRIVATE).glob("ledger.rebuilding*"))

    hastily(story())


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Bits turned, pages zeroed or exchanged, the end cut off."""
    changed = bytearray(data)
    match chance.randrange(5):
        case 0:
            return bytes(changed[: chance.randrange(len(data))])
        case 1:
            page = chance.randrange(len(data) // PAGE) * PAGE
            changed[page : page + PAGE] = bytes(PAGE)
        case 2:
            for _ in range(chance.randrange(1, 200)):
                changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case 3:
            start = chance.randrange(len(data))
            changed[start : start + 64] = chance.randbytes(64)
        case _:
            one, other = (chance.randrange(len(data) // PAGE) * PAGE for _ in range(2))
            changed[one : one + PAGE] = data[other : other + PAGE]
    return bytes(changed[: len(data)])


def survive(tmp_path: Path, seeds: range) -> None:
    """Damage the ledger with each seed, open the archive, and ask what it holds."""
    hastily(_survive(tmp_path, seeds))


async def _survive(dest: Path, seeds: range) -> None:
    async with emulator(**SMALL) as vendor:
        await night(dest, vendor)
    good, rows = ledger_of(dest).read_bytes(), await catalogue(dest)
    files = {path: path.read_bytes() for path in (dest / "data").rglob("*") if path.is_file()}
    for seed in seeds:
        for path in (dest / PRIVATE).glob("ledger*"):
            path.unlink()
        ledger_of(dest).write_bytes(damaged(good, random.Random(seed)))
        said: list[str] = []
        try:
            await archive.retry(str(dest), None, say=said.append)
            found = await catalogue(dest)
        except DestinationError as error:
            said.append(str(error))
            found = rows
        assert not said or any(word in said[-1] for word in EXPECTED), (seed, said)
        if any("rebuilt" in word for word in said):
            assert kept_of(dest), seed
            assert found == rows, seed
        assert {row["path"] for row in found} >= {row["path"] for row in rows} or said, (
            seed,
            [row for row in found if row not in rows],
            [r for r in rows if r not in found],
        )
        for path, text in files.items():
            assert path.read_bytes() == text, seed


def test_no_damage_makes_the_ledger_begin_anew(tmp_path: Path) -> None:
    """Refused, mended or harmless: never a crash of ours, never silently empty."""
    survive(tmp_path, range(40))


@pytest.mark.slow
def test_no_damage_of_a_thousand_makes_the_ledger_begin_anew(tmp_path: Path) -> None:
    """The same, for long."""
    survive(tmp_path, range(40, 1040))


def test_a_long_manifest_streams_through(tmp_path: Path) -> None:
    """Every opening compares it with the ledger: that may not take what a large archive is."""
    line = f"{0:064x}  data/channel/video {{:06}}.mp4\n"
    text = "".join(line.format(number) for number in range(30_000))
    (tmp_path / "manifest-sha256.txt").write_text(text)

    async def story() -> int:
        async with await SqliteLedger.open(tmp_path / LEDGER) as ledger:

            async def knows_all(lines: Sequence[tuple[str, str]]) -> list[tuple[str, bool]]:
                return []

            ledger.unlike = knows_all  # type: ignore[method-assign]  # 30,000 rows take a second
            tracemalloc.start()
            with LocalVault.open(tmp_path / "archive", True) as vault:
                await catch_up(str(tmp_path), vault, ledger, Instant(0.0), lambda _: None)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return most

    assert asyncio.run(story()) < len(text)
