"""The bookkeeping of archives of 1,000 to 1,000,000 videos: ``python bench/scale.py [VIDEOS ...]``.

Builds each ledger through the real adapter: nine videos of ten are archived with their sidecars,
the tenth is new.  Then measures it in a process of its own, without any file of a video and
without network, and prints one line a size; seconds are CPU.

  file          MiB of the database
  opening       s: `changing`, as every command begins that takes the lock, after a clean end
  select        us a video: the listing's numbers become the run's selection
  extras        us a video: which extras are due
  window        ms: what is in flight and the next thousand that are due; the median of nine
  plan          ms: the steps of that window
  transition    us: an event recorded, its log and its commit included, 200 videos side by side
  end           s: counts, failures, the statement, as a night ends
  bag           s: one pass over manifest, inventory and the rest, nothing new
  status, list  s of those commands, process and all
  RSS           MiB at the most, above the interpreter

Exit code 1 where a promise about memory, window or transition is not kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from archiver.adapters.ledger import Gathered, SqliteLedger
from archiver.core.agenda import Agenda
from archiver.core.events import Asked, Available, Event, Fetched, Pending, Progressed, Stored
from archiver.core.model import (
    ChannelId,
    Holding,
    Instant,
    Job,
    JobKey,
    Link,
    Saved,
    Video,
    VideoId,
)
from archiver.core.naming import channel_folder, file_name, place_for
from archiver.core.schedule import plan
from archiver.core.steps import Budget, Policy
from archiver.opening import changing
from archiver.records.tag_files import write_tag_files

NOW: Final = Instant(1_795_000_000.0)
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
RSS_MOST_MIB, WINDOW_MOST_MS, TRANSITION_MOST_US = 150.0, 5.0, 20.0
DUE, BATCH, ABREAST, MOVED_MOST = 1_000, 5_000, 200, 2_000
COLUMNS: Final = (
    "file", "opening", "select", "extras", "window", "plan", "transition", "end", "bag",
    "status", "list", "RSS",
)  # fmt: skip
BUDGET = Budget(
    calls=8, more_at=NOW, polls=4, fetches=8, files_most=1_000, bytes_most=float("inf"),
    disk_bytes=float(1 << 60), typical_bytes=1 << 30,
)  # fmt: skip


def video(number: int) -> Video:
    """A video as a listing describes it."""
    at = Instant(1_400_000_000.0 + 360.0 * number)
    return Video(VideoId(number), f"Council meeting, part {number}", ChannelId(number % 3 + 1),
                 "Town hall", at, at, 1 << 30, 3_600.0, "public", raw='{"id": "1"}')  # fmt: skip


def stored(number: int) -> Gathered:
    """An archived video, as a rebuilt ledger takes it in."""
    told = video(number)
    folder = channel_folder(told.channel_id, told.channel_title)
    place = place_for(told, folder)
    held = tuple(
        Holding(told.id, kind, "mp4", 1, f"{place.folder}/{file_name(place.stem, kind, 'mp4', 1)}",
                1 << 30, f"{number:064x}", NOW)
        for kind in ("video", "info")
    )  # fmt: skip
    return Gathered(JobKey(told.id), told, folder, place.folder, place.stem, held)


def batches(first: int, last: int) -> Iterator[range]:
    """The numbers, some at a time."""
    for start in range(first, last + 1, BATCH):
        yield range(start, min(start + BATCH, last + 1))


async def build(dest: str, count: int) -> None:
    """The archive as a night finds it."""
    old = count * 9 // 10
    async with changing(dest, create=True) as archive:
        ledger = archive.ledger
        for numbers in batches(1, old):
            await ledger.adopt([stored(number) for number in numbers], NOW)
        for numbers in batches(old + 1, count):
            await ledger.reconcile([video(number) for number in numbers], NOW, "mp4")
        for numbers in batches(1, count):
            await ledger.select([VideoId(number) for number in numbers])
        await ledger.want_extras("mp4", NOW)
        await end(ledger)
        await write_tag_files(archive.vault, ledger, NOW)


async def end(ledger: SqliteLedger) -> None:
    """What a night asks at its end."""
    await ledger.counts("mp4")
    await ledger.failures(1_000, selected="mp4")
    await ledger.deletion("mp4", NOW)
    await ledger.extras_missing("mp4")
    await ledger.left(1_000, "mp4")
    async for _ in ledger.stored_videos():
        pass


class Meter:
    """CPU seconds of this process since it was asked last."""

    def __init__(self) -> None:
        self._at = time.process_time()

    def lap(self) -> float:
        """Seconds."""
        before, self._at = self._at, time.process_time()
        return self._at - before


def life(number: int) -> list[Event]:
    """What happens to a file in a run."""
    link = Link(f"https://cdn.example/{number}?signature=x", Instant(NOW + 86_400.0))
    whole = Saved(1 << 30, 1 << 30, '"etag"', None, "source")
    held = stored(number).holdings[0]
    return [
        Asked(NOW), Pending(NOW, Instant(NOW + 60.0)), Available(NOW, link),
        Progressed(Saved(1 << 20, 1 << 30, '"etag"', None, "source")),
        Fetched(whole, held.sha256), Stored((held,)),
    ]  # fmt: skip


async def move(ledger: SqliteLedger, lives: list[tuple[Job, list[Event]]]) -> None:
    """Live through a run, in its order."""

    async def one(job: Job, events: list[Event]) -> None:
        for event in events:
            job = await ledger.record(job, event, NOW)

    for first in range(0, len(lives), ABREAST):
        await asyncio.gather(*(one(*each) for each in lives[first : first + ABREAST]))


async def measure(dest: str, count: int) -> dict[str, float]:
    """The figures of the archive in *dest*, but for the commands'."""
    meter, found = Meter(), dict[str, float]()
    async with changing(dest, create=False) as archive:
        ledger = archive.ledger
        found["opening"] = meter.lap()
        for numbers in batches(1, count):
            await ledger.select([VideoId(number) for number in numbers])
        found["select"] = meter.lap() * 1e6 / count
        await ledger.want_extras("mp4", NOW)
        found["extras"] = meter.lap() * 1e6 / count
        window, took = await ledger.window(NOW, "mp4", DUE), []
        meter.lap()
        for _ in range(9):
            await ledger.window(NOW, "mp4", DUE)
            took.append(meter.lap())
        found["window"] = statistics.median(took) * 1e3
        agenda = Agenda(window.jobs)
        meter.lap()
        plan(agenda, set(), NOW, BUDGET, Policy())
        found["plan"] = meter.lap() * 1e3
        jobs = list((await ledger.window(NOW, "mp4", min(MOVED_MOST, count // 20))).jobs)
        lives = [(job, life(job.key.video_id)) for job in jobs]
        meter.lap()
        await move(ledger, lives)
        found["transition"] = meter.lap() * 1e6 / sum(len(events) for _, events in lives)
        await end(ledger)
        found["end"] = meter.lap()
        await write_tag_files(archive.vault, ledger, NOW)
        meter.lap()
        await write_tag_files(archive.vault, ledger, NOW)
        found["bag"] = meter.lap()
    found["RSS"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def command(*args: str) -> float:
    """CPU seconds of a command in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "archiver", *args], stdout=subprocess.DEVNULL, check=True
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def bare_mib() -> float:
    """What the interpreter alone takes."""
    program = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )  # fmt: skip
    return int(done.stdout) / 1024


def step(what: str, dest: str, count: int) -> str:
    """One step in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, __file__, what, dest, str(count)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def told(count: int) -> bool:
    """Build, measure and print one size; whether its promises were kept."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as scratch:
        dest = str(Path(scratch) / "archive")
        step("build", dest, count)
        found: dict[str, float] = json.loads(step("measure", dest, count))
        for name in ("status", "list"):
            found[name] = command(name, dest)
        found["RSS"] -= bare_mib()
        found["file"] = (Path(dest) / ".archiver" / "ledger.sqlite3").stat().st_size / (1 << 20)
    print(f"{count:>9,}" + "".join(f"{found[name]:>11.2f}" for name in COLUMNS), flush=True)
    return bool(
        found["RSS"] <= RSS_MOST_MIB and found["window"] <= WINDOW_MOST_MS
        and found["transition"] <= TRANSITION_MOST_US
    )  # fmt: skip


def main(args: list[str]) -> int:
    """Everything, or one step of it in a process of its own."""
    if args[:1] == ["build"]:
        asyncio.run(build(args[1], int(args[2])))
    elif args[:1] == ["measure"]:
        print(json.dumps(asyncio.run(measure(args[1], int(args[2])))))
    else:
        print(f"{'videos':>9}" + "".join(f"{name:>11}" for name in COLUMNS), flush=True)
        kept = [told(int(count)) for count in args or SIZES]
        return 0 if all(kept) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
