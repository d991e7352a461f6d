"""Every signal that a person, a terminal, a pipe or a system sends to a run at work."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.crash.program import (
    PATIENCE_S,
    ROOT,
    Place,
    ended,
    is_complete,
    is_valid_bag,
    nothing_is_lost,
    requests_were_not_repeated,
    rows_of,
    vendor,
)
from tests.crash.test_stop import STOPPING_S, stopped, until
from tests.faults.process import command

SLOW = ["--videos", "4", "--size", "900k", "--generation", "0", "--line", "300k"]
# The disk hangs in every sync of a download, as a share does whose server is gone.
HANGING = """
import threading
from archiver.adapters.disk import Os
Os.fdatasync = lambda self, fd: threading.Event().wait()
"""


def state_of(process: subprocess.Popen[str]) -> str:
    """One letter, as ps shows it; T is stopped."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0]


@pytest.mark.parametrize(
    "again", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_the_second_signal_ends_a_run_whose_disk_hangs(
    tmp_path: Path, again: signal.Signals
) -> None:
    """At once, with code 5; what was acknowledged is there, and the next run completes."""
    with vendor(*SLOW) as them:
        place = Place(tmp_path, them.env)
        with place.process(*place.run_args(), first=HANGING) as process:
            until(process, lambda: them.get("stats")["bytes_sent"] > 200_000)
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            while process.poll() is None and time.monotonic() < began + STOPPING_S:
                process.send_signal(again)
                time.sleep(0.02)  # as a person would: until it has an effect
            process.kill()
            told = ended(process)
        assert told.code == 5, told.err
        assert "stopping" in told.err
        assert "does not answer" not in told.err, "it was not the second signal that ended it"
        nothing_is_lost(place)
        them.change(line_bytes_s=None)
        last = place.archiver(*place.run_args())
        assert last.code == 0, last.err
        is_complete(place, them, rows_of(place))
        requests_were_not_repeated(them)


@pytest.mark.slow
def test_a_disk_that_hangs_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    """One signal is enough: within its five seconds the run ends, saved or not."""
    with vendor(*SLOW) as them:
        place = Place(tmp_path, them.env)
        with place.process(*place.run_args(), first=HANGING) as process:
            until(process, lambda: them.get("stats")["bytes_sent"] > 200_000)
            told = stopped(process, signal.SIGTERM)
        assert (told.code, "the disk does not answer" in told.err) == (5, True), told.err
        nothing_is_lost(place)
        them.change(line_bytes_s=None)
        assert place.archiver(*place.run_args()).code == 0
        is_complete(place, them, rows_of(place))


@pytest.mark.parametrize("log", ["json", pytest.param("text", marks=pytest.mark.slow)])
def test_readers_that_go_away_do_not_stop_downloads(tmp_path: Path, log: str) -> None:
    """`archiver run … 2>&1 | head`: both pipes are broken, and the run comes to its end, code 0."""
    with vendor("--videos", "4", "--size", "50k", "--generation", "0-0.3") as them:
        place = Place(tmp_path, them.env)
        args = [arg.replace("json", log) if arg != "--json" else arg for arg in place.run_args()]
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [*command(), *args, "--verbose"], cwd=place.cwd, stdout=write, stderr=write,
            env={**place.environment, "PYTHONPATH": str(ROOT)}, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        os.close(write)
        assert done.returncode == 0
        is_complete(place, them, rows_of(place))


@pytest.mark.slow
def test_a_run_that_slept_looks_at_its_deadlines_again(tmp_path: Path) -> None:
    """Ctrl-Z until every address has run out, then `fg`: asked for again, and completed.

    What a host sent meanwhile is taken; here it breaks off, too.
    """
    options = ["--videos", "3", "--size", "400k", "--generation", "0", "--window", "2s"]
    with vendor(*options, "--line", "100k", "--fault", "reset-mid-body*3") as them:
        place = Place(tmp_path, them.env)
        with place.process(*place.run_args(), process_group=0) as process:
            until(process, lambda: them.get("stats")["bytes_sent"] > 50_000)
            process.send_signal(signal.SIGTSTP)
            until(process, lambda: state_of(process) == "T")
            woken_at = time.monotonic() + 2.5
            until(process, lambda: time.monotonic() > woken_at)
            them.change(line_bytes_s=None)
            process.send_signal(signal.SIGCONT)
            told = ended(process)
        assert (told.code, told.summary["outcome"]) == (0, "complete"), told.err
        assert them.get("stats")["posts"] > 3, "nothing had run out: the test proves nothing"
        is_complete(place, them, rows_of(place))


def test_the_kernel_kills_a_run_and_the_next_one_knows(tmp_path: Path) -> None:
    """As the OOM killer does: no code 0, the lock is free, and what is to be done is done."""
    with vendor(*SLOW) as them:
        place = Place(tmp_path, them.env)
        with place.process(*place.run_args()) as process:
            until(process, lambda: them.get("stats")["bytes_sent"] > 100_000)
            process.kill()
            assert ended(process).code == -signal.SIGKILL
        them.change(line_bytes_s=None)
        last = place.archiver(*place.run_args())
        assert last.code == 0, last.err
        assert "the last run was cut off" in last.err
        is_complete(place, them, rows_of(place))
        again = place.archiver(*place.run_args())
        assert (again.code, "cut off" in again.err) == (0, False), again.err
        requests_were_not_repeated(them)


@pytest.mark.slow
def test_a_limit_on_file_sizes_is_an_error_and_no_signal(tmp_path: Path) -> None:
    """SIGXFSZ would kill; it is that video's failure with a reason, and the bag stays valid."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    with vendor("--videos", "1", "--size", "900k", "--generation", "0") as them:
        place = Place(tmp_path, them.env)
        told = place.archiver(*place.run_args(), preexec_fn=limited)
        assert (told.code, told.summary["videos"]["parked"]) == (1, 1), told.err
        assert "too large for this file system" in told.err
        is_valid_bag(place.dest)
        assert place.archiver(*place.run_args()).code == 0
