"""Every kind of place that a person may name, and every way in which it may refuse."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.program import (
    Place,
    Result,
    Vendor,
    Warm,
    is_alone,
    is_complete,
    is_valid_bag,
    rows_of,
    vendor,
)

SMALL = ["--videos", "2", "--size", "20k", "--generation", "0"]


@pytest.fixture(scope="module")
def them() -> Iterator[Vendor]:
    """A vendor of two small videos."""
    with vendor(*SMALL) as one:
        yield one


def run(program: Warm, dest: str | Path, cwd: Path | None = None) -> Result:
    return program.run("run", "account", "--to", str(dest), "--json", cwd=cwd)


def is_refused(result: Result) -> None:
    """Code 4, for programs an object, and for people one sentence that says what to do."""
    assert (result.code, result.summary["outcome"]) == (4, "refused"), result.err
    lines = [line for line in result.err.splitlines() if line.startswith("archiver: ")]
    assert len(lines) == 1
    assert lines[0].endswith(".")
    assert "Traceback" not in result.err


@pytest.mark.slow
def test_a_folder_is_the_same_by_any_name(program: Warm, them: Vendor) -> None:
    """A slash at the end, a relative path, a link to it, and the folder in which one stands."""
    place = program.place
    assert run(program, f"{place.dest}/").summary["videos"]["archived"] == 2
    (place.root / "link").symlink_to("archive")
    (place.root / "one" / "two").mkdir(parents=True)
    for name, cwd in (
        ("../archive", place.cwd), ("../../archive/", place.root / "one" / "two"),
        (".", place.dest), ("./data/..", place.dest), ("archive", place.root),
        (str(place.root / "link"), place.cwd), ("link/", place.root),
    ):  # fmt: skip
        again = run(program, name, cwd)
        assert again.summary["videos"]["already_archived"] == 2, (name, again.err)
    is_complete(place, them, rows_of(place))


@pytest.mark.slow
def test_missing_parents_are_made(program: Warm) -> None:
    """A path of which nothing is there yet, below the folder in which one stands."""
    place = program.place
    result = run(program, "one/two/three", place.root)
    assert result.code == 0, result.err
    assert (place.root / "one" / "two" / "three" / "bagit.txt").is_file()
    is_alone(place)


@pytest.mark.parametrize("kind", ["file", "below a file", "full", "dangling", "fifo"])
def test_what_is_no_place_is_refused_and_stays(program: Warm, kind: str) -> None:
    """Nothing is written there, and nothing that was there is touched."""
    place, dest = program.place, program.place.dest
    match kind:
        case "file" | "below a file":
            dest.write_text("mine")
            dest = dest / "archive" if kind == "below a file" else dest
        case "full":
            dest.mkdir()
            (dest / "thesis.txt").write_text("mine")
        case "dangling":
            dest.symlink_to(place.root / "nowhere")
        case _:
            os.mkfifo(dest)
    before = tree(place)
    is_refused(run(program, dest))
    assert tree(place) == before
    is_alone(place)


def tree(place: Place) -> list[str]:
    """Every name but those of what was said."""
    return sorted(str(path) for path in place.root.rglob("*") if path.parent.name != "said")


@contextlib.contextmanager
def mounted(where: Path, *options: str) -> Iterator[None]:
    """Mount something, where that is allowed."""
    where.mkdir(exist_ok=True)
    if os.geteuid() != 0 or subprocess.run(["mount", *options, str(where)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(where)], check=True)


def test_a_read_only_disk_answers_and_refuses(program: Warm) -> None:
    """A run is refused in a sentence; the questions are answered."""
    dest = str(program.place.dest)
    assert run(program, dest).code == 0
    with mounted(program.place.dest, "--bind", dest):
        subprocess.run(["mount", "-o", "remount,ro,bind", dest], check=True)
        refused = run(program, dest)
        is_refused(refused)
        assert "read-only" in refused.err
        assert program.run("retry", dest).code == 4
        assert len(program.run("list", dest, "--json").out.splitlines()) == 2
        assert program.run("status", dest).code == 0
        assert program.run("verify", dest).code == 0


@pytest.mark.parametrize("fault", ["", pytest.param("size-lies", marks=pytest.mark.slow)])
def test_a_full_disk_loses_nothing(program: Warm, fault: str) -> None:
    """Told in a sentence with code 4, be it foreseen or not; with room again, the run completes."""
    options = ["--videos", "9", "--size", "900k-1M", "--generation", "0"]
    with vendor(*options, *(["--fault", fault] if fault else [])) as full:
        place = program.place = Place(program.place.root, full.env)
        with mounted(place.dest, "-t", "tmpfs", "-o", "size=4M", "tmpfs"):
            first = run(program, place.dest)
            is_refused(first)
            assert "full" in first.err
            is_valid_bag(place.dest)
            kept = [row["path"] for row in rows_of(place) if row["state"] == "archived"]
            assert fault or full.get("stats")["posts"] == len(kept)  # no more than fits
            subprocess.run(["mount", "-o", "remount,size=40M", str(place.dest)], check=True)
            last = run(program, place.dest)
            assert last.code == 0, last.err
            assert last.summary["videos"]["already_archived"] == len(kept)
            is_complete(place, full, rows_of(place))


@pytest.mark.slow
def test_a_limit_on_file_sizes_is_told(tmp_path: Path) -> None:
    """`ulimit -f`: the system refuses to write on; code 4, and the rest of the archive stays."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    with vendor("--videos", "2", "--size", "900k", "--generation", "0") as them:
        place = Place(tmp_path, them.env)
        is_refused(place.archiver(*place.run_args(), preexec_fn=limited))
        last = place.archiver(*place.run_args())
        assert last.code == 0, last.err
        is_complete(place, them, rows_of(place))


@pytest.mark.slow
def test_few_descriptors_are_enough(tmp_path: Path) -> None:
    """`ulimit -n 64` is what small machines and containers give."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with vendor("--videos", "24", "--size", "20k-90k", "--generation", "0") as them:
        place = Place(tmp_path, them.env)
        told = place.archiver(*place.run_args(), preexec_fn=limited)
        assert told.code == 0, told.err
        is_complete(place, them, rows_of(place))


@pytest.mark.slow
def test_an_archive_without_its_id_is_not_begun_anew(program: Warm) -> None:
    """Something else may be mounted there; what is in it can still be listed."""
    dest = program.place.dest
    assert run(program, dest).code == 0
    (dest / ".archiver" / "archive-id").unlink()
    is_refused(run(program, dest))
    assert len(program.run("list", str(dest), "--json").out.splitlines()) == 2
