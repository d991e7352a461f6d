"""The archive's files, and the one way in which a file gets its final name.

The order of a publication, each step safe to repeat after a crash at any instant:
1. the part is whole: of the size and the hash that the ledger has;
2. the part has its final mode and is synced; an error here discards it, without a second fsync;
3. the sidecar stands, by the same steps as the file itself: never beside a file that is discarded;
4. it is renamed without replacing; 5. the folder is synced, and every folder made on the way.
Rule: only tag files, outside ``data/``, are ever replaced.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Self

from archiver.adapters.causes import refusal
from archiver.adapters.checking import Check
from archiver.adapters.destination import Destination, open_destination
from archiver.adapters.disk import Os
from archiver.adapters.part import GATHER_BYTES, LocalPart
from archiver.adapters.placing import Folder, Placed
from archiver.adapters.small_vault import SmallFiles, is_same, strangers
from archiver.core.model import NOTHING, Holding, Instant, Job, JobKey, Saved
from archiver.core.naming import file_name, part_name
from archiver.errors import CorruptError, DestinationError
from archiver.met import met
from archiver.ports import Shelf
from archiver.records.info import info_json, is_info_of


class LocalVault(SmallFiles):
    """The archive's files on a local disk or a share; implements ``ports.Vault``.

    Open with ``LocalVault.open`` while the archive's lock is held; close at the end.
    """

    def __init__(
        self, home: Destination, system: Os, now: Callable[[], Instant], gather_bytes: int
    ) -> None:
        super().__init__(home, system)
        self._now, self._gather_bytes = now, gather_bytes
        self._hashed: dict[JobKey, LocalPart] = {}  # whose hash was taken in this process

    @classmethod
    def open(
        cls,
        dest: str | Path,
        create: bool = False,
        *,
        now: Callable[[], Instant] = lambda: Instant(time.time()),
        expected_id: str | None = None,
        system: Os | None = None,
        gather_bytes: int = GATHER_BYTES,
    ) -> LocalVault:
        """Open the archive in *dest*; see ``open_destination``.

        Raises:
            DestinationError: it cannot be used, with what to do about it.
        """
        system = system or Os()
        home = open_destination(dest, create=create, system=system, expected_id=expected_id)
        return cls(home, system, now, gather_bytes)

    @property
    def archive_id(self) -> str:
        """What tells this archive from every other, wherever it is mounted."""
        return self._home.id

    def close(self) -> None:
        """Wait for what threads still do, then let go of the folders."""
        self._threads.close()
        self._home.close()

    def __enter__(self) -> Self:
        """Return the vault itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def free_bytes(self) -> int:
        """What may still be written: free space less a reserve.

        The reserve is the larger of 1 GiB and 2 % of the disk, so that the ledger and the owner
        can still work when it is full; but at most 10 % of the disk, for small ones.

        Raises:
            DestinationError: the disk is no longer there.
        """
        try:
            self._home.require_there()
            disk = os.fstatvfs(self._home.root)
        except OSError as error:
            raise refusal(error, "asking for free space") from error
        total = disk.f_blocks * disk.f_frsize
        reserve = min(max(1 << 30, total // 50), total // 10)
        return max(0, disk.f_bavail * disk.f_frsize - reserve)

    async def part(self, key: JobKey, saved: Saved) -> tuple[LocalPart, Saved]:
        """Open the part of *key*, cut back to what is durable."""
        name = part_name(key)
        fd, kept = await self._run(
            "opening a download",
            lambda: self._placer.open_part(name, saved.bytes),
            lambda opened: os.close(opened[0]),
        )
        part = LocalPart(
            fd, self._home.parts, self._os, self._threads,
            gather_bytes=self._gather_bytes, is_new=not kept,
        )  # fmt: skip
        self._hashed[key] = part
        if not kept:
            return part, NOTHING
        try:
            await part.resume(saved.bytes)
        except (DestinationError, asyncio.CancelledError):
            await part.close()
            raise
        return part, saved

    async def finish(self, key: JobKey, saved: Saved) -> tuple[str, str | None]:
        """Make the open part of *key* durable, let go of it, and check it, in one trip."""
        part = self._hashed[key]
        check = Check(self._home.parts, part_name(key), key.variant, saved)

        def finish() -> bool:
            part.finish(self._placer.mode)
            return check.go()

        if await self._run("reading a download", finish):
            await self._looked(check)
        return part.digest, check.problem

    async def check(self, key: JobKey, saved: Saved) -> str | None:
        """Walk the container.  None, or what is wrong with it.

        None too where the part is gone: it may have its final name already, and ``publish``
        decides about that.
        """
        return await self._looked(Check(self._home.parts, part_name(key), key.variant, saved))

    async def _looked(self, check: Check) -> str | None:
        try:
            return await check.run(self._threads)
        except OSError as error:
            raise refusal(error, "reading a download") from error

    async def publish(
        self, job: Job, shelf: Shelf, version: int | None = None
    ) -> tuple[Holding, ...]:
        """Give the part of *job* its final name; its sidecar first."""
        stored = job
        if version is not None:
            stored = replace(job, key=job.key._replace(version=version))
        # A fetched job has a reason where its container is flawed, or where it was hindered since.
        flaw = await self.check(job.key, job.saved) if job.reason else None
        found, info = await self._run("publishing", lambda: self._publish(job, stored.key, shelf))
        self._hashed.pop(job.key, None)
        held = self._holding(stored, stored.key.kind, found, flaw)
        if info is None:
            return (held,)
        placed, text = info
        return held, replace(self._holding(stored, "info", placed), text=text)

    async def restore(self, job: Job, recorded: Holding) -> None:
        """Put the part of *job* back in the place of the damaged file that *recorded* names."""

        def restore() -> None:
            if self._verified(job):
                self._seal(job)
                self._mender.restore(part_name(job.key), recorded)
            elif not self._mender.secured(recorded):
                raise CorruptError("neither the download nor the restored file is there any more")

        await self._run("publishing", restore)
        self._hashed.pop(job.key, None)

    async def clear_orphans(self, keep: Collection[JobKey]) -> int:
        """Delete every part and temporary file that belongs to no job of *keep*; how many."""
        kept = {part_name(key) for key in keep}

        def clear() -> int:
            # A folder among the parts is not ours: it stays.
            with os.scandir(self._home.parts) as entries:
                names = [e.name for e in entries if not e.is_dir(follow_symlinks=False)]
            orphans = [name for name in names if name not in kept]
            for name in orphans:
                self._placer.discard(name)
            return len(orphans)

        return await self._run("clearing unfinished downloads", clear)

    def _publish(
        self, job: Job, key: JobKey, shelf: Shelf
    ) -> tuple[Placed, tuple[Placed, bytes] | None]:
        """The whole of a publication, in one trip to a thread: the file as *key*, its sidecar."""
        name = file_name(shelf.stem, key.kind, key.variant, key.version)
        want = Placed("", job.saved.bytes, job.sha256 or "")
        found = None
        if self._verified(job):
            self._seal(job)
        elif (found := self._placer.find(shelf.folder, name, want)) is None:
            raise CorruptError("neither the download nor the published file is there any more")
        with self._placer.folder(shelf.folder) as folder:
            info = self._sidecar(folder, replace(job, key=key), shelf)
            if found is None:
                part = part_name(job.key)
                found = self._placer.place(part, folder, name, want, strangers)
        return found, info

    def _sidecar(self, folder: Folder, job: Job, shelf: Shelf) -> tuple[Placed, bytes] | None:
        key = job.key
        if key.kind != "video":
            return None
        name = file_name(shelf.stem, "info", key.variant, key.version)
        text = info_json(job, shelf)
        placed = self._put(folder, name, text, lambda found: is_info_of(found, job))
        if not is_same(text, placed.sha256):  # one that stood there was adopted
            text = self._placer.read_small(placed.path) or b""
        return placed, text

    def _seal(self, job: Job) -> None:
        """Give the part its final mode and make it durable, where that was not done already."""
        part = self._hashed.get(job.key)
        if part is None or not part.is_sealed:
            self._placer.seal_part(part_name(job.key))

    def _verified(self, job: Job) -> bool:
        """The part is there and is what the ledger says; read again only after a restart."""
        name = part_name(job.key)
        size = self._placer.part_size(name)
        if size is None:
            return False
        if size != job.saved.bytes or not job.sha256:
            raise CorruptError(f"the download has {size} bytes, {job.saved.bytes} were saved")
        part = self._hashed.get(job.key)
        known = part is not None and part.digest == job.sha256
        if not known and self._placer.hash_part(name) != job.sha256:
            raise CorruptError("the download changed on the disk after it was checked")
        return True

    def _holding(self, job: Job, kind: str, placed: Placed, flaw: str | None = None) -> Holding:
        key, saved = job.key, job.saved
        came = {
            "etag": saved.etag, "last_modified": saved.last_modified, "joined": saved.joined,
            "measured": saved.measured, "flaw": flaw, "listed_bytes": _other_size(job),
        }  # fmt: skip
        provenance = json.dumps({n: v for n, v in came.items() if v}, sort_keys=True)
        return Holding(
            key.video_id, kind, key.variant, key.version, placed.path, placed.bytes,
            placed.sha256, self._now(), provenance if kind == key.kind else "{}",
        )  # fmt: skip


def _other_size(job: Job) -> int | None:
    """What the listing said, where the file has another size; it need not be right."""
    if job.expected_bytes in (None, job.saved.bytes):
        return None
    met("D28")
    return job.expected_bytes
