"""A small file that is being written, for aiofiles: a tag file that comes in chunks.

Rule: its bytes reach the disk through ``adapters.disk.Os`` like all others.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING

from aiofiles.threadpool import wrap

from archiver.adapters.disk import Os, Threads

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from aiofiles.threadpool.binary import AsyncBufferedIOBase


def small_file(system: Os, fd: int, threads: Threads) -> AsyncBufferedIOBase:
    """Write the new file *fd* from its beginning; closing the answer closes *fd*."""
    file: AsyncBufferedIOBase = wrap(io.BufferedWriter(_Raw(system, fd)), executor=threads.pool)
    return file


class _Raw(io.RawIOBase):
    def __init__(self, system: Os, fd: int) -> None:
        self._os, self._fd, self._offset = system, fd, 0

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: ReadableBuffer) -> int:
        block = memoryview(data).cast("B")
        self._os.write_all(self._fd, block, self._offset)
        self._offset += len(block)
        return len(block)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._os.close(self._fd)


async def encoded(chunks: AsyncIterable[str] | Iterable[str]) -> AsyncIterator[bytes]:
    """The chunks of a small file as bytes."""
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk.encode()
    else:
        for piece in chunks:
            yield piece.encode()
