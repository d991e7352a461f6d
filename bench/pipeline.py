"""The promises of a run, measured on real processes and sockets: ``python bench/pipeline.py``.

Each scenario starts the built-in emulator in a process of its own, runs the real program against
it, and compares what the emulator counted with what was promised.  Exit code 1 where a promise
was not kept.  Name scenarios as arguments to run only those.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

ARCHIVER = [sys.executable, "-m", "archiver"]


@dataclass
class Vendor:
    """A running emulator."""

    env: dict[str, str]

    def stats(self) -> dict[str, Any]:
        """What it counted."""
        with urllib.request.urlopen(self.env["ARCHIVER_API_URL"] + "/_emulator/stats") as answer:
            return dict(json.load(answer))


@dataclass
class Ran:
    """One run of the program."""

    code: int
    summary: dict[str, Any]
    wall_s: float
    cpu_s: float
    rss_mib: float


@dataclass
class Score:
    """Promises, and whether they were kept."""

    rows: list[tuple[str, str, bool]] = field(default_factory=list)

    def promise(self, what: str, seen: object, kept: bool) -> None:
        """Note one."""
        self.rows.append((what, str(seen), kept))


@contextlib.contextmanager
def emulator(*options: str) -> Iterator[Vendor]:
    """Start an emulator, stop it at the end."""
    process = subprocess.Popen(
        [*ARCHIVER, "emulator", "--json", *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        env = json.loads(process.stdout.readline())["env"]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ARCHIVER_")}
        yield Vendor({**clean, **env})
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def run(vendor: Vendor, dest: str, *options: str) -> Ran:
    """Archive the whole account into *dest*."""
    command = [*ARCHIVER, "run", "account", "--to", dest, "--json", "--quiet", *options]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(command, env=vendor.env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    process.stdout.close()
    del before
    return Ran(
        process.returncode, json.loads(text.splitlines()[-1]), wall,
        used.ru_utime + used.ru_stime, used.ru_maxrss / 1024,
    )  # fmt: skip


def sixty(score: Score) -> None:
    """60 videos, 0.3-2 s of generation."""
    options = ("--videos", "60", "--generation", "0.3-2")
    with emulator(*options) as vendor, tempfile.TemporaryDirectory() as dest:
        first = run(vendor, dest)
        stats = vendor.stats()
        score.promise("60 videos: archived", first.summary["videos"]["archived"], first.code == 0)
        score.promise("  POSTs (60)", stats["posts"], stats["posts"] == 60)
        score.promise("  polls a video (<= 2)", stats["polls"] / 60, stats["polls"] <= 120)
        fetched, size = first.summary["bytes"]["downloaded"], first.summary["bytes"]["archived"]
        score.promise("  bytes fetched / archived (1)", fetched / size, fetched == size)
        second = run(vendor, dest)
        calls = second.summary["api_calls"]
        asked = {k: v for k, v in calls.items() if v}
        score.promise("  second run: listing calls only", asked, set(asked) <= {"list", "token"})
        score.promise("  wall s, first and second", f"{first.wall_s:.1f} {second.wall_s:.1f}", True)


def tight(score: Score) -> None:
    """80 videos of 1-4 MB, a line of 6 MB/s, a window of 8 s."""
    options = ("--videos", "80", "--size", "1M-4M", "--line", "6M", "--window", "8s")
    with emulator(*options) as vendor, tempfile.TemporaryDirectory() as dest:
        ran = run(vendor, dest)
        stats, summary = vendor.stats(), ran.summary
        line_s = summary["bytes"]["archived"] / (6 << 20)
        score.promise(
            "80 videos, 8 s window: archived", summary["videos"]["archived"], ran.code == 0
        )
        lost = stats["expired"] / max(1, stats["versions"])
        score.promise("  versions run out (< 5 %)", f"{lost:.1%}", lost < 0.05)
        score.promise("  ... as the program counts", summary["expired"], True)
        ratio = summary["seconds"] / line_s
        score.promise("  time / the line's own (< 1.3)", f"{ratio:.2f}", ratio < 1.3)
        extra = summary["bytes"]["downloaded"] / summary["bytes"]["archived"]
        score.promise("  bytes fetched / archived", f"{extra:.3f}", True)


def scale(score: Score) -> None:
    """500 and 5,000 videos of 4 KB: memory, and CPU a video."""
    cpu = {}
    for count in (500, 5000):
        options = ("--videos", str(count), "--size", "4k-4k", "--generation", "0.05-0.2")
        with emulator(*options) as vendor, tempfile.TemporaryDirectory() as dest:
            ran = run(vendor, dest)
            cpu[count] = ran.cpu_s / count
            archived = ran.summary["videos"]["archived"]
            score.promise(f"{count} videos of 4 KB: archived", archived, archived == count)
            score.promise("  wall s", f"{ran.wall_s:.1f}", True)
            score.promise("  peak memory MiB (< 143)", f"{ran.rss_mib:.0f}", ran.rss_mib < 143)
            score.promise("  CPU ms a video", f"{cpu[count] * 1000:.2f}", True)
    growth = cpu[5000] / cpu[500]
    score.promise("CPU a video, 5,000 / 500 (<= 1)", f"{growth:.2f}", growth <= 1.1)


def line_binds(score: Score) -> None:
    """120 videos of 2-6 MB over 12 MB/s, files made in 0.5-2 s, a window of 20 s."""
    options = ("--videos", "120", "--size", "2M-6M", "--line", "12M", "--generation", "0.5-2")
    bound(score, "line", 20, 2.5, *options)


def calls_bind(score: Score) -> None:
    """600 videos of 4 KB at 100 calls in two seconds, files made in 0.5-2 s, a window of 20 s."""
    options = ("--videos", "600", "--size", "4k-4k", "--rate-limit", "100/2s")
    bound(score, "calls", 20, 2.1, *options, "--generation", "0.5-2")


def bound(score: Score, name: str, window_s: int, calls_most: float, *options: str) -> None:
    """One run against what nobody could beat: bytes over the line, or two calls a video."""
    window = ("--window", f"{window_s}s")
    with emulator(*options, *window) as vendor, tempfile.TemporaryDirectory() as dest:
        ran = run(vendor, dest, "--no-extras")
        stats, summary = vendor.stats(), ran.summary
        latencies = sorted(from_ready_to_fetched(dest, window_s))
    archived, calls = summary["videos"]["archived"], stats["posts"] + stats["polls"]
    counted = stats["lists"] + 2 * archived
    bounds = {
        "line": summary["bytes"]["archived"] / (12 << 20),
        "calls": (math.ceil(counted / 100) - 1) * 2.0,
    }
    ratio = summary["seconds"] / bounds[name]
    score.promise(f"bound by the {name}: archived", archived, ran.code == 0)
    score.promise(
        "  seconds, and the lower bound", f"{summary['seconds']:.1f} {bounds[name]:.1f}", True
    )
    score.promise("  ... the one by the other (<= 1.3)", f"{ratio:.2f}", ratio <= 1.3)
    each = calls / archived
    score.promise(f"  calls a video (<= {calls_most})", f"{each:.2f}", each <= calls_most)
    score.promise("  versions run out (0)", stats["expired"], stats["expired"] == 0)
    middle, late = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    score.promise("  available to last byte s: half, 99 %", f"{middle:.1f} {late:.1f}", True)
    if name == "line":
        idle = 1.0 - bounds[name] / summary["seconds"]
        score.promise("  the line idle", f"{idle:.1%}", True)


def from_ready_to_fetched(dest: str, window_s: float) -> Iterator[float]:
    """For each file the seconds from when the vendor had made it to its last byte here."""
    ready: dict[int, float] = {}
    with contextlib.closing(sqlite3.connect(f"{dest}/.archiver/ledger.sqlite3")) as db:
        rows = db.execute("SELECT at, video_id, name, payload FROM event ORDER BY id").fetchall()
    for at, video_id, name, payload in rows:
        if name == "Available":
            ready[video_id] = json.loads(payload)["link"]["expires_at"] - window_s
        elif name == "Fetched":
            yield at - ready[video_id]


SCENARIOS: dict[str, Callable[[Score], None]] = {
    "sixty": sixty, "tight": tight, "line": line_binds, "calls": calls_bind, "scale": scale,
}  # fmt: skip


def main() -> int:
    """Run the scenarios that are named, or all."""
    score = Score()
    for name in sys.argv[1:] or list(SCENARIOS):
        SCENARIOS[name](score)
    for what, seen, kept in score.rows:
        print(f"{'ok  ' if kept else 'FAIL'}  {what:<40} {seen}")
    return 0 if all(kept for _, _, kept in score.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
