"""A pytest plugin: writes down which rows of the catalogue the program met during each test.

``-p tests.faults.plugin --met FOLDER``; every worker writes a file of its own there.  What the
programs met that a test started with ``tests.faults.process.command()`` counts for that test.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from archiver.met import counts
from tests.faults import process

FOLDER: pytest.StashKey[Path] = pytest.StashKey()
_elsewhere: Counter[str] = Counter()


def took(told: Mapping[str, int]) -> None:
    """Add what a process of the program that this test started has counted."""
    _elsewhere.update(told)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--met", type=Path, help="folder for what each test met")


def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--met")
    if folder is not None:
        config.stash[FOLDER] = folder
        process.listen(folder.absolute() / f"{os.getpid()}.told")


def _now() -> Counter[str]:
    return Counter(counts()) + _elsewhere + process.heard()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    before = _now()
    answer = yield
    folder = item.config.stash.get(FOLDER, None)
    if folder is not None:
        _note(folder, {"test": item.nodeid, "met": _now() - before})
    return answer


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed or report.skipped:
        _bad.append(report.nodeid)


_bad: list[str] = []


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.stash.get(FOLDER, None)
    if folder is not None:
        for name in _bad:
            _note(folder, {"test": name, "bad": True})


def _note(folder: Path, line: dict[str, object]) -> None:
    with (folder / f"{os.getpid()}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
