"""Two at a time on one archive: one changes it, any number look."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.program import Place, Warm, ended, is_complete, is_valid_bag, rows_of, vendor
from tests.crash.test_kill import catalogue
from tests.crash.test_stop import until

SLOW = ["--videos", "12", "--size", "200k", "--generation", "0-2", "--line", "300k"]
SMALL = ["--videos", "2", "--size", "20k", "--generation", "0"]


@contextmanager
def at_work(place: Place) -> Iterator[subprocess.Popen[str]]:
    """A run that has archived something and has more to do."""
    with place.process(*place.run_args("--downloads", "1")) as process:
        until(process, lambda: any(place.dest.glob("data/*/*/*/*.mp4")))
        yield process


def test_a_second_run_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    """The second one ends with 4 and names the first; questions are answered meanwhile."""
    with vendor(*SLOW) as them:
        place = Place(tmp_path, them.env)
        another = Warm(place)
        with at_work(place) as first:
            second = another.run(*place.run_args())
            retry = another.run("retry", str(place.dest))
            status = another.run("status", str(place.dest), "--json")
            verify = another.run("verify", str(place.dest), "--json")
            listed = catalogue(place, another)
            assert first.poll() is None, "the first run was over too soon"
            them.change(line_bytes_s=None)
            done = ended(first)
        for refused in (second, retry):
            assert refused.code == 4, refused.err
            assert f"pid {first.pid}" in refused.err
        assert second.summary["outcome"] == "refused"
        assert json.loads(status.out)["running"] == first.pid
        assert (verify.code, json.loads(verify.out)["missing"]) == (0, [])
        assert {row["id"] for row in listed} == {video["id"] for video in them.get("videos")}
        assert done.code == 0, done.err
        is_complete(place, them, rows_of(place))


@pytest.mark.slow
def test_two_first_runs_make_one_archive(tmp_path: Path) -> None:
    """Started in the same moment on a place that is not there yet: one works, one is refused."""
    with vendor(*SMALL) as them:
        place = Place(tmp_path, them.env)
        with place.process(*place.run_args()) as one, place.process(*place.run_args()) as other:
            results = [ended(one), ended(other)]
        assert sorted(result.code for result in results) in ([0, 4], [0, 0]), results
        assert all("Traceback" not in result.err for result in results)
        is_complete(place, them, rows_of(place))


@pytest.mark.slow
def test_what_a_reader_leaves_is_harmless(tmp_path: Path) -> None:
    """SQLite's own files stay beside the ledger until the next change; a copy of all is whole."""
    with vendor(*SMALL) as them:
        place = Place(tmp_path, them.env)
        assert place.archiver(*place.run_args()).code == 0
        before = rows_of(place)
        copy = Place(tmp_path / "elsewhere", them.env)
        shutil.copytree(place.dest, copy.dest)
        assert rows_of(copy) == before
        for where in (place, copy):
            assert where.archiver("retry", str(where.dest)).code == 0
            names = {path.name for path in (where.dest / ".archiver").iterdir()}
            assert names == {"archive-id", "damaged", "ledger.sqlite3", "lock", "parts"}
            is_valid_bag(where.dest)
