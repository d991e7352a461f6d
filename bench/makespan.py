"""A run against what nobody could beat, on virtual time: ``python bench/makespan.py``.

Two accounts of 100,000 videos, addresses that live for a day, files that take minutes to be made,
a line of 1 Gbit/s and 5,000 API calls an hour.  ``long``: 1.2 GB a video, log-normal, so that the
line binds; ``short``: 20 MB a video, so that the calls bind.  The decisions are the program's own;
vendor, line and time are arithmetic.  Exit code 1 where a promise was not kept.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.sim import marathon
from tests.sim.marathon import Measured

WORLDS = {"long": (marathon.long, 2.5), "short": (marathon.short, 2.1)}
RATIO_MOST = 1.05


def main() -> int:
    """Run the worlds, print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--world", choices=sorted(WORLDS), action="append")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kept = True
    for name in options.world or WORLDS:
        account, calls_most = WORLDS[name]
        began = time.process_time()
        measured = marathon.run(account(options.videos, options.seed))
        kept &= told(name, measured, calls_most)
        print(f"      CPU of the simulation {time.process_time() - began:33.1f} s\n")
    return 0 if kept else 1


def told(name: str, measured: Measured, calls_most: float) -> bool:
    """Print one world's figures; False where one is too large."""
    rows = [
        (f"{name}: makespan / lower bound", measured.ratio, RATIO_MOST),
        ("API calls a video", measured.calls_a_video, calls_most),
        ("versions that ran out", float(measured.expired), 0.0),
    ]
    for what, seen, most in rows:
        word = "ok  " if seen <= most else "FAIL"
        print(f"{word}  {what:<36} {seen:18.4f}   at most {most}")
    hours = {
        "makespan": measured.makespan_s,
        "bound: the line": measured.line_s,
        "bound: the calls": measured.calls_s,
        "bound: the slowest to be made": measured.made_s,
        "the line idle": measured.idle_s,
        "available to last byte, median": measured.latency_s(0.5),
        "available to last byte, 99 in 100": measured.latency_s(0.99),
    }
    for what, seconds in hours.items():
        print(f"      {what:<36} {seconds:18.1f} s = {seconds / 3600:9.3f} h")
    return all(seen <= most for _, seen, most in rows)


if __name__ == "__main__":
    sys.exit(main())
