"""Parts: what was synced is there after a crash, and a disk that fails is believed at once."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from archiver.adapters import part as part_module
from archiver.adapters.disk import Os
from archiver.core.model import NOTHING, JobKey, Saved, VideoId
from archiver.errors import DestinationError
from tests.ports.disk_world import MP4, FailingOs, fill, opened

KEY = JobKey(VideoId(5))
DATA = os.urandom(100_000)


def part_path(tmp_path: Path) -> Path:
    """Where the part of KEY lies."""
    return tmp_path / "archive/.archiver/parts/5.mp4.v1.part"


def test_bytes_arrive_whole_and_hashed(tmp_path: Path) -> None:
    """What went into the buffer is on the disk, and the hash is that of the file."""

    async def run() -> None:
        with opened(tmp_path, gather_bytes=1000) as vault:
            part, saved = await vault.part(KEY, NOTHING)
            assert (saved, part.offset) == (NOTHING, 0)
            await fill(part, DATA)
            assert part.offset == len(DATA)
            assert await part.sync() == len(DATA)
            assert await part.read(500, 2000) == DATA[500:2500]
            assert await part.read(len(DATA) - 5, 100) == DATA[-5:]
            assert await part.sha256() == hashlib.sha256(DATA).hexdigest()
            await part.close()
            await part.close()  # closing twice is harmless

    asyncio.run(run())
    assert part_path(tmp_path).read_bytes() == DATA
    assert stat.S_IMODE(part_path(tmp_path).stat().st_mode) == 0o600


def test_a_close_that_fails_is_told_like_any_write(tmp_path: Path) -> None:
    """Some shares say only then that they could not keep what they took."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            os.close(part._fd)
            with pytest.raises(DestinationError, match="closing a download"):
                await part.close()

    asyncio.run(run())


def test_much_is_written_at_once_and_little_is_gathered(tmp_path: Path) -> None:
    """By whoever filled the room; the order of the bytes is that of their coming."""

    async def run() -> None:
        with opened(tmp_path, gather_bytes=10) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            written = []
            for piece in (b"1234", b"56789", b"ABC", b"D", b"EFGHIJKLMNOPQRSTUVWXYZ", b"!"):
                part.room()[: len(piece)] = piece
                part.filled(len(piece))
                written.append(part_path(tmp_path).stat().st_size)
            assert written == [0, 0, 9, 9, 35, 35]
            with pytest.raises(ValueError, match="do not fit"):
                part.filled(len(part.room()) + 1)
            assert await part.sync() == part.offset == 36
            assert part_path(tmp_path).read_bytes() == b"123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ!"
            digest = hashlib.sha256(part_path(tmp_path).read_bytes()).hexdigest()
            assert await part.sha256() == digest
            await part.close()
            with pytest.raises(ValueError, match="closed"):
                await part.sync()

    asyncio.run(run())


def test_resume_cuts_back_to_what_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes after the last sync do not count; the hash is rebuilt from those before it."""
    monkeypatch.setattr(part_module, "REHASH_BYTES", 7_000)

    async def run() -> None:
        with opened(tmp_path) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            await fill(part, DATA)
            await part.sync()
            await part.close()
            kept = Saved(bytes=60_000, etag='"x"')
            part, saved = await vault.part(KEY, kept)
            assert (saved, part.offset) == (kept, 60_000)
            assert part_path(tmp_path).stat().st_size == 60_000
            await fill(part, DATA[60_000:])
            assert await part.sha256() == hashlib.sha256(DATA).hexdigest()
            await part.restart()
            assert part.offset == 0
            await fill(part, b"new")
            assert await part.sync() == 3
            assert await part.sha256() == hashlib.sha256(b"new").hexdigest()
            await part.close()

    asyncio.run(run())
    assert part_path(tmp_path).read_bytes() == b"new"


def make_short(path: Path) -> None:
    """Bytes got lost."""
    path.write_bytes(b"12345")


def make_symlink(path: Path) -> None:
    """Somebody wants us to write elsewhere."""
    victim = path.parent.parent.parent.parent / "victim"
    victim.write_bytes(bytes(100))
    path.symlink_to(victim)


def make_hard_link(path: Path) -> None:
    """The same, by another door."""
    victim = path.parent.parent.parent.parent / "victim"
    victim.write_bytes(bytes(100))
    path.hardlink_to(victim)


@pytest.mark.parametrize("make", [make_short, make_symlink, make_hard_link, None])
def test_a_part_that_is_not_ours_is_begun_anew(tmp_path: Path, make: object) -> None:
    """Missing, short, linked elsewhere: nothing is saved then, and nothing outside is touched."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            if callable(make):
                make(part_path(tmp_path))
            part, saved = await vault.part(KEY, Saved(bytes=50))
            assert (saved, part.offset) == (NOTHING, 0)
            await fill(part, b"ours")
            await part.sync()
            await part.close()

    asyncio.run(run())
    assert part_path(tmp_path).read_bytes() == b"ours"
    victim = tmp_path / "victim"
    assert not victim.exists() or victim.read_bytes() == bytes(100)


def test_short_writes_are_continued(tmp_path: Path) -> None:
    """A disk that takes a few bytes at a time still gets all of them."""

    class Reluctant(Os):
        def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
            return super().pwrite(fd, data[:7], offset)

    async def run() -> None:
        with opened(tmp_path, Reluctant()) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            await fill(part, MP4)
            await part.sync()
            await part.close()

    asyncio.run(run())
    assert part_path(tmp_path).read_bytes() == MP4


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "disk reports an error"),
        (errno.ESTALE, "share went away"),
        (errno.EFBIG, "too large"),
    ],
)
@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_the_first_error_poisons_a_part(tmp_path: Path, call: str, code: int, said: str) -> None:
    """After an error nothing is written and nothing synced again; each call tells the cause."""
    with opened(tmp_path):
        pass
    system = FailingOs(call, code, at=2 if call == "pwrite" else 1)

    async def run() -> None:
        with opened(tmp_path, system) as vault:  # its probe is the first write
            part, _ = await vault.part(KEY, NOTHING)
            await fill(part, b"some")
            with pytest.raises(DestinationError, match=said):
                await part.sync()
            before = list(system.calls)
            for again in (part.sync, part.sha256, part.restart):
                with pytest.raises(DestinationError, match=said):
                    await again()
            assert system.calls == before
            await part.close()

    asyncio.run(run())


def test_a_cancelled_sync_loses_nothing(tmp_path: Path) -> None:
    """A stop may hit while a thread syncs: the next sync waits for it and counts all."""

    async def run() -> None:
        with opened(tmp_path, gather_bytes=1000) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            for start in range(0, 50_000, 999):
                part.room()[:999] = DATA[start : start + 999]
                part.filled(999)
                sync = asyncio.ensure_future(part.sync())
                await asyncio.sleep(0)  # the thread has begun, or is about to
                sync.cancel()
                await asyncio.gather(sync, return_exceptions=True)
                assert await part.sync() == start + 999
            assert await part.sha256() == hashlib.sha256(DATA[: start + 999]).hexdigest()
            await part.close()
            assert part_path(tmp_path).read_bytes() == DATA[: start + 999]

    asyncio.run(run())


class Waiting(Os):
    """A disk whose sync ends when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.ended: list[str] = []

    def fdatasync(self, fd: int) -> None:
        self.has_begun.set()
        assert self.may_end.wait(30)
        super().fdatasync(fd)
        self.ended.append("fdatasync")

    def close(self, fd: int) -> None:
        super().close(fd)
        self.ended.append("close")


def test_bytes_that_come_during_a_sync_belong_to_the_next(tmp_path: Path) -> None:
    """The sync says only what it made durable; who receives does not wait for the disk."""
    system = Waiting()

    async def run() -> None:
        with opened(tmp_path, system, gather_bytes=1000) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            await fill(part, DATA[:50_000])
            sync = asyncio.create_task(part.sync())
            await asyncio.to_thread(system.has_begun.wait, 30)
            await fill(part, DATA[50_000:])
            assert part.offset == len(DATA)
            system.may_end.set()
            assert await sync == 50_000
            assert await part.sync() == len(DATA)
            assert await part.sha256() == hashlib.sha256(DATA).hexdigest()
            await part.close()
            assert part_path(tmp_path).read_bytes() == DATA

    asyncio.run(run())


def test_a_descriptor_outlives_a_sync_that_nobody_waits_for(tmp_path: Path) -> None:
    """L29: closed under it, the number would be another file's."""
    system = Waiting()

    async def run() -> None:
        with opened(tmp_path, system) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            await fill(part, DATA)
            sync = asyncio.create_task(part.sync())
            await asyncio.to_thread(system.has_begun.wait, 30)
            sync.cancel()
            await asyncio.gather(sync, return_exceptions=True)
            system.ended.clear()
            close = asyncio.create_task(part.close())
            for _ in range(50):
                await asyncio.sleep(0)
            system.may_end.set()
            await close
            assert system.ended == ["fdatasync", "close"]

    asyncio.run(run())


def test_a_new_parts_name_is_synced_too(tmp_path: Path) -> None:
    """What the ledger calls durable has a name that survives a power cut."""
    system = FailingOs()

    async def run() -> None:
        with opened(tmp_path, system) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            await fill(part, b"some")
            system.calls.clear()
            await part.sync()
            assert system.calls[:3] == ["pwrite", "fdatasync", "sync_folder"]
            await part.sync()
            assert system.calls.count("sync_folder") == 1
            await part.close()

    asyncio.run(run())


_LIMITED = """
import asyncio, resource, sys
from archiver.core.model import NOTHING, JobKey, VideoId
from archiver.errors import DestinationError
from tests.ports.disk_world import fill, opened
from pathlib import Path

async def run():
    with opened(Path(sys.argv[1]), gather_bytes=4096) as vault:
        part, _ = await vault.part(JobKey(VideoId(5)), NOTHING)
        await fill(part, b"x" * 8192)
        print(await part.sync())
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            await fill(part, b"x" * 8192)
        except DestinationError as error:
            print(error)
        await part.close()

asyncio.run(run())
"""


def test_the_systems_own_limit_is_told(tmp_path: Path) -> None:
    """A real refusal by a real kernel: first a short write, then an error; synced bytes stay."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    durable, said = done.stdout.splitlines()
    assert durable == "8192"
    assert said.startswith("The file is too large for this file system")
    assert 8192 <= part_path(tmp_path).stat().st_size <= 10_000


def test_an_error_on_closing_is_one_of_writing(tmp_path: Path) -> None:
    """A share or a quota may speak only then: the run ends in words, and what counts stays."""

    class Late(FailingOs):
        def close(self, fd: int) -> None:
            super().close(fd)
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    async def run() -> None:
        with opened(tmp_path) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            await fill(part, DATA)
            assert await part.sync() == len(DATA)
            vault._os.close = Late().close  # type: ignore[method-assign]
            with pytest.raises(DestinationError, match="quota"):
                await part.close()
        with opened(tmp_path) as vault:
            saved = Saved(bytes=len(DATA))
            part, held = await vault.part(KEY, saved)
            assert held == saved
            await part.close()

    asyncio.run(run())


def test_a_folder_that_is_taken_away_is_told(tmp_path: Path) -> None:
    """Somebody tidies up while archiver works: words, and the next opening makes it anew."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            (tmp_path / "archive/.archiver/parts").rename(tmp_path / "away")
            (tmp_path / "away").rmdir()
            with pytest.raises(DestinationError, match="gone"):
                await vault.part(KEY, NOTHING)
        with opened(tmp_path) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            await part.close()

    asyncio.run(run())
