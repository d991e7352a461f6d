"""The manual pages: those of this program, all of them, and such as a formatter takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.manual import FOLDER, pages

PAGES = pages()


def test_the_pages_are_those_of_the_commands() -> None:
    """`make man` writes them; whoever adds an option has to run it."""
    assert {path.name: path.read_text() for path in FOLDER.glob("*.1")} == PAGES, "make man"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_what_is_looked_for_in_one(name: str) -> None:
    """Name, synopsis, description, options, examples, and where to read on."""
    lines = PAGES[name].splitlines()
    heads = [line.removeprefix(".SH ") for line in lines if line.startswith(".SH ")]
    assert heads[:4] == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"]
    assert {"EXAMPLES", "SEE ALSO"} <= set(heads)
    assert PAGES[name].isascii(), "old formatters know nothing else"
    assert "" not in lines, "an empty line is a request of its own"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not here")
def test_a_formatter_has_nothing_to_complain_of() -> None:
    """A page that looks broken is not read."""
    files = [str(path) for path in sorted(FOLDER.glob("*.1"))]
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-P-cbou", *files], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "archiver run account --to /srv/videos" in done.stdout, "lines to copy are not broken"
    assert "--max-duration SPAN" in done.stdout


def test_pages_and_types_are_in_what_is_installed(tmp_path: Path) -> None:
    """A wheel brings the pages to share/man, where `man` looks, and the marker of types."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=FOLDER.parent, capture_output=True, check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "archiver/py.typed" in names
    there = {name.rpartition("/")[2] for name in names if "/data/share/man/man1/" in name}
    assert there == set(PAGES)
