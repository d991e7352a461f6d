"""A file being written: bytes go in order to the disk and into the hash.

Rule 1: what came is written and hashed at once, by the thread that received it, while its
processor still has it at hand; only little pieces are gathered first.  What waits for the disk
itself is a trip to another thread.
Rule 2: after the first error the part is poisoned: every later call repeats that error, nothing
is written, and above all nothing is synced again.
Rule 3: bytes go on coming while those before them are made durable; but all work in threads is
under a lock of the part's own, so that a cancelled wait, whose thread goes on, can neither overlap
with the next nor outlive the descriptor.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import TypeVar

from archiver.adapters.causes import refusal
from archiver.adapters.disk import READ_BYTES, Os, Threads
from archiver.errors import DestinationError
from archiver.met import met

T = TypeVar("T")

GATHER_BYTES = 128 * 1024  # of little pieces before a write: a slow line brings few at a time
ROOM_BYTES = 2 * 1024 * 1024  # one a thread, for all its parts; fewer and longer reads cost less
# It must hold the 512 KiB that a TLS transport may keep back while reading rests: after the host
# has closed, the transport hands that over in one piece or drops it.
REHASH_BYTES = 64 << 20  # a trip to a thread while a part is read again: about 50 ms


class _Rooms(threading.local):
    """A room for each thread that receives."""

    def __init__(self) -> None:
        self.here = memoryview(bytearray(ROOM_BYTES))


_rooms = _Rooms()


class LocalPart:
    """A part on a local disk; implements ``ports.Part``.

    Made by ``LocalVault.part``.  One task owns it, on whichever loop; the task may fill it during
    a ``sync``, and during nothing else.
    """

    def __init__(
        self, fd: int, folder: int, system: Os, threads: Threads, *, gather_bytes: int, is_new: bool
    ) -> None:
        self._fd, self._folder, self._os, self._threads = fd, folder, system, threads
        self._most = gather_bytes
        self._gathered = bytearray()
        self._written = 0
        self._hash = hashlib.sha256()
        self._name_synced = not is_new
        self.is_sealed = False  # whole, of its final mode, and durable
        self._poison: DestinationError | None = None
        self._in_thread = threading.Lock()  # around whatever a thread does; taken before ``_lock``
        self._lock = threading.Lock()  # around what was written, gathered and hashed

    @property
    def digest(self) -> str:
        """The SHA-256 of what was written so far; ``sha256`` writes first."""
        return self._hash.hexdigest()

    @property
    def offset(self) -> int:
        """Where the next byte belongs."""
        return self._written + len(self._gathered)

    def room(self) -> memoryview:
        """A writable view for the next bytes.

        All parts of a thread share it: what is put there counts only if ``filled`` comes before
        anything else.
        """
        return _rooms.here

    def filled(self, count: int) -> None:
        """*count* bytes of the last ``room`` are valid now; much is written, little is gathered."""
        room = self.room()
        if not 0 <= count <= len(room):
            raise ValueError(f"{count} bytes do not fit into the room that was given")
        if len(self._gathered) + count < self._most:
            self._gathered += room[:count]
        else:
            self._guarded("writing a download", lambda: self._write(room[:count]))

    async def sync(self) -> int:
        """Make durable what was handed over before, and return how many bytes that is."""
        return await self._threads.run(self._make_durable)

    async def restart(self) -> None:
        """Forget every byte and begin again at 0."""
        await self._do("emptying a download", self._restart)

    async def read(self, start: int, count: int) -> bytes:
        """Bytes that were written before, fewer at the end."""

        def read() -> bytes:
            self._write_out()
            return read_exactly(self._fd, start, count)

        return await self._do("reading a download", read)

    async def sha256(self) -> str:
        """The SHA-256 of all bytes so far, as hex."""
        await self._do("writing a download", self._write_out)
        return self.digest

    def finish(self, mode: int) -> str:
        """Write all, give the file its final *mode*, make it durable, let go of it.

        One trip to a thread for a file's whole end; blocks.

        Returns:
            The SHA-256 of all bytes, as hex.
        """
        with self._in_thread:
            self._guarded("writing a download", lambda: self._seal(mode))
        self._close()
        return self.digest

    async def close(self) -> None:
        """Let go of the file; what was synced stays, what was not may stay."""
        if self._fd >= 0:
            # Done also where nobody may wait for it any more: there is nothing to undo.
            await self._threads.run(self._close, lambda _: None)

    async def resume(self, size: int) -> None:
        """Cut the file back to *size* bytes and read them into the hash."""

        def cut() -> None:
            if os.fstat(self._fd).st_size > size:
                met("D33")  # written, but nobody knows what of it is durable, or in which order
            self._os.truncate(self._fd, size)

        await self._do("cutting a download", cut)
        while self._written < size:
            await self._do("reading a download", lambda: self._rehash(size))

    async def _do(self, doing: str, work: Callable[[], T]) -> T:
        def alone() -> T:
            with self._in_thread:
                return self._guarded(doing, work)

        return await self._threads.run(alone)

    def _guarded(self, doing: str, work: Callable[[], T]) -> T:
        with self._lock:
            return self._judged(doing, work)

    def _judged(self, doing: str, work: Callable[[], T]) -> T:
        if self._poison is not None:
            # Told anew each time: a traceback must not grow from caller to caller.
            raise type(self._poison)(str(self._poison), self._poison.hint)
        if self._fd < 0:
            raise ValueError("the part is closed")
        try:
            return work()
        except OSError as error:
            met("L03")
            self._poison = refusal(error, doing)
            raise self._poison from error

    def _write(self, piece: memoryview) -> None:
        self._write_out()
        if len(piece) < self._most // 2:
            self._gathered += piece
        else:
            self._append(piece)

    def _write_out(self) -> None:
        if self._gathered:
            # Another one from here on: an error's traceback may hold on to views of this one.
            gathered, self._gathered = self._gathered, bytearray()
            self._append(memoryview(gathered))

    def _append(self, data: memoryview) -> None:
        self._os.write_all(self._fd, data, self._written)
        self._hash.update(data)
        self._written += len(data)

    def _make_durable(self) -> int:
        with self._in_thread:
            written = self._guarded("writing a download", self._all_written)
            # Without the other lock: whoever receives goes on meanwhile.
            self._judged("writing a download", self._sync)
            return written

    def _all_written(self) -> int:
        self._write_out()
        return self._written

    def _sync(self) -> None:
        self._os.fdatasync(self._fd)
        self._sync_name()

    def _seal(self, mode: int) -> None:
        self._write_out()
        self._os.chmod(self._fd, mode)
        self._os.fsync(self._fd)
        self._sync_name()
        self.is_sealed = True

    def _sync_name(self) -> None:
        if not self._name_synced:
            self._os.sync_folder(self._folder)
            self._name_synced = True

    def _restart(self) -> None:
        self._gathered = bytearray()
        self._written = 0
        self._hash = hashlib.sha256()
        self._os.truncate(self._fd, 0)

    def _rehash(self, size: int) -> None:
        stop = min(size, self._written + REHASH_BYTES)
        while self._written < stop:
            block = os.pread(self._fd, min(READ_BYTES, stop - self._written), self._written)
            if not block:
                raise OSError("the file shrank while it was read")
            self._hash.update(block)
            self._written += len(block)

    def _close(self) -> None:
        with self._in_thread, self._lock:
            if self._fd >= 0:
                fd, self._fd = self._fd, -1
                self._gathered = bytearray()
                try:
                    self._os.close(fd)
                except OSError as error:  # a share may tell only now that it could not write
                    met("L05")
                    raise refusal(error, "closing a download") from error


def read_exactly(fd: int, start: int, count: int) -> bytes:
    """Read *count* bytes at *start*; fewer only at the end of the file."""
    blocks = []
    while count > 0 and (block := os.pread(fd, min(count, READ_BYTES), start)):
        blocks.append(block)
        start += len(block)
        count -= len(block)
    return b"".join(blocks)
