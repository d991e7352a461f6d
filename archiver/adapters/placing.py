"""The steps of a publication that touch the disk: seal, rename without replacing, sync the folder.

Plain blocking code, run in a thread by ``adapters.publish``.  Each step is safe to repeat after a
crash at any instant: a file that stands there with the right hash is adopted.
Rule 1: an error of the sealing fsync discards the file; there is no second fsync and no rename.
Rule 2: a name that a stranger's file has taken stays his; ours gets `` (2)``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from archiver.adapters.destination import Destination
from archiver.adapters.disk import FILE_MODE, READ_BYTES, Os, exists, open_own
from archiver.adapters.part import read_exactly
from archiver.core.naming import display, numbered
from archiver.met import met

T = TypeVar("T")
log = logging.getLogger(__name__)

TRIES_MOST = 100  # names tried beside strangers' files
UNREADABLE = (errno.EIO, errno.EACCES, errno.EPERM)  # what a damaged file, or its mode, gives
SMALL_MOST = 16 << 20  # bytes of a sidecar or tag file that is read whole


@dataclass(frozen=True, slots=True)
class Placed:
    """A file that stands under its final name: ``path`` is below DEST."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder of the archive: ``path`` is below DEST."""

    path: str
    fd: int


class Placer:
    """Moves sealed files from ``.archiver/parts`` to where they belong."""

    def __init__(self, home: Destination, system: Os) -> None:
        self._home, self._os = home, system
        umask = os.umask(0o077)
        os.umask(umask)
        if ~umask & 0o002:
            met("S12")  # a mode that is left to the umask would let others write
        self.mode = FILE_MODE & ~umask  # of everything that is published

    def open_part(self, name: str, size: int) -> tuple[int, bool]:
        """Open a part that holds at least *size* bytes, or a new one.

        Returns:
            The descriptor, and whether the file was there and is long enough.
        """
        if size > 0:
            try:
                fd = open_own(name, self._home.parts, os.O_RDWR)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
                    raise
            else:
                if os.fstat(fd).st_size >= size:
                    return fd, True
                os.close(fd)
        return self.open_new(name), False

    def open_new(self, name: str) -> int:
        """Make a file in the parts; what is left there of that name is ours and goes."""
        try:
            return self._os.create(name, self._home.parts)
        except FileExistsError:
            self._os.unlink(name, self._home.parts)
            return self._os.create(name, self._home.parts)

    def part_size(self, name: str) -> int | None:
        """How long a part is; None where there is none."""
        try:
            found = os.stat(name, dir_fd=self._home.parts, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def seal(self, fd: int) -> None:
        """Give a finished file its final mode and make it durable."""
        self._os.chmod(fd, self.mode)
        self._os.fsync(fd)

    def seal_part(self, name: str) -> None:
        """Seal a part; discard it if that fails: what the disk holds of it is not known."""
        fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=self._home.parts)
        try:
            try:
                self.seal(fd)
            finally:
                self._os.close(fd)
        except OSError:
            met("L04")
            self.give_up(name)
            raise

    def discard(self, name: str) -> None:
        """Remove one of our own unfinished files, if it is there."""
        try:
            self._os.unlink(name, self._home.parts)
        except FileNotFoundError:
            pass

    def give_up(self, name: str) -> None:
        """Remove a file of which something failed; where that fails too, the next opening does."""
        with contextlib.suppress(OSError):
            self.discard(name)

    def write_small(self, name: str, content: bytes) -> Placed:
        """Write and seal a small file among the parts, where it belongs to nobody yet."""
        try:
            fd = self.open_new(name)
            try:
                self._os.write_all(fd, memoryview(content), 0)
                self.seal(fd)
            finally:
                self._os.close(fd)
        except OSError:
            self.give_up(name)
            raise
        return Placed("", len(content), hashlib.sha256(content).hexdigest())

    @contextlib.contextmanager
    def folder(self, path: str) -> Iterator[Folder]:
        """Open *path* below DEST to place files there; make what is missing, durably."""
        fd = self._os.open_folder(self._home.root, path, make=True)
        try:
            yield Folder(path, fd)
        finally:
            os.close(fd)

    def place(
        self, part: str, folder: Folder, name: str, want: Placed, ours: Callable[[bytes], bool]
    ) -> Placed:
        """Rename a sealed part to *name* in *folder*, or adopt what stands there already.

        Args:
            want: size and hash of the part; its path is of no account.
            ours: judges the text of a small file that differs: True adopts it as it is.
        """
        for candidate in _candidates(name):
            try:
                self._os.move_new(part, self._home.parts, candidate, folder.fd)
            except FileExistsError:
                found = self._adopted(folder.fd, candidate, want, ours)
                if found is None:
                    met("L38")
                    log.warning("a file that is not ours is in the way of %s", display(name))
                    continue
                met("L20")  # both names: a rename of which a power cut kept half
                self.settle(folder.fd, candidate)
                self.discard(part)
            else:
                found = want
                self._os.sync_folder(folder.fd)
            return Placed(f"{folder.path}/{candidate}", found.bytes, found.sha256)
        raise FileExistsError(errno.EEXIST, "every name is taken")

    def find(self, folder: str, name: str, want: Placed) -> Placed | None:
        """Find a file of the wanted size and hash that was published before a crash."""
        try:
            into = self._os.open_folder(self._home.root, folder)
        except FileNotFoundError:
            return None
        try:
            for candidate in _candidates(name):
                if not exists(candidate, into):
                    return None
                if self._adopted(into, candidate, want, lambda _text: False):
                    met("L21")
                    self.settle(into, candidate)
                    return Placed(f"{folder}/{candidate}", want.bytes, want.sha256)
        finally:
            os.close(into)
        return None

    def settle(self, folder: int, name: str) -> None:
        """Make durable what stands there: another hand may have put it there, or a killed run."""
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        try:
            self._os.fsync(fd)
        finally:
            os.close(fd)
        self._os.sync_folder(folder)

    def replace(self, part: str, path: str, sha256: str) -> None:
        """Put a sealed tag file in the place of the old one, unless they are the same."""
        folder, _, name = path.rpartition("/")
        into = self._os.open_folder(self._home.root, folder, make=True)
        try:
            if _or_none(lambda: self._hash(into, name)) == sha256:
                self.settle(into, name)  # before the manifest of the tag files counts on it
                self.discard(part)
                return
            self._os.replace(part, self._home.parts, name, into)
            self._os.sync_folder(into)
        finally:
            os.close(into)

    def read_small(self, path: str) -> bytes | None:
        """Read a small file below DEST whole; None where there is none, or it cannot be read."""
        folder, _, name = path.rpartition("/")
        try:
            into = self._os.open_folder(self._home.root, folder)
        except FileNotFoundError:
            return None
        try:
            return _or_none(lambda: _read_small(into, name))
        finally:
            os.close(into)

    def hash_part(self, name: str) -> str:
        """Read a part from its first byte to its last."""
        return self._hash(self._home.parts, name) or ""

    def is_same(self, folder: int, name: str, size: int, sha256: str) -> bool:
        """A plain file of this size and hash stands there."""
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return found.st_size == size and self._hash(folder, name) == sha256

    def _adopted(
        self, into: int, name: str, want: Placed, ours: Callable[[bytes], bool]
    ) -> Placed | None:
        text = _read_small(into, name)
        if text is not None and ours(text):
            return Placed(name, len(text), hashlib.sha256(text).hexdigest())
        return want if self.is_same(into, name, want.bytes, want.sha256) else None

    def _hash(self, folder: int, name: str) -> str | None:
        """The SHA-256 of a plain file; None for anything else."""
        fd = _open_plain(folder, name)
        if fd is None:
            return None
        digest = hashlib.sha256()
        try:
            while block := os.read(fd, READ_BYTES):
                digest.update(block)
        finally:
            os.close(fd)
        return digest.hexdigest()


def _open_plain(folder: int, name: str) -> int | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def _read_small(folder: int, name: str) -> bytes | None:
    fd = _open_plain(folder, name)
    if fd is None:
        return None
    try:
        return read_exactly(fd, 0, SMALL_MOST) if os.fstat(fd).st_size <= SMALL_MOST else None
    finally:
        os.close(fd)


def _or_none(read: Callable[[], T]) -> T | None:
    """What *read* gives; None where the file is damaged so that it cannot be read."""
    try:
        return read()
    except OSError as error:
        if error.errno not in UNREADABLE:
            raise
        return None


def _candidates(name: str) -> Iterator[str]:
    yield name
    for number in range(2, TRIES_MOST):
        yield numbered(name, number)
