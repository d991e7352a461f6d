"""The system calls that the archive stands on, in one place, so that a test can make each fail.

Rule 1: an fsync that failed is never repeated: the kernel may have dropped the pages it could not
write, and the second call would succeed over a hole.
Rule 2: `move_new` and `replace` are the only renames in the program.  In an archive
`adapters.publish` alone has them done; outside, `adapters.outside_file` replaces its own.
Rule 3: directories below DEST are opened step by step and without following a symlink.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
from asyncio import CancelledError, get_running_loop, shield
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from archiver.adapters.libc import find_renameat2, find_syncfs
from archiver.met import met

T = TypeVar("T")
log = logging.getLogger(__name__)

READ_BYTES = 1 << 20
FOLDER_MODE, FILE_MODE = 0o775, 0o644  # less the umask: never one that anybody may change
NAMED_MOST = 10_000  # folders remembered: a few hundred KB
_F_FULLFSYNC = 51  # macOS: fsync alone stops at the drive's cache
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_NO_LINKS = _UNSUPPORTED | {errno.EPERM, errno.EMLINK, errno.EXDEV}


class Os:
    """The calls that make, write, sync, name and remove: all that change the disk but the ledger's.

    A test replaces one to make it fail, or all to see what a power cut would leave.
    """

    def __init__(self) -> None:
        self._warned: set[str] = set()
        self._renameat2, self._syncfs = find_renameat2(), find_syncfs()
        self._named: set[tuple[int, int]] = set()  # folders whose own name was synced by us

    def create(self, name: str, folder: int) -> int:
        """Make a file that only we can read, for reading and writing; it must not be there."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        return os.open(name, flags, 0o600, dir_fd=folder)

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file to *size* bytes."""
        os.ftruncate(fd, size)

    def chmod(self, fd: int, mode: int) -> None:
        """Give a file its mode."""
        os.fchmod(fd, mode)

    def close(self, fd: int) -> None:
        """Let go of a file that was written: a share may tell only now that it could not."""
        os.close(fd)

    def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
        """Write some of *data*; may be less than all of it."""
        return os.pwrite(fd, data, offset)

    def write_all(self, fd: int, data: memoryview, offset: int) -> None:
        """Write all of *data*: a nearly full disk takes less than it was given."""
        while data:
            count = self.pwrite(fd, data, offset)
            if count == 0:
                raise OSError(errno.ENOSPC, "nothing more was written")
            if count < len(data):
                met("L09")
            data, offset = data[count:], offset + count

    def fdatasync(self, fd: int) -> None:
        """Make a file's bytes durable, and as much of its inode as reading them needs."""
        if sys.platform == "darwin":
            self.fsync(fd)
        else:
            os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        """Make a file and its inode durable."""
        if sys.platform == "darwin":
            import fcntl

            try:
                fcntl.fcntl(fd, _F_FULLFSYNC)
            except OSError as error:
                # Shares do not know it; what they do know is asked once, and for the first time.
                if error.errno not in _UNSUPPORTED | {errno.ENOTTY}:
                    raise
                os.fsync(fd)
        else:
            os.fsync(fd)

    def sync_folder(self, fd: int) -> None:
        """Make a folder's names durable.  Some shares cannot: said once, then lived with."""
        try:
            self.fsync(fd)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            met("L41")
            self._warn("this file system cannot flush folders: names may be lost in a power cut")

    def sync_all(self, fd: int) -> None:
        """Make all durable that stands on the file system of *fd*, whoever put it there."""
        if self._syncfs is not None:
            self._syncfs(fd)
        else:
            os.sync()
            self.sync_folder(fd)  # macOS only begins a sync; this flushes the drive

    def move_new(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        """Rename without ever replacing.

        Raises:
            FileExistsError: there is something of that name; nothing was changed.
        """
        try:
            self.rename_noreplace(name, folder, new_name, new_folder)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self._link_and_unlink(name, folder, new_name, new_folder)

    def rename_noreplace(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        """Let the kernel rename without replacing; ENOSYS where it cannot."""
        if self._renameat2 is None:
            raise OSError(errno.ENOSYS, "no renameat2")
        self._renameat2(name, folder, new_name, new_folder)

    def link(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        """Give a file a second name."""
        os.link(name, new_name, src_dir_fd=folder, dst_dir_fd=new_folder, follow_symlinks=False)

    def replace(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        """Rename over what is there: for tag files."""
        os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=new_folder)

    def unlink(self, name: str, folder: int) -> None:
        """Remove a name."""
        os.unlink(name, dir_fd=folder)

    def mkdir(self, name: str, mode: int, folder: int) -> None:
        """Make a folder in a folder."""
        os.mkdir(name, mode, dir_fd=folder)

    def open_folder(self, root: int, path: str, *, make: bool = False) -> int:
        """Open the folder *path* below *root*, following no symlink; the caller closes it.

        Args:
            make: make what is missing, and see that each step's name is durable: whoever made it,
                be it a run that was killed, may not have come to that.
        """
        fd = os.dup(root)
        for name in path.split("/") if path else ():
            parent = fd
            try:
                fd = self._step(parent, name, make)
            finally:
                os.close(parent)
        return fd

    def _step(self, parent: int, name: str, make: bool) -> int:
        if name in ("", ".", ".."):
            raise OSError(errno.EINVAL, "not a name within the archive")
        made = False
        try:
            fd = _enter(name, parent)
        except FileNotFoundError:
            if not make:
                raise
            made = self._made(parent, name)
            fd = _enter(name, parent)
        try:
            if make:
                self._sync_name(parent, fd, made)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _made(self, parent: int, name: str) -> bool:
        try:
            self.mkdir(name, FOLDER_MODE, parent)
        except FileExistsError:
            return False  # another hand made it meanwhile
        return True

    def _sync_name(self, parent: int, fd: int, made: bool) -> None:
        """Make the folder's name durable, once in the life of this process."""
        found = os.fstat(fd)
        key = (found.st_dev, found.st_ino)
        if made or key not in self._named:
            self.sync_folder(parent)
            if len(self._named) >= NAMED_MOST:
                self._named.clear()
            self._named.add(key)

    def _link_and_unlink(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        try:
            self.link(name, folder, new_name, new_folder)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            # A power cut may keep two changes in either order: the new name first, for certain.
            self.sync_folder(new_folder)
            self.unlink(name, folder)
            return
        # Neither is there (exFAT, some shares): the archive's lock keeps our own hands apart.
        self._warn("this file system cannot rename without replacing: keep other programs away")
        if exists(new_name, new_folder):
            raise FileExistsError(errno.EEXIST, "the name is taken")
        self.replace(name, folder, new_name, new_folder)

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            log.warning(text)


class Threads:
    """A few threads for what blocks: never the loop's own, which others may fill or close."""

    def __init__(self, count: int = 4) -> None:
        self.pool = ThreadPoolExecutor(count, thread_name_prefix="disk")

    async def run(self, work: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
        """Do *work* in a thread; a cancelled wait does not stop a thread that has begun.

        Args:
            undo: takes back what *work* brings where nobody waits for it any more.
        """
        doing = get_running_loop().run_in_executor(self.pool, work)
        if undo is None:
            return await doing
        try:
            return await shield(doing)
        except CancelledError:
            doing.add_done_callback(lambda done: done.exception() or undo(done.result()))
            raise

    def close(self) -> None:
        """Wait for what was begun."""
        self.pool.shutdown()


def exists(name: str, folder: int) -> bool:
    """There is something of this name, be it a dangling symlink."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def open_own(name: str, folder: int, flags: int) -> int:
    """Open a file that we made: regular, one name, no symlink.

    Raises:
        FileNotFoundError: it is not there.
        OSError: ELOOP for anything that is not such a file.
    """
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(fd)
        met("L16")
        raise OSError(errno.ELOOP, "not a plain file of ours")
    return fd


def _enter(name: str, parent: int) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            met("L16")
            raise OSError(errno.ELOOP, "a symbolic link") from None
        raise
