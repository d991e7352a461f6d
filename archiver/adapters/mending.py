"""Damaged files: set aside, given back, or put right, without ever losing one of the two.

Rule 1: what stands under a recorded path with other contents moves to ``.archiver/damaged``, under
a name that was free; nothing there is ever overwritten or deleted.
Rule 2: a recorded path is filled with the recorded bytes alone, or with the very copy that was
taken from it.
Each step is one rename without replacing, then the sync of both folders: safe to repeat.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from archiver.adapters.causes import refusal
from archiver.adapters.destination import Destination
from archiver.adapters.disk import Os, Threads, exists
from archiver.adapters.places import PRIVATE
from archiver.adapters.placing import TRIES_MOST, UNREADABLE, Placed, Placer
from archiver.core.model import Holding
from archiver.core.naming import display, file_name, numbered
from archiver.met import met

T = TypeVar("T")
log = logging.getLogger(__name__)
LOGS = ("", "-wal", "-shm", "-journal")  # a database, and what SQLite keeps beside it
_IN_THE_WAY = (errno.ELOOP, errno.ENOTDIR)


class Mender:
    """The steps on the disk; plain blocking code, run in a thread."""

    def __init__(self, home: Destination, system: Os, placer: Placer) -> None:
        self._home, self._os, self._placer = home, system, placer

    def state_of(self, holding: Holding) -> bool | None:
        """The recorded file stands in its place: True; something else does: False; nothing: None.

        Raises:
            OSError: ELOOP or ENOTDIR where one of its folders is none.
        """
        folder, _, name = holding.path.rpartition("/")
        try:
            into = self._os.open_folder(self._home.root, folder)
        except FileNotFoundError:
            return None
        try:
            if not exists(name, into):
                return None
            return self._placer.is_same(into, name, holding.bytes, holding.sha256)
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            return False
        finally:
            os.close(into)

    def has_any(self, folder: str, names: Sequence[str]) -> bool:
        """Something stands in *folder* under one of *names*, or it is no folder of ours."""
        if not self.is_reachable(f"{folder}/"):
            return True
        try:
            into = self._os.open_folder(self._home.root, folder)
        except FileNotFoundError:
            return False
        try:
            return any(exists(name, into) for name in names)
        finally:
            os.close(into)

    def is_reachable(self, path: str) -> bool:
        """The folders of *path*, as far as they are there, can be entered: none is a link."""
        try:
            os.close(self._os.open_folder(self._home.root, path.rpartition("/")[0]))
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno in (*_IN_THE_WAY, *UNREADABLE):
                return False
            raise
        return True

    def free_aside(self, holding: Holding) -> str:
        """A name for a damaged copy that nothing among them has."""
        own = file_name(str(holding.video_id), holding.kind, holding.variant, holding.version)
        for name in _numbered(own):
            if not exists(name, self._home.damaged):
                return name
        raise FileExistsError(errno.EEXIST, "every name is taken")

    def set_aside(self, path: str, aside: str) -> str:
        """Move what stands at *path*, whatever it is, among the damaged; its name there, or ""."""
        folder, _, name = path.rpartition("/")
        try:
            into = self._os.open_folder(self._home.root, folder)
        except FileNotFoundError:
            return ""
        try:
            for candidate in _numbered(aside):
                try:
                    self._os.move_new(name, into, candidate, self._home.damaged)
                except FileExistsError:
                    continue
                except FileNotFoundError:
                    return ""
                self._os.sync_folder(self._home.damaged)
                self._os.sync_folder(into)
                return candidate
        finally:
            os.close(into)
        raise FileExistsError(errno.EEXIST, "every name is taken")

    def clear_way(self, path: str) -> str:
        """Set aside a folder that stands where a file belongs; its name there, or ""."""
        if not stat.S_ISDIR(self._mode_of(path)):
            return ""
        return self.set_aside(path, path.rpartition("/")[2])

    def _mode_of(self, path: str) -> int:
        try:
            return os.stat(path, dir_fd=self._home.root, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return 0

    def put_back(self, aside: str, path: str) -> bool:
        """Move a damaged copy back to where it was taken from, if nothing stands there."""
        if not exists(aside, self._home.damaged):
            return False
        folder, _, name = path.rpartition("/")
        into = self._os.open_folder(self._home.root, folder, make=True)
        try:
            self._os.move_new(aside, self._home.damaged, name, into)
            self._os.sync_folder(into)
            self._os.sync_folder(self._home.damaged)
        except FileExistsError:
            return False
        finally:
            os.close(into)
        return True

    def secured(self, recorded: Holding) -> bool | None:
        """As ``state_of``; where it is True, the file and its names are durable now."""
        stands = self.state_of(recorded)
        if stands:
            folder, _, name = recorded.path.rpartition("/")
            into = self._os.open_folder(self._home.root, folder, make=True)
            try:
                self._placer.settle(into, name)
            finally:
                os.close(into)
        return stands

    def restore(self, part: str, recorded: Holding) -> None:
        """Give a sealed part of the recorded contents the recorded path."""
        folder, _, name = recorded.path.rpartition("/")
        into = self._os.open_folder(self._home.root, folder, make=True)
        try:
            for _ in range(TRIES_MOST):
                try:
                    self._os.move_new(part, self._home.parts, name, into)
                except FileExistsError:
                    if not self._placer.is_same(into, name, recorded.bytes, recorded.sha256):
                        log.warning("set aside what stood in the place of %s", display(name))
                        self.set_aside(recorded.path, self.free_aside(recorded))
                        continue
                    self._placer.settle(into, name)
                    self._placer.discard(part)
                # A run that was killed may have moved a damaged copy there, and come to no sync.
                self._os.sync_folder(self._home.damaged)
                self._os.sync_folder(into)
                return
        finally:
            os.close(into)
        raise FileExistsError(errno.EEXIST, "something comes back again and again in its place")

    def swap(self, fresh: str, name: str) -> str:
        """Give the private file *fresh* the name *name*; what had it is kept, and its logs with it.

        Args:
            fresh: "" where there is none yet: the old one goes out of the way all the same.

        Returns:
            What the old one is called now; "" where there was none.
        """
        private = self._os.open_folder(self._home.root, PRIVATE)
        try:
            kept = ""
            every = [name + suffix for suffix in LOGS if exists(name + suffix, private)]
            for number in range(1, 10_000):
                kept = f"{name}.damaged-{number}"
                if not any(exists(kept + suffix, private) for suffix in LOGS):
                    break
            for old in every:
                self._os.move_new(old, private, kept + old.removeprefix(name), private)
            self._os.sync_folder(private)
            if fresh:
                self._os.move_new(fresh, private, name, private)
                self._os.sync_folder(private)
        finally:
            os.close(private)
        return kept if every else ""

    def forget(self, fresh: str) -> None:
        """Remove an unfinished private file of ours, and its logs."""
        private = self._os.open_folder(self._home.root, PRIVATE)
        try:
            for suffix in LOGS:
                if exists(fresh + suffix, private):
                    self._os.unlink(fresh + suffix, private)
        finally:
            os.close(private)


class Mending:
    """What a vault can do about damaged files; each may raise DestinationError."""

    def __init__(self, home: Destination, system: Os) -> None:
        self._home, self._os = home, system
        self._threads = Threads()
        self._placer = Placer(home, system)
        self._mender = Mender(home, system, self._placer)

    async def state_of(self, holding: Holding) -> bool | None:
        """The recorded file stands in its place: True; something else does: False; nothing: None.

        Reads it to its end.
        """
        return await self._run("reading a stored file", lambda: self._mender.state_of(holding))

    async def secured(self, holding: Holding) -> bool | None:
        """As ``state_of``; where it is True, the file and its names are durable now."""
        return await self._run("reading a stored file", lambda: self._mender.secured(holding))

    async def sync_all(self) -> None:
        """Make durable whatever stands in the archive, before it is taken in."""
        await self._run("making durable", lambda: self._os.sync_all(self._home.root))

    async def find(self, holding: Holding) -> str:
        """Where a file of these contents stands under this name, or one beside it; else ""."""
        folder, _, name = holding.path.rpartition("/")
        want = Placed("", holding.bytes, holding.sha256)
        find = self._placer.find
        found = await self._run("looking for a file", lambda: find(folder, name, want))
        return "" if found is None else found.path

    async def has_any(self, folder: str, names: Sequence[str]) -> bool:
        """Something stands in *folder* under one of *names*, or it is no folder of ours."""
        return await self._run("looking for a file", lambda: self._mender.has_any(folder, names))

    async def is_reachable(self, path: str) -> bool:
        """The folders of *path*, as far as they are there, can be entered: none is a link."""
        return await self._run("looking for a file", lambda: self._mender.is_reachable(path))

    async def free_aside(self, holding: Holding) -> str:
        """A name for a damaged copy that nothing has among what was set aside."""
        return await self._run("setting aside", lambda: self._mender.free_aside(holding))

    async def set_aside(self, path: str, aside: str) -> str:
        """Move what stands at *path* among the damaged; its name there, "" where nothing stood."""
        moved = await self._run("setting aside", lambda: self._mender.set_aside(path, aside))
        if moved:
            met("L36")
        return moved

    async def clear_way(self, path: str) -> None:
        """Set aside a folder that stands where a file of the bag belongs."""
        if await self._run("setting aside", lambda: self._mender.clear_way(path)):
            met("L36")

    async def put_back(self, aside: str, path: str) -> bool:
        """See ``ports.Vault``."""
        return await self._run("putting back", lambda: self._mender.put_back(aside, path))

    async def swap(self, fresh: str, name: str) -> str:
        """Give the private file *fresh* the name *name*; what had it is kept under another one."""
        return await self._run("putting in place", lambda: self._mender.swap(fresh, name))

    async def forget(self, fresh: str) -> None:
        """Remove an unfinished private file of ours."""
        await self._run("clearing up", lambda: self._mender.forget(fresh))

    async def _run(
        self, doing: str, work: Callable[[], T], undo: Callable[[T], None] | None = None
    ) -> T:
        try:
            return await self._threads.run(work, undo)
        except OSError as error:
            raise refusal(error, doing) from error


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in range(2, 10_000):
        yield numbered(name, number)
