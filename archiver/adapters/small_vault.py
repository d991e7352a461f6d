"""The archive's small files: written whole among the parts, then given their names.

Rule: a recorded path is filled with the recorded bytes alone; what stood there goes among the
damaged.  Only tag files, outside ``data/``, are ever replaced.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterable, Callable, Iterable

from archiver.adapters.causes import refusal
from archiver.adapters.destination import PRIVATE
from archiver.adapters.mending import Mending
from archiver.adapters.placing import Folder, Placed
from archiver.adapters.small_file import encoded, small_file
from archiver.core.model import Holding


class SmallFiles(Mending):
    """What a vault can do about small files; each may raise DestinationError."""

    async def put_small(self, path: str, content: bytes) -> Placed:
        """Give a small file its final name; one beside it, where something else stands there."""
        path_of_folder, _, name = path.rpartition("/")

        def put() -> Placed:
            with self._placer.folder(path_of_folder) as folder:
                return self._put(folder, name, content, strangers)

        return await self._run("writing a small file", put)

    async def restore_small(self, recorded: Holding, content: bytes) -> None:
        """Give the recorded bytes the recorded path; what else stands there is set aside."""
        if not is_same(content, recorded.sha256):
            raise ValueError(f"other bytes than were recorded: {recorded.path}")
        temporary = _temporary(recorded.path)

        def restore() -> None:
            self._placer.write_small(temporary, content)
            self._mender.restore(temporary, recorded)

        await self._run("putting back", restore)

    async def write_tag_file(self, path: str, chunks: AsyncIterable[str] | Iterable[str]) -> str:
        """Write a file outside ``data/`` in the place of the old one; return its SHA-256.

        Where nothing changed, the old file stays untouched.
        """
        if path.split("/")[0] in ("data", PRIVATE):
            raise ValueError(f"not a tag file: {path}")
        temporary = _temporary(path)
        placed = await self._write_small(temporary, chunks)
        await self._run(
            f"writing {path}", lambda: self._placer.replace(temporary, path, placed.sha256)
        )
        return placed.sha256

    async def stamp(self, name: str) -> str | None:
        """What changes with a file at the top of DEST; None where there is no plain file."""
        return await self._run("looking at a tag file", lambda: _stamp(self._home.root, name))

    async def read_small(self, path: str) -> bytes | None:
        """Read a small file below DEST; None where there is none."""
        return await self._run("reading a small file", lambda: self._placer.read_small(path))

    def _put(
        self, folder: Folder, name: str, content: bytes, ours: Callable[[bytes], bool]
    ) -> Placed:
        temporary = _temporary(f"{folder.path}/{name}")
        want = self._placer.write_small(temporary, content)
        return self._placer.place(temporary, folder, name, want, ours)

    async def _write_small(self, name: str, chunks: AsyncIterable[str] | Iterable[str]) -> Placed:
        """Write and seal a temporary file among the parts."""
        digest, size = hashlib.sha256(), 0
        run = self._threads.run
        try:
            fd = await run(lambda: self._placer.open_new(name), os.close)
            file = small_file(self._os, fd, self._threads)
            try:
                async for chunk in encoded(chunks):
                    digest.update(chunk)
                    size += len(chunk)
                    await file.write(chunk)
                await file.flush()
                await run(lambda: self._placer.seal(fd))
            finally:
                await file.close()
        except OSError as error:
            await run(lambda: self._placer.give_up(name))
            raise refusal(error, "writing a small file") from error
        return Placed("", size, digest.hexdigest())


def strangers(_text: bytes) -> bool:
    """Judges whatever stands in the way as somebody else's."""
    return False


def _stamp(folder: int, name: str) -> str | None:
    """Inode, size and times of a plain file; None where there is none."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    seen = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return " ".join(map(str, seen)) if stat.S_ISREG(found.st_mode) else None


def is_same(text: bytes, sha256: str) -> bool:
    """*text* is what was recorded."""
    return hashlib.sha256(text).hexdigest() == sha256


def _temporary(path: str) -> str:
    """A name among the parts for a small file on its way to *path*."""
    return f"{hashlib.sha256(path.encode()).hexdigest()[:20]}.tmp"
