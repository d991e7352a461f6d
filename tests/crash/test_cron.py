"""Run by cron, by a script, or from a strange terminal: nothing around it, and nobody to ask."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.program import (
    PATIENCE_S,
    ROOT,
    Place,
    Result,
    Vendor,
    is_alone,
    is_complete,
    rows_of,
    vendor,
)
from tests.faults.process import command

SMALL = ["--videos", "2", "--size", "20k", "--generation", "0", "--channels", "1"]
TITLES = ("Grüße \U0001f3ac 東京", "zero\u200bwidth \x1b[2J\u202e \ud800", "e\u0301t\u00e9")


@pytest.fixture(scope="module")
def them() -> Iterator[Vendor]:
    """A vendor of two small videos, and of three with titles that not every terminal can show."""
    with vendor(*SMALL) as one:
        one.change(add=[{"title": title} for title in TITLES])
        yield one


def bare(place: Place, *args: str, first: str = "", **env: str) -> Result:
    """``env -i``: the program with no terminal, no home, no PATH, no language; and *env*."""
    around = {**place.env, **env, "PYTHONPATH": str(ROOT)}
    settings = [f"{name}={value}" for name, value in around.items()]
    done = subprocess.run(
        ["env", "-i", *settings, *command(first), *args],
        cwd=place.cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S,
        start_new_session=True, check=False,
    )  # fmt: skip
    encoding = env.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    return Result(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))


def test_nothing_around_it_is_enough(tmp_path: Path, them: Vendor) -> None:
    """No prompt, no colour, no bar; a line for each video; nothing written but the archive."""
    place = Place(tmp_path, them.env)
    told = bare(place, "run", "account", "--to", str(place.dest))
    assert told.code == 0, told.err
    assert "\x1b" not in told.err + told.out
    assert "\r" not in told.err
    lines = [line for line in told.err.splitlines() if " archived " in line]
    assert len(lines) == 5
    assert all(re.match(r"\d\d:\d\d:\d\d archived +\S", line) for line in lines)
    assert told.out.startswith("Archived 5 videos")
    is_complete(place, them, rows_of(place))


@pytest.mark.slow
def test_quiet_says_nothing_when_all_is_well_and_enough_when_it_is_not(tmp_path: Path) -> None:
    """cron mails what is printed: nothing on a good night, at most 50 lines with what to do."""
    with vendor("--videos", "70", "--size", "20k", "--generation", "0") as them:
        place = Place(tmp_path, them.env)
        args = ["run", "account", "--to", str(place.dest), "--quiet"]
        for _ in range(2):
            good = bare(place, *args)
            assert (good.code, good.out, good.err) == (0, "", "")
        for number in (video["id"] for video in them.get("videos")):
            them.change(replace={"id": number, "size": 30_000})
        them.change(faults=["denied@" + video["id"] for video in them.get("videos")[:4]])
        bad = bare(place, *args, "--accept-replaced")
        assert bad.code == 1, bad.err
        assert 0 < len((bad.out + bad.err).splitlines()) <= 50
        assert "parked" in bad.out
        assert "denies" in bad.out
        them.change(faults=["denied!"])
        worse = bare(place, *args)
        assert worse.code in (1, 3), worse.err
        assert 0 < len((worse.out + worse.err).splitlines()) <= 50


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"LC_ALL": "C"}, marks=pytest.mark.slow),
        pytest.param({"PYTHONIOENCODING": "cp1252"}, marks=pytest.mark.slow),
        # As with a locale of the last century: names of files are in its encoding, too.
        pytest.param(
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, marks=pytest.mark.slow
        ),
    ],
    ids=["C", "cp1252", "ascii names"],
)
def test_no_title_fails_a_terminal_that_cannot_show_it(
    tmp_path: Path, them: Vendor, env: dict[str, str]
) -> None:
    """Names on the disk are UTF-8 in any case; on the screen there are escapes."""
    place = Place(tmp_path, them.env)
    told = bare(place, "run", "account", "--to", str(place.dest), "--verbose", **env)
    assert told.code == 0, told.err
    for args in (["list"], ["list", "--json"], ["status"]):
        answer = bare(place, args[0], str(place.dest), *args[1:], **env)
        assert (answer.code, answer.err) == (0, ""), answer
        assert "\x1b" not in answer.out
        assert "\u202e" not in answer.out
    names = {path.stem for path in (place.dest / "data").rglob("*.mp4")}
    assert any("Grüße \U0001f3ac 東京" in name for name in names)
    is_complete(place, them, rows_of(place))


def run(place: Place, *options: str, first: str = "", **env: str) -> Result:
    """The nightly command."""
    args = ["run", "account", "--to", str(place.dest), "--json", *options]
    if first:
        return bare(place, *args, first=first)
    return Place(place.root, {**place.env, **env}).archiver(*args)


def verify_changed(place: Place) -> Result:
    """A file that somebody wrote to."""
    assert run(place).code == 0
    next((place.dest / "data").rglob("*.mp4")).write_bytes(b"changed")
    return place.archiver("verify", str(place.dest), "--json")


def run_as_nobody(place: Place) -> Result:
    """No credentials at all."""
    place.env = {k: v for k, v in place.env.items() if not k.startswith("ARCHIVER_CLIENT")}
    return run(place)


def run_into_a_file(place: Place) -> Result:
    """No folder."""
    place.dest.write_text("mine")
    return run(place)


@pytest.mark.parametrize(
    ("case", "code"),
    [
        (run, 0),
        (verify_changed, 1),
        (lambda place: run(place, "--downloads", "none"), 2),
        (lambda place: run(place, ARCHIVER_API_URL="http://far.example"), 2),
        (lambda place: run(place, ARCHIVER_CLIENT_SECRET="wrong"), 3),
        (run_as_nobody, 3),
        (run_into_a_file, 4),
        (lambda place: run(place, "--max-duration", "0s"), 5),
        (lambda place: run(place, first="import archiver.night; archiver.night._Night = None"), 70),
    ],
    ids=[
        "done", "changed", "usage", "settings", "secret", "nobody", "destination", "time", "bug"
    ],
)  # fmt: skip
def test_every_exit_code_of_the_contract(
    tmp_path: Path, them: Vendor, case: Callable[[Place], Result], code: int
) -> None:
    """Each by a real process, with its sentence; a traceback for our own bugs alone."""
    place = Place(tmp_path, dict(them.env))
    told = case(place)
    assert told.code == code, told
    assert ("Traceback" in told.err) == (code == 70)
    if told.out:
        assert json.loads(told.out).get("exit_code", code) == code
    assert told.err.strip() or code == 1  # what `verify` found is in its object
    is_alone(place)
