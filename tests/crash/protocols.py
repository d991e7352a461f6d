"""What the program does to an archive, each with every one of its changes as a point to crash at.

A new protocol is one entry of ``PROTOCOLS``: what comes before it, what is watched, and, where a
run of the account does not do, how the archive is completed afterwards.
"""

from __future__ import annotations

import errno
import os

import anyio

from archiver.adapters.destination import PRIVATE
from archiver.core.lifecycle import Event, Fetched, Progressed
from archiver.core.model import Job
from tests.crash.points import Protocol, World, recover
from tests.crash.strict_disk import StrictDisk
from tests.crash.survival import Listener


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
)  # fmt: skip
