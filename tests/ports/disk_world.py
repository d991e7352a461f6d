"""A small archive for the tests of the disk: real files, and a disk that fails when it is told."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from archiver import emulator
from archiver.adapters.disk import Os
from archiver.adapters.part import LocalPart
from archiver.adapters.publish import LocalVault
from archiver.core.model import NOTHING, Instant, Job, JobKey, JobState, Saved, Video, VideoId
from archiver.core.naming import place_for
from archiver.ports import Shelf

MP4 = (Path(emulator.__file__).parent / "media" / "sample.mp4").read_bytes()
NOW = Instant(1_600_000_000.0)


class FailingOs(Os):
    """A disk on which the n-th call of one kind fails, and every call is remembered by name."""

    def __init__(self, call: str = "", code: int = errno.EIO, at: int = 1, lasting: bool = False):
        super().__init__()
        self.calls: list[str] = []
        for name in (
            "pwrite", "fdatasync", "fsync", "sync_folder", "rename_noreplace", "link", "replace",
            "unlink", "mkdir",
        ):  # fmt: skip
            setattr(self, name, self._wrapped(name, getattr(self, name), call, code, at, lasting))

    def _wrapped(
        self, name: str, real: Callable[..., Any], call: str, code: int, at: int, lasting: bool
    ) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            self.calls.append(name)
            count = self.calls.count(name)
            if name == call and (count == at or (lasting and count > at)):
                raise OSError(code, os.strerror(code))
            return real(*arguments)

        return wrapped


class LosesFile(Os):
    """A disk that cannot flush one file: another hand wrote it, and it is not durable."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._number = path.stat().st_ino

    def fsync(self, fd: int) -> None:
        """See ``Os``."""
        if os.fstat(fd).st_ino == self._number:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().fsync(fd)


def opened(tmp_path: Path, system: Os | None = None, **more: Any) -> LocalVault:
    """Open the archive of a test, made if need be."""
    return LocalVault.open(tmp_path / "archive", True, now=lambda: NOW, system=system, **more)


def shelf_of(number: int = 5, title: str = "A title", raw: str = "{}") -> Shelf:
    """Where a video's files belong."""
    video = Video(VideoId(number), title, added_at=Instant(1571830966.0), raw=raw)
    place = place_for(video, "account")
    return Shelf(video, place.folder, place.stem)


async def fill(part: LocalPart, data: bytes) -> None:
    """Hand bytes over as a line would: some at a time."""
    while data:
        room = part.room()
        count = min(len(room), len(data), 700)
        room[:count] = data[:count]
        data = data[count:]
        part.filled(count)


async def fetched(vault: LocalVault, key: JobKey, data: bytes = MP4) -> Job:
    """Download a file, as far as the disk is concerned."""
    part, saved = await vault.part(key, NOTHING)
    assert saved == NOTHING
    await fill(part, data)
    assert await part.sync() == len(data)
    sha256 = await part.sha256()
    await part.close()
    return job_of(key, Saved(bytes=len(data), total=len(data)), sha256)


def job_of(key: JobKey, saved: Saved, sha256: str) -> Job:
    """A job whose file is in its part."""
    return replace(Job(key), state=JobState.FETCHED, saved=saved, sha256=sha256)


def tree(root: Path) -> list[str]:
    """Every file below *root*."""
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())
