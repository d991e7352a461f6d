"""How long a run takes to end when it is asked to: ``python -m bench.stop [DOWNLOADS] [TIMES]``.

The built-in emulator feeds so many downloads (16) at a time; SIGTERM comes when all of them move.
Prints each time from the signal to the exit.  Exit code 1 where one was over the promised 5 s.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time

from bench.pipeline import ARCHIVER, emulator

PROMISED_S = 5.0


def stopped_s(downloads: int) -> float:
    """Seconds from SIGTERM to the exit of one run in full swing."""
    options = ("--videos", str(downloads), "--size", "40M", "--generation", "0", "--line", "40M")
    with emulator(*options) as vendor, tempfile.TemporaryDirectory() as dest:
        hands = ("--downloads", str(downloads), "--requests", str(downloads))
        command = [*ARCHIVER, "run", "account", "--to", dest, "--quiet", *hands]
        with subprocess.Popen(command, env=vendor.env, stdout=subprocess.DEVNULL) as process:
            while (seen := vendor.stats())["downloads"] < downloads or seen["bytes_sent"] < 40e6:
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            code = process.wait()
            took_s = time.monotonic() - began
        if code != 5:
            raise SystemExit(f"the run ended with {code}, not 5")
        return took_s


def main() -> int:
    """Measure, print, judge."""
    given = [int(word) for word in sys.argv[1:]]
    downloads, times = (*given, *(16, 5)[len(given) :])
    took = [stopped_s(downloads) for _ in range(times)]
    shown = " ".join(f"{seconds:.2f}" for seconds in took)
    print(f"{downloads} downloads, SIGTERM to exit, s: {shown}; worst {max(took):.2f} (< 5)")
    return int(max(took) >= PROMISED_S)


if __name__ == "__main__":
    sys.exit(main())
