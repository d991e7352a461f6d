"""A night after 100,000 archived videos, of which one is new: ``python bench/nights.py [VIDEOS]``.

Makes an archive of so many tiny videos that were archived weeks ago, by way of the ledger; then
runs the real program against the built-in emulator three times: after one video came, after
nothing came, and with ``--full-listing``.  Prints seconds, API calls and memory.  Exit code 1
where a promise was not kept.  The emulator works in the same process: its time is in the figures.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sqlite3
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import anyio

from archiver import archive
from archiver.account import Account, Secret
from archiver.adapters.ledger import rows
from archiver.adapters.vendor import wire
from archiver.core.events import Event
from archiver.core.model import DAY_S, NEVER, Instant, Job, JobState, Video
from archiver.core.rounds import first_round
from archiver.core.selection import AccountSource
from archiver.core.summary import Summary
from archiver.emulator import answers
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from archiver.opening import changing
from archiver.run_options import RunOptions

PAGE = 1_000
SECONDS_MOST, CALLS_MOST = 60.0, 6  # on a machine with nothing else to do
CONTENT = b"x"


class Listener:
    """Prints warnings, with the seconds since the last word: where a night spends its time."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def began(self, step: str, job: Job, title: str = "") -> None:
        """Nothing."""

    def received(self, job: Job, count: int) -> None:
        """Nothing."""

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        """Nothing."""

    def said(self, text: str, *, warning: bool = False) -> None:
        """Print it."""
        now = time.monotonic()
        print(f"  {now - self.at:6.1f} s  {'! ' if warning else ''}{text}")
        self.at = now


def described(vendor: Emulator) -> list[Video]:
    """The account's videos as its listings describe them."""
    found = []
    for video in vendor.world.account.videos.values():
        size = vendor.world.content(video.id, "mp4").size
        listed = wire.video(answers.listed_video(video, size, vendor.api_url, "http://x"))
        assert listed is not None
        found.append(listed)
    return found


async def make(dest: str, vendor: Emulator) -> None:
    """An archive of everything, a month old."""
    then, sha256 = Instant(time.time() - 40 * DAY_S), hashlib.sha256(CONTENT).hexdigest()
    videos = described(vendor)
    async with changing(dest, create=True) as opened:
        ledger = opened.ledger
        for first in range(0, len(videos), PAGE):
            await ledger.reconcile(videos[first : first + PAGE], then, "mp4")
        ids = [video.id for video in videos]
        await ledger.note_listing("account", len(ids), Instant(time.time() - DAY_S), ids)
    db = sqlite3.connect(Path(dest) / ".archiver" / "ledger.sqlite3")
    with db:
        places = db.execute("SELECT id, folder, stem FROM video").fetchall()
        db.execute("UPDATE job SET state = 'archived', due_at = NULL, asked_at = ?", (then,))
        for number, folder, stem in places:
            asked = replace(first_round(number, 1, then), state=JobState.ARCHIVED, due_at=NEVER)
            rows.insert_job(db, asked, then)
            path = f"{folder}/{stem}.mp4"
            db.execute(
                "INSERT INTO holding (video_id, kind, variant, version, path, bytes, sha256, "
                "stored_at, provenance) VALUES (?, 'video', 'mp4', 1, ?, 1, ?, ?, '{}')",
                (number, path, sha256, then),
            )
            place = Path(dest) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(CONTENT)
    db.close()


async def night(dest: str, vendor: Emulator, **options: bool) -> tuple[Summary, float]:
    """One run, and how many seconds it took."""
    account = Account(
        api_url=vendor.api_url, token_url=vendor.token_url, client_id=vendor.client_id,
        client_secret=Secret(vendor.client_secret),
    )  # fmt: skip
    began = time.monotonic()
    wanted = RunOptions(sources=(AccountSource(),), **options)  # type: ignore[arg-type]
    summary = await archive.run(dest, account, wanted, Listener(), anyio.Event())
    return summary, time.monotonic() - began


async def main(videos: int) -> int:
    """Make the archive, live through the nights, print what they cost."""
    config = EmulatorConfig(
        videos=videos, channels=2, playlists=0, size=(15_500, 60_000),
        newest_at=time.time() - 35 * DAY_S,
    )  # fmt: skip
    broken = 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as dest:
        async with Emulator(config) as vendor:
            began = time.monotonic()
            await make(dest, vendor)
            print(f"made {videos:,} archived videos in {time.monotonic() - began:.0f} s")
            # The first night writes manifest and inventory, which the makeshift archive lacks.
            await night(dest, vendor)
            vendor.world.add_video(title="New", now=time.time() - 3600)
            for name, new in (("one is new", 1), ("nothing is new", 0)):
                broken += told(name, await night(dest, vendor), videos + 1, new)
            broken += told("--full-listing", await night(dest, vendor, full_listing=True), 0, 0)
    return 1 if broken else 0


def told(name: str, ran: tuple[Summary, float], selected: int, new: int) -> int:
    """Print what a night cost; 1 where it was too much.  *selected* 0: nothing was promised."""
    summary, seconds = ran
    calls, rss_mib = summary.api_calls, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kept = not selected or (
        seconds <= SECONDS_MOST and calls.list <= CALLS_MOST and summary.exit_code == 0
        and summary.selected == selected and summary.archived == new
    )  # fmt: skip
    print(
        f"{name:<15} {seconds:6.1f} s  {calls.list:>5} listing calls  "
        f"{calls.request + calls.poll + calls.extras:>3} others  {summary.archived} archived of "
        f"{summary.selected:,} selected  {rss_mib:.0f} MiB  {'kept' if kept else 'BROKEN'}"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
