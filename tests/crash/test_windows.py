"""The moments between two truths: where the disk and the ledger differ, the next run heals it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.program import (
    Place,
    Vendor,
    Warm,
    is_complete,
    is_valid_bag,
    requests_were_not_repeated,
    vendor,
)
from tests.crash.test_kill import catalogue

ONE = ["--videos", "1", "--size", "300k", "--generation", "0"]
RENAME = "rename_noreplace"


@pytest.fixture
def them() -> Iterator[Vendor]:
    """A vendor of one video."""
    with vendor(*ONE) as one:
        yield one


def asked(place: Place, query: str) -> list[tuple[object, ...]]:
    """Look into the ledger."""
    with closing(sqlite3.connect(place.dest / ".archiver" / "ledger.sqlite3")) as db:
        return db.execute(query).fetchall()


def part(place: Place) -> Path:
    """The one unfinished download."""
    (found,) = (place.dest / ".archiver" / "parts").glob("*.part")
    return found


def killed_when_fetched(program: Warm, rename: int = 1) -> Place:
    """A whole download that was recorded and has no final name: 1: no sidecar yet, 2: with one."""
    place = program.place
    assert program.run(*place.run_args(), fuse=rename, on=RENAME).code == -9
    assert asked(place, "SELECT state FROM job") == [("fetched",)]
    return place


def killed_on_the_way(program: Warm, them: Vendor) -> Place:
    """A download of which the first stretch is durable and recorded."""
    place = program.place
    them.change(faults=["cut-with-length*1"])
    # The sixth mode, after five tag files', is the whole file's, right before its sync.
    assert program.run(*place.run_args(), fuse=6, on="chmod").code == -9
    (saved,) = asked(place, "SELECT saved_bytes FROM job")[0]
    assert isinstance(saved, int)
    assert 0 < saved < 300_000
    assert part(place).stat().st_size >= saved
    return place


def finished(program: Warm, them: Vendor) -> None:
    last = program.run(*program.place.run_args())
    assert last.code == 0, last.err
    is_complete(program.place, them, catalogue(program.place, program))
    requests_were_not_repeated(them)


def gone(path: Path) -> None:
    path.unlink()


def shorter(path: Path) -> None:
    os.truncate(path, 10)


def other(path: Path) -> None:
    path.write_bytes(b"?" * path.stat().st_size)


def link(path: Path) -> None:
    outside = path.parents[3] / "cwd" / "mine"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


@pytest.mark.parametrize(
    ("rename", "spoil"),
    [
        (2, None), (1, link),
        *(pytest.param(*more, marks=pytest.mark.slow)
          for more in ((1, None), (1, gone), (2, gone), (1, shorter), (2, shorter), (1, other),
                       (2, other), (2, link))),
    ],
)  # fmt: skip
def test_a_download_that_was_complete(
    program: Warm, them: Vendor, rename: int, spoil: Callable[[Path], None] | None
) -> None:
    """It gets its name without a byte from the vendor; if it was spoilt, it is fetched again."""
    place = killed_when_fetched(program, rename)
    sent = them.get("stats")["bytes_sent"]
    if spoil is None:
        assert program.run("retry", str(place.dest)).code == 0
        is_valid_bag(place.dest)
        assert asked(place, "SELECT state FROM job") == [("archived",)]
    else:
        spoil(part(place))
        assert program.run("retry", str(place.dest)).code == 0
        if spoil is link:
            mine = place.cwd / "mine"
            assert mine.stat().st_size == 300_000
            mine.unlink()
    finished(program, them)
    assert them.get("stats")["bytes_sent"] - sent == (0 if spoil is None else 300_000)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(gone, marks=pytest.mark.slow),
        shorter,
        pytest.param(link, marks=pytest.mark.slow),
    ],
)
def test_a_part_that_is_not_what_the_ledger_says(
    program: Warm, them: Vendor, spoil: Callable[[Path], None]
) -> None:
    """Missing, cut off, or no file of ours: it is begun anew, and nothing outside is touched."""
    place = killed_on_the_way(program, them)
    spoil(part(place))
    mine = place.cwd / "mine"
    before = mine.read_bytes() if mine.exists() else b""
    last = program.run(*place.run_args())
    if mine.exists():
        assert mine.read_bytes() == before
        mine.unlink()
    assert last.code == 0, last.err
    finished(program, them)


def test_a_part_longer_than_the_ledger_says_is_cut_back(program: Warm, them: Vendor) -> None:
    """Bytes that came after the last sync may be anything after a power cut."""
    place = killed_on_the_way(program, them)
    with part(place).open("ab") as file:
        file.write(b"?" * 1000)
    finished(program, them)


def test_a_name_that_is_taken_stays_with_its_owner(program: Warm, them: Vendor) -> None:
    """Somebody put a file there between the kill and the next run: ours gets another name."""
    place = killed_when_fetched(program, rename=2)
    (info,) = place.dest.rglob("*.info.json")
    strange = info.with_name(info.name.replace(".info.json", ".mp4"))
    strange.write_text("mine")
    last = program.run(*place.run_args())
    assert last.code == 0, last.err
    assert strange.read_text() == "mine"
    (row,) = catalogue(place, program)
    assert str(row["path"]).endswith(" (2).mp4")
    strange.unlink()
    is_complete(place, them, [row])


@pytest.mark.slow
def test_a_file_deleted_by_hand_is_missed_and_not_fetched_in_silence(
    program: Warm, them: Vendor
) -> None:
    """`run` does only what is missing in its books; `verify` says what is missing on the disk."""
    place = program.place
    assert program.run(*place.run_args()).code == 0
    (row,) = catalogue(place, program)
    path = place.dest / str(row["path"])
    kept = path.read_bytes()
    path.unlink()
    place.acknowledged.clear()
    again = program.run(*place.run_args())
    assert (again.code, again.summary["videos"]["already_archived"]) == (0, 1)
    verify = program.run("verify", str(place.dest))
    assert (verify.code, "missing" in verify.out) == (1, True)
    path.write_bytes(kept)
    finished(program, them)


@pytest.mark.parametrize("rename", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_replaced_video_killed_on_its_way_leaves_the_old_one_alone(
    program: Warm, them: Vendor, rename: int
) -> None:
    """The second version stands beside the first, whatever came in between."""
    place = program.place
    assert program.run(*place.run_args()).code == 0
    (old,) = catalogue(place, program)
    them.change(replace={"id": old["id"], "size": 310_000, "length_s": 61.0})
    assert program.run(*place.run_args(), fuse=rename, on=RENAME).code == -9
    assert program.run("retry", str(place.dest)).code == 0
    is_valid_bag(place.dest)
    assert program.run(*place.run_args()).code == 0
    is_valid_bag(place.dest)
    first, second = catalogue(place, program)
    assert first == old
    assert (second["version"], second["bytes"]) == (2, 310_000)
    assert str(second["path"]).endswith(" v2.mp4")


@pytest.mark.slow
def test_what_a_kill_left_among_the_parts_is_cleared(program: Warm, them: Vendor) -> None:
    """Small files on their way, and parts that nobody continues."""
    place = killed_when_fetched(program)
    parts = place.dest / ".archiver" / "parts"
    for name in ("abc.tmp", "9.mp4.v1.part", "probe-1.tmp"):
        (parts / name).write_text("left")
    (parts / "link").symlink_to(place.root / "said")
    finished(program, them)
    assert list(parts.iterdir()) == []
    assert (place.root / "said").is_dir()


@pytest.mark.slow
def test_an_archive_that_was_copied_goes_on(program: Warm, them: Vendor) -> None:
    """After a kill, a copy of all files is as good as the original: the log is among them."""
    place = killed_when_fetched(program)
    copy = Place(place.root / "elsewhere", them.env)
    shutil.copytree(place.dest, copy.dest)
    program.place = copy
    finished(program, them)
