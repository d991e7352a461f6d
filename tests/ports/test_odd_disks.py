"""Disks that cannot do what others can, as shares and FAT: lived with, told once, never guessed."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from archiver.adapters import mounts
from archiver.adapters.disk import Os
from archiver.adapters.publish import LocalVault
from archiver.core.model import JobKey, VideoId
from archiver.errors import DestinationError
from tests.hasty import emulator, hastily, night
from tests.ports.disk_world import MP4, fetched, opened, shelf_of


class Odd(Os):
    """A file system on which folders cannot be synced."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code

    def fsync(self, fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(self.code, os.strerror(self.code))
        super().fsync(fd)


async def published(vault: LocalVault, number: int) -> str:
    """The path of one more file."""
    job = await fetched(vault, JobKey(VideoId(number)))
    return (await vault.publish(job, shelf_of(number)))[0].path


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_folders_that_cannot_be_synced_are_lived_with(
    tmp_path: Path, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Files are published all the same; said once, however many there are."""

    async def story() -> None:
        with opened(tmp_path, Odd(code)) as vault:
            for number in (5, 6):
                path = await published(vault, number)
                assert (tmp_path / "archive" / path).read_bytes() == MP4

    asyncio.run(story())
    assert caplog.text.count("cannot flush folders") == 1


def test_a_folder_whose_sync_fails_is_an_error(tmp_path: Path) -> None:
    """EIO is never taken for a thing that the file system does not know."""
    with opened(tmp_path):
        pass
    system = Odd(errno.ENOTSUP)

    async def story() -> None:
        with opened(tmp_path, system) as vault:
            system.code = errno.EIO
            with pytest.raises(DestinationError, match="disk reports an error"):
                await published(vault, 5)

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", "who knows"])
def test_a_ledger_on_a_share_has_no_write_ahead_log(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole night on it: DELETE and EXTRA from the first transaction on."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"30 22 0:40 / {tmp_path}/share rw shared:1 - {kind} nas:/x rw\n"
    )
    monkeypatch.setattr(mounts, "MOUNTS", str(table))
    seen: set[str] = set()

    class Looking(LocalVault):
        def free_bytes(self) -> int:
            seen.update(os.listdir(tmp_path / "share" / ".archiver"))
            return super().free_bytes()

    monkeypatch.setattr("archiver.opening.LocalVault", Looking)

    async def story() -> None:
        async with emulator(videos=2, size=(15_500, 60_000)) as vendor:
            assert (await night(tmp_path / "share", vendor)).exit_code == 0

    hastily(story())
    assert "ledger.sqlite3" in seen
    assert not any(name.endswith(("-wal", "-shm")) for name in seen)
    with closing(sqlite3.connect(tmp_path / "share/.archiver/ledger.sqlite3")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "delete"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_entered_holds_up_no_repair(tmp_path: Path, code: int) -> None:
    """What lies in it is out of reach; everything else can be mended."""

    class Shut(Os):
        def open_folder(self, root: int, path: str, *, make: bool = False) -> int:
            if path.startswith("data/shut"):
                raise OSError(code, os.strerror(code))
            return super().open_folder(root, path, make=make)

    async def reached() -> list[bool]:
        with opened(tmp_path, Shut()) as vault:
            return [await vault.is_reachable(f"data/{each}/a.mp4") for each in ("shut", "open")]

    assert asyncio.run(reached()) == [False, True]
