"""Offsets that 32 bits cannot hold: 100 GB that nobody has to move."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from archiver.adapters.checking import Check
from archiver.adapters.disk import Threads
from archiver.core.model import JobKey, Saved, VideoId
from archiver.core.resume import FOUR_GIB, OVERLAP_BYTES
from archiver.emulator.media import FIRST, Content
from tests.ports.disk_world import fill, opened
from tests.wire.download_bench import Bench, FilePart, bench
from tests.wire.raw_server import Reply, Request, reply

TOTAL = 100_000_000_000
CUT = TOTAL - 300_000
CONTENT = Content(5, FIRST, TOTAL, "mp4")


class SparsePart(FilePart):
    """Only its beginning and its end are there; between them a hole."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with path.open("r+b") as file:
            for start, end in ((0, 20_000), (CUT - OVERLAP_BYTES, CUT)):
                file.seek(start)
                file.write(CONTENT.read(start, end))
        self._file.seek(CUT)
        self._written = CUT

    async def read(self, start: int, count: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(count)


def _host(request: Request) -> Reply:
    start = request.start
    assert start is not None
    span = f"Content-Range: bytes {start}-{TOTAL - 1}/{TOTAL}"
    return reply(206, CONTENT.read(start, TOTAL), span, 'ETag: "one"')


def test_a_hundred_gigabytes_are_gone_on_with(tmp_path: Path) -> None:
    """D38: the question, the answer, the comparison, the part and the walk count in 64 bits."""
    assert CONTENT.size == TOTAL

    async def body(b: Bench) -> None:
        sparse = SparsePart(tmp_path / "sparse")
        b.part = sparse
        source = b.saved(b"").source
        saved = await b.fetch(Saved(CUT, TOTAL, '"one"', source=source))
        assert (saved.bytes, saved.total, sparse.durable) == (TOTAL, TOTAL, TOTAL)
        assert sparse.path.stat().st_size == TOTAL
        assert b.server.requests[0].headers["range"] == f"bytes={CUT - OVERLAP_BYTES}-"
        assert await sparse.read(CUT, TOTAL - CUT) == CONTENT.read(CUT, TOTAL)
        await sparse.close()
        await _walk(tmp_path, saved)

    bench(tmp_path, _host, body)


async def _walk(tmp_path: Path, saved: Saved) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    threads = Threads()
    try:
        assert await Check(folder, "sparse", "mp4", saved).run(threads) is None
        os.truncate(tmp_path / "sparse", TOTAL - 1)
        short = Saved(TOTAL - 1, TOTAL - 1)
        problem = await Check(folder, "sparse", "mp4", short).run(threads)
        assert f"the file at {TOTAL - 1}" in (problem or "")
    finally:
        threads.close()
        os.close(folder)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_part_of_more_than_four_gigabytes_is_gone_on_with(tmp_path: Path) -> None:
    """D38: cut back, read into the hash again, written and compared behind 2^32."""
    size, more = FOUR_GIB + 5, b"more" * 100_000
    key = JobKey(VideoId(5))

    async def story() -> None:
        with opened(tmp_path) as vault:
            path = tmp_path / "archive/.archiver/parts/5.mp4.v1.part"
            path.touch()
            os.truncate(path, size + 1000)
            part, kept = await vault.part(key, Saved(size))
            assert (kept.bytes, part.offset) == (size, size)
            await fill(part, more)
            assert await part.sync() == size + len(more) == path.stat().st_size
            assert await part.read(size - 5, len(more) + 99) == bytes(5) + more
            await part.close()

    asyncio.run(story())
