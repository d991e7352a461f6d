"""Opening a ledger: beside a run, from a read-only archive, or refused rather than harmed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from archiver.adapters.ledger import SqliteLedger
from archiver.adapters.ledger.schema import SCHEMA
from archiver.core.model import JobState, VideoId
from archiver.errors import DestinationError
from tests.ports.test_ledger import NOW, take_in, use
from tests.ports.test_ledger_file import NAME, place

__all__ = ["place"]


async def _make(ledger: SqliteLedger) -> None:
    await take_in(ledger, *range(1, 200))


def _opens(path: Path, *, read_only: bool = False) -> None:
    async def main() -> None:
        async with await SqliteLedger.open(path, read_only=read_only) as ledger:
            await ledger.all_counts()

    asyncio.run(main())


def _damage_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")


def _damage_log(path: Path) -> None:
    """A newer schema that stands in the write-ahead log alone, as after a kill."""
    away = path.with_name("away")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")
        shutil.copyfile(path, away)
        shutil.copyfile(f"{path}-wal", f"{away}-wal")
    away.replace(path)
    Path(f"{away}-wal").replace(f"{path}-wal")


def _damage_pages(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    for at in range(4096 + 100, len(whole), 512):
        whole[at : at + 64] = b"\xff" * 64
    path.write_bytes(whole)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_damage_version, "newer"),
        (_damage_log, "newer"),
        (_damage_pages, "damaged"),
        (lambda path: os.truncate(path, 3 * 4096), "damaged"),
        (lambda path: os.truncate(path, 50), "damaged"),
        (lambda path: path.write_bytes(b"<html>" * 100), "damaged"),
    ],
    ids=["newer", "newer-log", "pages", "truncated", "cut", "other"],
)
def test_a_ledger_that_cannot_be_trusted_is_refused_untouched(
    tmp_path: Path, damage: Callable[[Path], object], said: str, read_only: bool
) -> None:
    """Damaged or newer: the file keeps every byte, and the person is told."""
    path = tmp_path / NAME
    use(tmp_path, _make)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(DestinationError, match=said):
        _opens(path, read_only=read_only)
    assert path.read_bytes() == before


def test_an_empty_file_is_begun_only_where_nothing_was_archived(tmp_path: Path) -> None:
    """A kill within the very first open is harmless; a ledger that was emptied is damage."""
    folder = tmp_path / ".archiver"
    folder.mkdir()
    (folder / NAME).touch()
    _opens(folder / NAME)
    os.truncate(folder / NAME, 0)
    (tmp_path / "data" / "Channel").mkdir(parents=True)
    with pytest.raises(DestinationError, match="damaged"):
        _opens(folder / NAME)


def test_what_is_no_ledger_of_ours_is_refused(tmp_path: Path) -> None:
    """Another program's database, a link and a folder are left alone."""
    with closing(sqlite3.connect(tmp_path / "other")) as db:
        db.execute("CREATE TABLE x (y)")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    for name in ("other", "link", "folder"):
        with pytest.raises(DestinationError):
            _opens(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(DestinationError, match="no ledger"):
        _opens(tmp_path / "missing", read_only=True)
    assert not (tmp_path / "missing").exists()


def test_questions_are_answered_beside_a_run(tmp_path: Path, place: bool) -> None:
    """`status` sees every commit of a run that is going on, and cannot write."""

    async def what(ledger: SqliteLedger) -> None:
        await take_in(ledger, 1, 2)
        async with await SqliteLedger.open(tmp_path / NAME, read_only=True) as reader:
            assert await reader.all_counts() == {JobState.DISCOVERED: 2}
            await take_in(ledger, 3)
            assert await reader.all_counts() == {JobState.DISCOVERED: 3}
            await reader.select([VideoId(1)])
            assert len((await reader.window(NOW, "mp4", 9)).jobs) == 1
            with pytest.raises(DestinationError):
                await reader.meta_set("a", "b")

    use(tmp_path, what)


def _kill_halfway(path: Path, away: Path) -> None:
    """Put at *away* what a kill leaves of *path* in the middle of a transaction, without WAL."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN;")
        db.execute("UPDATE video SET title = 'half', raw = printf('%.2000c', 'x')")
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{path}{suffix}", f"{away}{suffix}")


@pytest.mark.parametrize("read_only", [False, True])
def test_half_a_transaction_is_rolled_back(
    tmp_path: Path, read_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a share a kill in the middle of a commit costs that commit and nothing else."""
    monkeypatch.setattr("archiver.adapters.ledger.opening.is_local", lambda _: False)
    use(tmp_path, _make)
    away = tmp_path / "away"
    _kill_halfway(tmp_path / NAME, away)
    before = away.read_bytes()
    assert b"xxxx" in before

    async def titles() -> set[str]:
        async with await SqliteLedger.open(away, read_only=read_only) as ledger:
            return {entry.video.title async for entry in ledger.rows()}

    assert asyncio.run(titles()) == {f"Film {number}" for number in range(1, 200)}
    assert (away.read_bytes() == before) == read_only


@pytest.mark.parametrize("is_local", [False, True])
def test_tables_that_were_laid_out_by_half_are_laid_out_anew(
    tmp_path: Path, is_local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill in the very first transaction costs nothing: there was nothing yet."""
    monkeypatch.setattr("archiver.adapters.ledger.opening.is_local", lambda _: is_local)
    made, away = tmp_path / "made", tmp_path / NAME
    with closing(sqlite3.connect(made, isolation_level=None)) as db:
        db.executescript(f"PRAGMA cache_size = 1; BEGIN IMMEDIATE; {SCHEMA}")
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{made}{suffix}", f"{away}{suffix}")
    assert away.stat().st_size > 0
    assert Path(f"{away}-journal").stat().st_size > 0

    async def what(ledger: SqliteLedger) -> None:
        await take_in(ledger, 1)
        assert await ledger.all_counts() == {JobState.DISCOVERED: 1}

    use(tmp_path, what)


@contextlib.contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Be a user who may not write into *folder*; the mode alone would not stop root."""
    if os.geteuid() != 0:
        yield
        return
    for each in (folder, *folder.iterdir()):
        os.chown(each, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def sealed() -> Iterator[Path]:
    """A folder in which its owner cannot make a file."""
    folder = Path(tempfile.mkdtemp())
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize("killed", [False, True])
def test_a_read_only_archive_answers_with_all_that_was_committed(
    sealed: Path, tmp_path: Path, killed: bool
) -> None:
    """Also where a kill left commits in a log that cannot be replayed there."""

    async def what(ledger: SqliteLedger) -> None:
        await take_in(ledger, 1, 2)
        if killed:
            for each in (NAME, NAME + "-wal"):
                shutil.copyfile(tmp_path / each, sealed / each)

    use(tmp_path, what)
    if not killed:
        shutil.copyfile(tmp_path / NAME, sealed / NAME)
    sealed.chmod(0o500)

    async def count() -> Mapping[JobState, int]:
        async with await SqliteLedger.open(sealed / NAME, read_only=True) as ledger:
            return await ledger.all_counts()

    with as_nobody(sealed):
        assert asyncio.run(count()) == {JobState.DISCOVERED: 2}
    assert not (sealed / f"{NAME}-shm").exists()


def listing(path: Path) -> dict[str, tuple[int, int]]:
    """Every file beside the ledger, with size and time."""
    return {p.name: (p.stat().st_size, p.stat().st_mtime_ns) for p in path.parent.iterdir()}


def test_a_question_leaves_no_trace_where_nobody_writes(tmp_path: Path) -> None:
    """Not even the empty files that SQLite makes beside a log."""
    path = tmp_path / "ledger.sqlite3"

    async def story() -> None:
        async with await SqliteLedger.open(path) as ledger:
            await ledger.meta_set("a", "1")
        before = listing(path)
        assert set(before) == {"ledger.sqlite3"}
        async with await SqliteLedger.open(path, read_only=True) as ledger:
            assert await ledger.meta_get("a") == "1"
            assert listing(path) == before
        assert listing(path) == before

    asyncio.run(story())


def test_a_question_notices_a_run_that_began_after_it_was_opened(tmp_path: Path) -> None:
    """What is written meanwhile, and by a whole run that ended meanwhile, is seen."""
    path = tmp_path / "ledger.sqlite3"

    async def story() -> None:
        async with await SqliteLedger.open(path) as ledger:
            await ledger.meta_set("a", "1")
        early = await SqliteLedger.open(path, read_only=True)
        late = await SqliteLedger.open(path, read_only=True)
        async with early, late:
            assert await early.meta_get("a") == await late.meta_get("a") == "1"
            async with await SqliteLedger.open(path) as ledger:
                await ledger.meta_set("a", "2")
                assert await early.meta_get("a") == "2"
            async with await SqliteLedger.open(path) as ledger:
                await ledger.meta_set("a", "3")
            assert await early.meta_get("a") == await late.meta_get("a") == "3"

    asyncio.run(story())
