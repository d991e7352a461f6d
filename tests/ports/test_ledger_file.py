"""What the ledger's file promises: kept through kills, private, refused rather than harmed."""

from __future__ import annotations

import asyncio
import functools
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archiver.adapters.ledger import SqliteLedger, is_local
from archiver.adapters.mounts import type_of
from archiver.core.events import Asked
from archiver.core.model import VideoId
from archiver.errors import DestinationError
from archiver.ports import Shelf
from tests.ports.counting import Counting
from tests.ports.test_ledger import NOW, take_in, use

NAME = "ledger.sqlite3"

RECORDER = """
import asyncio, os, sys
from pathlib import Path
from typing import Any
from archiver.adapters.ledger import SqliteLedger, opening
from archiver.core.events import Asked
from archiver.core.model import Instant, Video, VideoId
opening.is_local = lambda _: sys.argv[2] == "True"

async def main():
    ledger = await SqliteLedger.open(Path(sys.argv[1]))
    ids = [VideoId(n) for n in range(1, 501)]
    await ledger.reconcile([Video(n, str(n)) for n in ids], Instant(0.0), "mp4")
    await ledger.select(ids)
    async def work(jobs):
        for job in jobs:
            await ledger.record(job, Asked(Instant(1.0)), Instant(1.0))
            os.write(1, b"%d\\n" % job.key.video_id)
    jobs = (await ledger.window(Instant(0.0), "mp4", 500)).jobs
    await asyncio.gather(*(work(jobs[n::7]) for n in range(7)))
asyncio.run(main())
"""


@pytest.fixture(params=[True, False], ids=["local", "share"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run a test as on a local file system, and as on a share."""
    monkeypatch.setattr("archiver.adapters.ledger.opening.is_local", lambda _: request.param)
    return bool(request.param)


async def _make(ledger: SqliteLedger) -> None:
    await take_in(ledger, *range(1, 200))


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 30, 100, 222, 400])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, after: int, place: bool) -> None:
    """A record that returned is in the ledger, whenever the process is killed."""
    recorder = subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(tmp_path / NAME), str(place)],
        stdout=subprocess.PIPE,
    )
    assert recorder.stdout is not None
    with recorder.stdout as lines:
        told = {int(lines.readline()) for _ in range(after)}
        recorder.send_signal(signal.SIGKILL)
        told |= {int(line) for line in lines if line.endswith(b"\n")}
    assert recorder.wait() == -signal.SIGKILL

    async def what(ledger: SqliteLedger) -> set[int]:
        await ledger.select([VideoId(number) for number in range(1, 501)])
        jobs = (await ledger.window(NOW, "mp4", 500)).jobs
        return {job.key.video_id for job in jobs if job.asked_at is not None}

    assert told <= use(tmp_path, what)


def test_records_asked_for_together_share_commits(tmp_path: Path, place: bool) -> None:
    """A hundred records cost a few syncs, and each returns after its own commit."""

    async def what(ledger: SqliteLedger) -> list[str]:
        jobs = await take_in(ledger, *range(100))
        said: list[str] = []
        await ledger._writer.read(lambda db: db.set_trace_callback(said.append))
        await asyncio.gather(*(ledger.record(job, Asked(NOW), NOW) for job in jobs))
        return [line for line in said if line == "COMMIT"]

    assert 1 <= len(use(tmp_path, what)) <= 3


def test_work_that_fails_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    """Within a shared commit each work stands or falls for itself."""

    async def what(ledger: SqliteLedger) -> None:
        def half(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO meta VALUES ('half', 'x')")
            raise ValueError("no")

        done = await asyncio.gather(
            ledger.meta_set("before", "1"),
            ledger._writer.write(half),
            ledger.meta_set("after", "1"),
            return_exceptions=True,
        )
        assert [type(each) for each in done] == [type(None), ValueError, type(None)]
        assert await ledger.meta_get("half") is None
        assert await ledger.meta_get("before") == await ledger.meta_get("after") == "1"

    use(tmp_path, what)


def test_a_cancelled_caller_does_not_split_or_lose_his_transaction(tmp_path: Path) -> None:
    """Work that was asked for is done as a whole, also when nobody waits for it any more."""

    async def what(ledger: SqliteLedger) -> None:
        jobs = await take_in(ledger, *range(50))
        asked = [asyncio.ensure_future(ledger.record(job, Asked(NOW), NOW)) for job in jobs]
        await asyncio.sleep(0)  # each has begun
        for each in asked[::2]:
            each.cancel()
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(each, asyncio.CancelledError) for each in done) == 25
        window = await ledger.window(NOW, "mp4", 0)
        assert len(window.jobs) == 50

    use(tmp_path, what)


def test_closing_finishes_what_was_asked(tmp_path: Path) -> None:
    """A run that ends in a hurry loses no record on the way to the disk."""

    async def what(ledger: SqliteLedger) -> None:
        note = asyncio.ensure_future(ledger.meta_set("late", "1"))
        await asyncio.sleep(0)
        await ledger.close()
        await note
        await ledger.close()
        with pytest.raises(ValueError, match="closed"):
            await ledger.meta_set("too late", "1")

    async def main() -> str | None:
        await what(await SqliteLedger.open(tmp_path / NAME))
        async with await SqliteLedger.open(tmp_path / NAME) as ledger:
            return await ledger.meta_get("late")

    assert asyncio.run(main()) == "1"


def test_a_loop_that_runs_executors_inline_drives_the_ledger(tmp_path: Path) -> None:
    """The simulation needs no thread: the ledger asks for none of its own."""

    class Inline(asyncio.SelectorEventLoop):
        def run_in_executor(self, executor: object, func: Callable[..., object], *args: object):  # type: ignore[no-untyped-def]
            done = self.create_future()
            done.set_result(func(*args))
            return done

    async def main() -> int:
        async with await SqliteLedger.open(tmp_path / NAME) as ledger:
            jobs = await take_in(ledger, 1, 2, 3)
            await asyncio.gather(*(ledger.record(job, Asked(NOW), NOW) for job in jobs))
            return len((await ledger.window(NOW, "mp4", 0)).jobs)

    with asyncio.Runner(loop_factory=Inline) as runner:
        assert runner.run(main()) == 3


def test_what_is_asked_together_is_one_trip_and_each_hears_his_own(tmp_path: Path) -> None:
    """A way to the thread and back costs more than most answers."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Counting)
        async with await SqliteLedger.open(tmp_path / NAME) as ledger:
            await take_in(ledger, 1, 2)
            before = loop.trips
            asked = [ledger.shelf(VideoId(number)) for number in (1, 9, 2)]
            one, none, two = await asyncio.gather(*asked, return_exceptions=True)
            assert isinstance(none, DestinationError)
            assert [shelf.video.id for shelf in (one, two) if isinstance(shelf, Shelf)] == [1, 2]
            return loop.trips - before

    with asyncio.Runner(loop_factory=Counting) as runner:
        assert runner.run(main()) == 1


def test_a_full_disk_of_temporary_files_is_not_told_as_the_archives(tmp_path: Path) -> None:
    """A selection that has no room among temporary files says so, and the ledger works on."""

    async def what(ledger: SqliteLedger) -> None:
        await ledger._writer.read(lambda db: db.execute("PRAGMA temp.max_page_count = 1"))
        with pytest.raises(DestinationError, match="temporary files"):
            await ledger.select([VideoId(number) for number in range(5_000)])
        await ledger.meta_set("still", "there")
        assert await ledger.meta_get("still") == "there"

    use(tmp_path, what)


def test_a_full_disk_is_told_and_what_was_recorded_stays(tmp_path: Path) -> None:
    """After room was made the same ledger goes on."""

    async def what(ledger: SqliteLedger) -> None:
        await ledger.meta_set("before", "1")
        limit = "PRAGMA max_page_count = %d"
        pages = await ledger._writer.read(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        await ledger._writer.read(lambda db: db.execute(limit % pages).fetchone())
        with pytest.raises(DestinationError, match="full"):
            await asyncio.gather(*(ledger.meta_set(f"{n}", "x" * 9000) for n in range(3)))
        await ledger._writer.read(lambda db: db.execute(limit % 10**6).fetchone())
        await ledger.meta_set("after", "1")
        assert await ledger.meta_get("before") == await ledger.meta_get("after") == "1"

    use(tmp_path, what)


def test_after_a_failed_write_nothing_more_is_written(tmp_path: Path) -> None:
    """What a failed disk holds is unknown: only opening again may say."""

    async def what(ledger: SqliteLedger) -> None:
        await ledger.meta_set("before", "1")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(tmp_path / NAME).st_size, limits[1]))
        try:
            with pytest.raises(DestinationError):
                await ledger.meta_set("big", "x" * 10**6)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        with pytest.raises(DestinationError, match="disk failed"):
            await ledger.meta_set("after", "1")

    async def notes(ledger: SqliteLedger) -> list[str | None]:
        return [await ledger.meta_get(key) for key in ("before", "big", "after")]

    use(tmp_path, what)
    assert use(tmp_path, notes) == ["1", None, None]


def test_the_file_is_private_and_set_up_for_its_file_system(tmp_path: Path, place: bool) -> None:
    """WAL stays off shares; every commit is synced; nobody else reads addresses."""

    async def what(ledger: SqliteLedger) -> list[object]:
        names = "journal_mode", "synchronous", "secure_delete", "temp_store"
        found = [
            await ledger._writer.read(lambda db, n=name: db.execute(f"PRAGMA {n}").fetchone()[0])  # type: ignore[misc]
            for name in names
        ]
        for each in tmp_path.iterdir():
            assert stat.S_IMODE(each.stat().st_mode) == 0o600
        return found

    old = os.umask(0)
    try:
        expected = ["wal", 2, 1, 1] if place else ["delete", 3, 1, 1]
        assert use(tmp_path, what) == expected
    finally:
        os.umask(old)


def test_a_selection_without_a_place_for_its_file_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that may write to its volume alone."""
    monkeypatch.setattr(os, "access", lambda *_: False)

    async def what(ledger: SqliteLedger) -> object:
        return await ledger._writer.read(lambda db: db.execute("PRAGMA temp_store").fetchone()[0])

    assert use(tmp_path, what) == 2


def test_what_shares_a_commit_runs_again_alone_where_one_raises(tmp_path: Path) -> None:
    """The neighbours' writes are undone with the bad one's, and then done once."""

    async def what(ledger: SqliteLedger) -> list[object]:
        def note(db: sqlite3.Connection, key: str) -> None:
            count = "coalesce((SELECT value FROM meta WHERE key = ?1), 0) + 1"
            db.execute(f"INSERT OR REPLACE INTO meta VALUES (?1, {count})", (key,))
            if key == "bad":
                raise LookupError(key)

        works = [functools.partial(note, key=key) for key in ("a", "bad", "b")]
        done = await asyncio.gather(*map(ledger._writer.write, works), return_exceptions=True)
        return [*map(type, done), *[await ledger.meta_get(key) for key in ("a", "bad", "b")]]

    expected = [type(None), LookupError, type(None), "1", None, "1"]
    assert use(tmp_path, what) == expected


def test_a_file_system_is_known_by_the_longest_mount(tmp_path: Path) -> None:
    """A share mounted within a local disk is a share."""
    mounts = [
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw",
        r"30 22 0:40 / /mnt/my\040nas rw shared:1 - nfs4 nas:/x rw",
        "31 22 0:41 / /mnt/fuse rw - fuse.sshfs far rw",
        "nonsense",
    ]
    assert type_of("/mnt/my nas/a", mounts) == "nfs4"
    assert type_of("/mnt/my", mounts) == "ext4"
    assert type_of("/mnt/fuse", mounts) == "fuse.sshfs"
    assert type_of("/x", []) == ""
    assert not is_local("/proc")
