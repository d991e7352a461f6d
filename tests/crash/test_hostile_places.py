"""Places in which somebody, or something, is in the way: refused before anything is asked for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from archiver.adapters import mounts
from archiver.adapters.publish import LocalVault
from archiver.errors import DestinationError
from tests.crash.program import Place, Vendor, Warm, ended, vendor
from tests.crash.test_places import is_refused, mounted, run, tree
from tests.crash.test_stop import until

PRIVATE = (".archiver", ".archiver/parts")
SMALL = ["--videos", "2", "--size", "20k", "--generation", "0"]


@pytest.fixture(scope="module")
def them() -> Iterator[Vendor]:
    """A vendor of two small videos."""
    with vendor(*SMALL) as one:
        yield one


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Even root can change nothing in it."""
    if os.geteuid() or subprocess.run(["chattr", "+i", str(path)], check=False).returncode:
        pytest.skip("nothing can be made immutable here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def asked(them: Vendor) -> int:
    """How many files the vendor was asked for."""
    return int(them.get("stats")["posts"])


@pytest.mark.parametrize(
    "folder", ["data", *(pytest.param(f, marks=pytest.mark.slow) for f in PRIVATE)]
)
def test_a_folder_that_takes_nothing_is_known_before_anything_is_asked_for(
    program: Warm, them: Vendor, folder: str
) -> None:
    """Immutable, even for root: code 4 and no POST; with the bit gone, all is well again."""
    dest = program.place.dest
    assert run(program, dest).code == 0
    them.change(add={"title": "one more"})
    posts = asked(them)
    with immutable(dest / folder):
        refused = run(program, dest)
    is_refused(refused)
    assert "ermission denied" in refused.err
    assert asked(them) == posts
    assert run(program, dest).summary["videos"]["archived"] == 1


@pytest.mark.parametrize(
    "name", [".archiver", pytest.param("data", marks=pytest.mark.slow), ".archiver/parts"]
)
def test_a_link_in_the_place_of_a_folder_is_not_followed(program: Warm, name: str) -> None:
    """Nothing is written where it leads, and nothing there is taken for ours."""
    place = program.place
    assert run(program, place.dest).code == 0
    elsewhere = place.root / "elsewhere"
    (place.dest / name).rename(elsewhere)
    (place.dest / name).symlink_to(elsewhere)
    before = tree(place)
    refused = run(program, place.dest)
    is_refused(refused)
    assert "symbolic link" in refused.err
    assert tree(place) == before


def test_a_folder_that_anybody_may_change_is_refused(program: Warm) -> None:
    """Nothing is made there; a sticky one, as /tmp, is no harm, and our own are never so."""
    dest = program.place.dest
    dest.mkdir()
    dest.chmod(0o777)
    refused = run(program, dest)
    is_refused(refused)
    assert "chmod o-w" in refused.err
    assert list(dest.iterdir()) == []
    dest.chmod(0o1777)
    assert run(program, dest).code == 0
    old = os.umask(0)
    try:
        LocalVault.open(program.place.root / "a" / "b", True).close()
    finally:
        os.umask(old)
    made = [program.place.root / "a" / "b", dest / ".archiver", dest / "data"]
    assert [path.stat().st_mode & 0o022 & ~0o020 for path in made] == [0, 0, 0]
    assert (dest / ".archiver").stat().st_mode & 0o077 == 0
    assert (dest / ".archiver" / "ledger.sqlite3").stat().st_mode & 0o077 == 0


def test_a_disk_that_goes_away_during_a_run_ends_it(tmp_path: Path) -> None:
    """Code 4; and nothing is written into the folder on which it was mounted."""
    with vendor(*SMALL, "--videos", "30", "--size", "200k", "--line", "300k") as them:
        place = Place(tmp_path, them.env)
        with mounted(place.dest, "-t", "tmpfs", "tmpfs"):
            with place.process(*place.run_args()) as process:
                until(process, lambda: them.get("stats")["bytes_sent"] > 100_000)
                subprocess.run(["umount", "--lazy", str(place.dest)], check=True)
                told = ended(process)
            assert list(place.dest.iterdir()) == []
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place.dest)], check=True)
        is_refused(told)
        assert "no longer in" in told.err


@pytest.mark.slow
def test_a_disk_that_is_not_mounted_is_not_replaced_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's table knows of it: an empty folder is no fresh start then."""
    nas, table = tmp_path / "my nas", tmp_path / "fstab"
    nas.mkdir()
    escaped = str(nas).replace(" ", r"\040")
    table.write_text(
        f"# what\n/dev/sda / ext4 defaults\nnone none swap sw\nx {escaped} nfs rw 0 0\n"
    )
    monkeypatch.setattr(mounts, "TABLE", str(table))
    for dest in (nas, nas / "videos" / "archive"):
        with pytest.raises(DestinationError, match="my nas is not mounted"):
            LocalVault.open(dest, True)
    assert list(nas.iterdir()) == []
    LocalVault.open(tmp_path / "my nas too", True).close()
    said = tmp_path / "mountinfo"
    said.write_text(f"30 22 0:40 / {escaped} rw shared:1 - nfs4 nas:/x rw\n")
    monkeypatch.setattr(mounts, "MOUNTS", str(said))
    LocalVault.open(nas / "archive", True).close()
    monkeypatch.undo()
    monkeypatch.setattr(mounts, "TABLE", str(table))
    LocalVault.open(nas / "archive", True).close()  # it is an archive: somebody wants it so
