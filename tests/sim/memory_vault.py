"""The archive's files in a simulated world: no bytes, but where each stretch of them came from.

A file that mixes two files, lost a stretch or was stored twice can be told from a good one.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from copy import deepcopy
from dataclasses import dataclass, field

from archiver.core.model import NOTHING, Holding, Instant, Job, JobKey, Saved
from archiver.errors import CorruptError, DestinationError
from archiver.ports import Shelf
from tests.sim.fate import Fate
from tests.sim.life import Life
from tests.sim.studio import Studio

BAD = "bad "  # begins the name of bytes that no vendor has: a container that does not close

Stretches = list[tuple[str, int]]  # (content, end), in order, from 0


@dataclass(frozen=True, slots=True)
class Stored:
    """A published file."""

    content: str
    bytes: int
    sha256: str


@dataclass(slots=True)
class Disk:
    """What survives a crash."""

    parts: dict[JobKey, Stretches] = field(default_factory=dict)
    files: dict[str, Stored] = field(default_factory=dict)

    def clone(self) -> Disk:
        """As it is now, for the next life: whoever still holds this one changes nothing there."""
        return deepcopy(self)


def end_of(stretches: Stretches) -> int:
    """How many bytes they are."""
    return stretches[-1][1] if stretches else 0


def cut(stretches: Stretches, size: int) -> Stretches:
    """The first *size* bytes."""
    kept: Stretches = []
    for content, end in stretches:
        if end_of(kept) >= size:
            break
        kept.append((content, min(end, size)))
    return kept


class MemoryPart:
    """`ports.Part`, filled by ``put`` instead of a buffer."""

    def __init__(self, vault: MemoryVault, key: JobKey, stretches: Stretches) -> None:
        self._vault, self._key = vault, key
        self.stretches = stretches
        self.is_open = True

    @property
    def offset(self) -> int:
        """Where the next byte belongs."""
        return end_of(self.stretches)

    def put(self, content: str, count: int) -> None:
        """*count* bytes of *content* came."""
        if count <= 0:
            return
        end = self.offset + count
        if self.stretches and self.stretches[-1][0] == content:
            self.stretches[-1] = (content, end)
        else:
            self.stretches.append((content, end))

    def holds(self, content: str, start: int, end: int) -> bool:
        """All bytes from *start* to *end* are of *content*: what a comparison would find."""
        begins = 0
        for each, ends in self.stretches:
            if begins < end and ends > start and each != content:
                return False
            begins = ends
        return self.offset >= end

    def room(self) -> memoryview:
        """Never used: see ``put``."""
        raise NotImplementedError

    def filled(self, count: int) -> None:
        """Never used: see ``put``."""
        raise NotImplementedError

    async def written(self) -> None:
        """A full buffer went to the disk."""
        await self._vault.work()

    async def sync(self) -> int:
        """Make durable."""
        await self._vault.work()
        self._vault.disk.parts[self._key] = list(self.stretches)
        return self.offset

    async def restart(self) -> None:
        """Begin again."""
        await self._vault.work()
        self.stretches = []
        self._vault.disk.parts[self._key] = []

    async def read(self, start: int, count: int) -> bytes:
        """Never used: see ``holds``."""
        raise NotImplementedError

    async def sha256(self) -> str:
        """A digest of where the bytes came from."""
        return digest(self.stretches)

    async def close(self) -> None:
        """Let go."""
        self.is_open = False
        self._vault.open_parts.pop(self._key, None)


def digest(stretches: Stretches) -> str:
    """What stands for the SHA-256 of these bytes."""
    return hashlib.sha256(repr(stretches).encode()).hexdigest()


class MemoryVault:
    """`ports.Vault` of one life of the program.

    Args:
        disk: what earlier lives left.
        studio: knows every content that the vendor ever had.
    """

    def __init__(
        self, fate: Fate, disk: Disk, studio: Studio, dice: random.Random,
        life: Life,
    ) -> None:  # fmt: skip
        self.fate, self.disk, self._studio, self._dice = fate, disk, studio, dice
        self._life = life
        self.open_parts: dict[JobKey, MemoryPart] = {}

    async def work(self) -> None:
        """The disk takes a moment; now and then it is full."""
        self._life.goes_on()
        await asyncio.sleep(self._dice.uniform(1e-5, 5e-3))
        if self.fate.strikes("disk full", 0.1):
            self._studio.owes(0)
            raise DestinationError("The disk is full.", "Make room.")

    async def part(self, key: JobKey, saved: Saved) -> tuple[MemoryPart, Saved]:
        """Open the part of *key*, cut back to what is durable."""
        if key in self.open_parts:
            raise self.fate.broken(f"two writers at the part of {key}")
        await self.work()
        if self.fate.strikes("part lost"):
            self._studio.owes(0, key.video_id)
            self.disk.parts.pop(key, None)
        there = self.disk.parts.get(key, [])
        if end_of(there) < saved.bytes:
            there, saved = [], NOTHING
        part = self.open_parts[key] = MemoryPart(self, key, cut(there, saved.bytes))
        return part, saved

    async def finish(self, key: JobKey, saved: Saved) -> tuple[str, str | None]:
        """Make durable, let go, check."""
        part = self.open_parts[key]
        await part.sync()
        await part.close()
        return await part.sha256(), await self.check(key, saved)

    async def check(self, key: JobKey, saved: Saved) -> str | None:
        """Walk the container: a stretch that no vendor has shows."""
        await self.work()
        bad = any(content.startswith(BAD) for content, _ in self.disk.parts[key])
        return "the container does not close" if bad else None

    async def restore(self, job: Job, recorded: Holding) -> None:
        """Never: no file is damaged in this world after it was stored."""
        raise self.fate.broken(f"{job.key} is stored already, as {recorded.path}")

    async def put_back(self, aside: str, path: str) -> bool:
        """Never, for the same reason."""
        raise self.fate.broken(f"{aside} was never taken from {path}")

    async def publish(
        self, job: Job, shelf: Shelf, version: int | None = None
    ) -> tuple[Holding, ...]:
        """Give the part its final name, unless that is done already."""
        await self.work()
        assert version is None
        key = job.key
        path = f"{shelf.folder}/{shelf.stem} v{key.version}.{key.variant}"
        if self.fate.strikes("lost on disk"):
            self._studio.owes(1, key.video_id)
            self.disk.parts.pop(key, None)
        there = self.disk.parts.get(key)
        if path not in self.disk.files:
            if there is None or end_of(there) != job.saved.bytes:
                raise CorruptError("the part is not there any more")
            self.disk.files[path] = self._judged(job, there)
        elif self.disk.files[path].sha256 != job.sha256:
            raise self.fate.broken(f"{path} would be overwritten")
        await self.work()
        self.disk.parts.pop(key, None)
        stored = self.disk.files[path]
        return (
            Holding(key.video_id, "video", key.variant, key.version, path, stored.bytes,
                    stored.sha256, Instant(self._life.now())),
        )  # fmt: skip

    def _judged(self, job: Job, there: Stretches) -> Stored:
        """A file that gets its name is whole, and of one generation."""
        contents = {content for content, _ in there}
        if len(contents) != 1:
            raise self.fate.broken(f"{job.key} mixes the bytes of {sorted(contents)}")
        content = contents.pop()
        if self._studio.contents.get(content) != end_of(there):
            raise self.fate.broken(f"{job.key} is stored with {end_of(there)} bytes of {content}")
        if job.sha256 != digest(there):
            raise self.fate.broken(f"{job.key} is stored with another digest than its own")
        if any(stored.content == content for stored in self.disk.files.values()):
            raise self.fate.broken(f"{job.key} is stored, and {content} was stored already")
        return Stored(content, end_of(there), digest(there))

    def free_bytes(self) -> int:
        """More than enough: a full disk is a misfortune of its own."""
        return 1 << 60
