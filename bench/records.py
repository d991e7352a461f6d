"""What a large archive's records cost: ``python bench/records.py [VIDEOS]`` (100,000).

Makes a ledger of so many stored videos, each with its sidecar and no file, and writes all tag
files: the first time, without news, and with one new video.  The files themselves are never read,
so none are there.  Exit code 1 where a night without news takes more than 5 s, or memory grows.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from archiver.adapters.ledger import Gathered, SqliteLedger
from archiver.adapters.publish import LocalVault
from archiver.core.model import ChannelId, Holding, Instant, JobKey, Video, VideoId
from archiver.core.naming import channel_folder, file_name, place_for
from archiver.records.tag_files import write_tag_files

NOW = Instant(1_795_000_000.0)
SECONDS_MOST, GROWTH_MOST_MIB = 5.0, 50.0
BATCH = 5_000


def stored(number: int) -> Gathered:
    """One archived video, as a rebuilt ledger takes it in."""
    channel = ChannelId(number % 3 + 1)
    at = Instant(1_400_000_000.0 + 3_600.0 * number)
    video = Video(VideoId(number), f"Council meeting, part {number}", channel, "Town hall", at, at,
                  1_000_000, 3_600.0, "public", raw='{"id": "1"}')  # fmt: skip
    folder = channel_folder(channel, "Town hall")
    place = place_for(video, folder)
    held = tuple(
        Holding(video.id, kind, "mp4", 1, f"{place.folder}/{file_name(place.stem, kind, 'mp4', 1)}",
                1_000_000, f"{number:064x}", at)
        for kind in ("video", "info")
    )  # fmt: skip
    return Gathered(JobKey(video.id), video, folder, place.folder, place.stem, held)


def batches(count: int) -> Iterator[list[Gathered]]:
    """All of them, some at a time."""
    for start in range(1, count + 1, BATCH):
        yield [stored(number) for number in range(start, min(start + BATCH, count + 1))]


async def timed(what: str, vault: LocalVault, ledger: SqliteLedger) -> float:
    """Write all tag files; tell and return the seconds."""
    began = time.perf_counter()
    await write_tag_files(vault, ledger, NOW)
    took = time.perf_counter() - began
    print(f"{what:<24} {took:6.2f} s   {mebibytes():6.1f} MiB")
    return took


def mebibytes() -> float:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(folder: Path, count: int) -> int:
    """The three nights."""
    with LocalVault.open(folder, True, now=lambda: NOW) as vault:
        async with await SqliteLedger.open(folder / ".archiver" / "ledger.sqlite3") as ledger:
            for batch in batches(count):
                await ledger.adopt(batch, NOW)
            before = mebibytes()
            await timed("first", vault, ledger)
            seen = (folder / "manifest-sha256.txt").stat().st_ino
            quiet = await timed("without news", vault, ledger)
            untouched = (folder / "manifest-sha256.txt").stat().st_ino == seen
            await ledger.adopt([stored(count + 1)], NOW)
            one = await timed("one new video", vault, ledger)
            growth = mebibytes() - before
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    print(", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sorted(sizes.items())))
    good = max(quiet, one) <= SECONDS_MOST and growth <= GROWTH_MOST_MIB and untouched
    return 0 if good else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        videos = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
        sys.exit(asyncio.run(measure(Path(scratch) / "archive", videos)))
