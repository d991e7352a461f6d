"""The examples run, are short, and do what their first line says."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import cast

import pytest

from archiver.commands import run

ROOT = Path(__file__).parent.parent
ALL = sorted((ROOT / "examples").glob("*.py"))
EXAMPLES = [path for path in ALL if path.stem != "upload_list"]  # run by tests/test_guides.py
LINES_MOST = 40
SAYS = {
    "archive_a_channel": "complete: 3 of 3 videos archived now",
    "stop_and_go_on": "complete after",
    "what_is_missing": "all files match",
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_does_what_it_says(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever copies an example starts from something that works."""
    main = cast("Callable[[str], Coroutine[None, None, int]]", runpy.run_path(str(path))["main"])
    assert asyncio.run(main(str(tmp_path / "archive"))) == 0
    assert SAYS[path.stem] in capsys.readouterr().out


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_an_example_fits_on_a_screen(path: Path) -> None:
    """An example is read before it is run."""
    assert len(path.read_text().splitlines()) <= LINES_MOST


def test_the_nightly_files_run_commands_that_exist() -> None:
    """A timer that fails is noticed a month later."""
    found = 0
    for name in ("nightly.service", "crontab"):
        for line in (ROOT / "examples" / name).read_text().splitlines():
            if "bin/archiver run " in line and not line.startswith("#"):
                run.command.make_context("run", line.split("bin/archiver run ")[1].split()).close()
                found += 1
    assert found == 2
