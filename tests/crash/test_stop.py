"""Asked to stop, with everything in full swing: code 5, nothing lost, and a way to go on."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.crash.program import (
    PATIENCE_S,
    Place,
    Result,
    Vendor,
    ended,
    is_complete,
    is_valid_bag,
    requests_were_not_repeated,
    rows_of,
    vendor,
)

STOPPING_S = 8.0  # five are promised; the rest is for a machine that has more to do
OTHERS = (signal.SIGINT, signal.SIGHUP)


def until(process: subprocess.Popen[str], is_so: Callable[[], bool]) -> None:
    """Wait for a moment in a running program's life."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)  # until it is so


def stopped(process: subprocess.Popen[str], number: signal.Signals) -> Result:
    """Send a signal; it has to end soon."""
    process.send_signal(number)
    try:
        process.wait(STOPPING_S)
    finally:
        process.kill()
    return ended(process)


def saved_bytes(place: Place) -> list[int]:
    """What the ledger knows to be durable of each file that is on its way."""
    ledger = place.dest / ".archiver" / "ledger.sqlite3"
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        found = db.execute("SELECT saved_bytes FROM job WHERE state <> 'archived'").fetchall()
    return [count for (count,) in found]


def test_sixteen_downloads_are_stopped_and_go_on(tmp_path: Path) -> None:
    """What came is synced and recorded; the next run asks for the rest alone."""
    options = ["--videos", "16", "--size", "900k-1M", "--generation", "0", "--line", "2M"]
    with vendor(*options) as them:
        place = Place(tmp_path, them.env)
        args = place.run_args("--downloads", "16", "--requests", "16", "--no-progress")
        with place.process(*args) as process:
            until(process, lambda: them.get("stats")["bytes_sent"] > 16 * 60_000)
            assert them.get("stats")["downloads"] == 16
            first = stopped(process, signal.SIGTERM)
        assert (first.code, first.summary["outcome"]) == (5, "stopped"), first.err
        assert "stopping" in first.err
        assert "Traceback" not in first.err
        is_valid_bag(place.dest)
        kept = saved_bytes(place)
        assert len(kept) == 16
        assert sum(kept) > 0
        assert first.summary["bytes"]["downloaded"] == sum(kept)
        them.change(line_bytes_s=None)
        last = place.archiver(*place.run_args())
        assert last.code == 0, last.err
        is_complete(place, them, rows_of(place))
        requests_were_not_repeated(them)
        sizes = sum(video["size"] for video in them.get("videos"))
        assert last.summary["bytes"]["downloaded"] <= sizes - sum(kept) + 16 * 65_536
        assert them.get("stats")["ranges"] == sum(count > 0 for count in kept)


@pytest.mark.slow
def test_a_person_is_told_how_to_go_on(tmp_path: Path) -> None:
    """Without --json, in one line."""
    with vendor("--videos", "2", "--size", "900k", "--generation", "0", "--line", "100k") as them:
        place = Place(tmp_path, them.env)
        with place.process("run", "account", "--to", str(place.dest)) as process:
            until(process, lambda: them.get("stats")["bytes_sent"] > 0)
            told = stopped(process, signal.SIGTERM)
        assert told.code == 5
        assert "Nothing is lost; run the same command to go on." in told.out


@contextmanager
def silent_vendor() -> Iterator[tuple[Vendor, Callable[[], bool]]]:
    """A vendor that takes a connection and never answers, and whether it was called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        server.setblocking(False)
        lines: list[socket.socket] = []

        def called() -> bool:
            try:
                lines.append(server.accept()[0])
            except BlockingIOError:
                return False
            return True

        secrets = {"ARCHIVER_CLIENT_ID": "id", "ARCHIVER_CLIENT_SECRET": "not used"}
        env = {"ARCHIVER_API_URL": url, "ARCHIVER_TOKEN_URL": f"{url}/token", **secrets}
        try:
            yield Vendor(url, env), called
        finally:
            for line in lines:
                line.close()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.slow) for each in OTHERS)]
)
def test_stopped_while_it_signs_in(tmp_path: Path, number: signal.Signals) -> None:
    """Nothing was listed, so nothing is complete."""
    with silent_vendor() as (them, called):
        place = Place(tmp_path, them.env)
        with place.process(*place.run_args()) as process:
            until(process, called)
            told = stopped(process, number)
        assert (told.code, told.summary["outcome"]) == (5, "stopped"), told.err
        assert told.summary["exit_code"] == 5
        is_valid_bag(place.dest)


@pytest.mark.slow
def test_stopped_while_it_lists(tmp_path: Path) -> None:
    """Even where each video that was listed so far is archived."""
    with vendor("--videos", "4", "--size", "20k", "--generation", "0") as them:
        place = Place(tmp_path, them.env)
        assert place.archiver(*place.run_args()).code == 0
        lists = them.get("stats")["lists"]
        them.change(faults=["slow-answer!"])
        with place.process(*place.run_args()) as process:
            until(process, lambda: them.get("stats")["lists"] > lists)
            told = stopped(process, signal.SIGTERM)
        assert (told.code, told.summary["outcome"]) == (5, "stopped"), told.err
