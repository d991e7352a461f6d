"""What the program does to an archive, each with every one of its changes as a point to crash at.

A new protocol is one entry of ``PROTOCOLS``: what comes before it, what is watched, and, where a
run of the account does not do, how the archive is completed afterwards.
"""

from __future__ import annotations

import errno
import os
from typing import Any

import anyio

from archiver import archive
from archiver.adapters.places import PRIVATE
from archiver.core.bag import MANIFEST, TAG_MANIFEST
from archiver.core.events import Event, Fetched, Progressed
from archiver.core.model import Job, VideoId
from archiver.core.selection import Filter
from tests.crash.points import Protocol, World, recover
from tests.crash.strict_disk import LEDGER, StrictDisk
from tests.crash.survival import Harm, Listener, around

PAGE = 4096  # of a ledger


class NoRename(StrictDisk):
    """A file system that cannot rename without replacing."""

    def rename_noreplace(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


class NoLink(NoRename):
    """Nor give a file a second name."""

    def link(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


class Stopper(Listener):
    """Asks the run to stop at the first event of a kind."""

    def __init__(self, at: type[Event], told: dict[str, str]) -> None:
        super().__init__(told=told)
        self._at = at
        self.stop = anyio.Event()

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        super().recorded(before, event, after)
        if isinstance(event, self._at):
            self.stop.set()


async def _stopped(world: World, at: type[Event] = Fetched) -> None:
    world.listener = stopper = Stopper(at, world.listener.told)
    await world.night(stop=stopper.stop)


async def _stopped_in_a_download(world: World) -> None:
    await _stopped(world, Progressed)


async def _replaced(world: World) -> None:
    """The owner uploads another file in the place of one that is archived."""
    await world.night()
    world.vendor.world.replace_video(min(world.vendor.world.account.videos), size=19_000)


async def _littered(world: World) -> None:
    """A run was stopped, and there are parts that nobody continues."""
    await _stopped_in_a_download(world)
    disk = world.disk
    root = os.open(world.root, os.O_RDONLY | os.O_DIRECTORY)
    parts = disk.open_folder(root, f"archive/{PRIVATE}/parts")
    for name in ("1.mp4.v1.part", "left.tmp", "probe-of-old.tmp"):
        disk.close(disk.create(name, parts))
    os.close(parts)
    os.close(root)


def _harm(world: World, path: str, content: bytes) -> None:
    world.harm.good[path] = (world.root / "archive" / path).read_bytes()
    world.harm.files[path] = content
    world.disk.spoil(f"archive/{path}", content)


async def _damaged(world: World) -> None:
    """The disk lost a bit of one video, and the end of another's sidecar."""
    await world.night()
    data = world.root / "archive"
    first, second = sorted(path for path in data.rglob("*.mp4"))
    bytes_ = bytearray(first.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    _harm(world, str(first.relative_to(data)), bytes(bytes_))
    info = second.with_suffix(".info.json")
    _harm(world, str(info.relative_to(data)), info.read_bytes()[:99])


async def _repair(world: World) -> None:
    dest, say = str(world.root / "archive"), world.listener.said
    await archive.repair(dest, say=say, surroundings=around(world.disk))


async def _repair_and_night(world: World) -> Any:
    await _repair(world)
    return await world.night()


async def _queued(world: World) -> None:
    await _damaged(world)
    await _repair(world)


def _damaged_video(world: World) -> VideoId:
    path = next(path for path in world.harm.files if path.endswith(".mp4"))
    return next(VideoId(v) for v in world.vendor.world.account.videos if f"[{v}]" in path)


async def _queued_and_replaced(world: World) -> None:
    await _queued(world)
    world.vendor.world.replace_video(_damaged_video(world))


async def _queued_and_deleted(world: World) -> None:
    await _queued(world)
    world.vendor.world.delete_video(_damaged_video(world))


async def _queued_and_put_back(world: World) -> None:
    """Somebody copies a good file to its place, before a run fetches it."""
    await _queued(world)
    path = next(path for path in world.harm.good if path.endswith(".mp4"))
    world.harm.by_hand.add(path)
    world.disk.put(f"archive/{path}", world.harm.good[path])


async def _just_copied(world: World) -> None:
    """``data/`` came from a copy, without ledger and manifests; a folder is not durable yet."""
    await world.night()
    for gone in (LEDGER, f"archive/{MANIFEST}", f"archive/{TAG_MANIFEST}"):
        world.disk.spoil(gone, None)
    root = world.root / "archive"
    folder = str(max(root.rglob("*.mp4")).parent.relative_to(root))
    world.disk.unsettle(f"archive/{folder}")
    told = world.listener.told
    world.listener.told = {path: told[path] for path in told if not path.startswith(folder)}
    world.harm.is_ledger_lost = True


async def _without_ledger(world: World) -> None:
    await world.night()
    world.disk.spoil(LEDGER, None)
    world.harm.is_ledger_lost = True


async def _with_a_damaged_ledger(world: World) -> None:
    await world.night()
    image = bytearray((world.root / LEDGER).read_bytes())
    image[2 * PAGE : 6 * PAGE] = bytes(4 * PAGE)
    world.disk.spoil(LEDGER, bytes(image))
    world.harm = Harm(ledger=bytes(image), is_ledger_lost=True)


async def _with_an_old_ledger(world: World) -> None:
    await world.night(filter=Filter(limit=1))
    old = (world.root / LEDGER).read_bytes()
    await world.night()
    world.disk.spoil(LEDGER, old)
    world.harm.is_ledger_lost = True


PROTOCOLS = (
    Protocol("making an archive", recover),
    Protocol("a first night", World.night),
    Protocol("broken off and resumed", World.night, vendor={"faults": ("reset-mid-body",)}),
    Protocol(
        "broken off and begun again", World.night,
        vendor={"faults": ("regenerate-moov",), "videos": 1},
    ),
    Protocol(
        "other bytes under way", World.night,
        vendor={"faults": ("regenerate-mdat", "no-etag!"), "videos": 1},
    ),
    Protocol("stopped in a download", _stopped_in_a_download),
    Protocol("the night after a stop", World.night, before=_stopped_in_a_download),
    Protocol("stopped before a publication", _stopped),
    Protocol("a second version", World.night, before=_replaced),
    Protocol("opening with litter", recover, before=_littered),
    Protocol("a disk without rename", World.night, disk=NoRename, vendor={"videos": 1}),
    Protocol("a disk without links", World.night, disk=NoLink, vendor={"videos": 1}),
    Protocol("a repair", _repair, before=_damaged, finish=_repair_and_night),
    Protocol("after a repair: the same", World.night, before=_queued),
    Protocol("after a repair: other bytes", World.night, before=_queued_and_replaced),
    Protocol("after a repair: deleted", World.night, before=_queued_and_deleted),
    Protocol("after a repair: put back", World.night, before=_queued_and_put_back),
    Protocol("a repair without rename", _repair, before=_damaged, finish=_repair_and_night,
             disk=NoRename),
    Protocol("a missing ledger", recover, before=_without_ledger),
    Protocol("a missing ledger, just copied", recover, before=_just_copied),
    Protocol("a damaged ledger", recover, before=_with_a_damaged_ledger),
    Protocol("a damaged ledger, no rename", recover, before=_with_a_damaged_ledger, disk=NoRename),
    Protocol("an old ledger", recover, before=_with_an_old_ledger),
)  # fmt: skip
