"""The fault catalogue: what can go wrong, what must happen then, and which tests make it happen.

A row is a table of one of the files beside this one, named by its family (``api``, ``download``,
``local``, ``security``, ``operations``) and number:

    [D08]
    fault = "200 instead of 206 when a download is resumed"
    must = "the part begins again, or the saved bytes are compared; nothing is appended unseen"
    tests = ["tests/wire/test_download_resume.py::test_name"]

Instead of ``tests`` it may have ``explained``, why it cannot be tested here, or ``later``, which
work it belongs to.  A test counts for a row if it passes and the program, while it runs, counts the
row through ``archiver.met``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FAMILIES = {"A": 43, "D": 38, "L": 43, "S": 12, "O": 18}
EXPLAINED_MOST = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One fault."""

    id: str
    fault: str
    must: str
    tests: tuple[str, ...] = ()
    explained: str = ""
    later: str = ""


def identifiers() -> list[str]:
    """Every row that there has to be, in order."""
    return [f"{letter}{n:02}" for letter, most in FAMILIES.items() for n in range(1, most + 1)]


def rows() -> dict[str, Row]:
    """Every row that is written down, in order."""
    found = {}
    for path in HERE.glob("*.toml"):
        for name, table in tomllib.loads(path.read_text()).items():
            if name in found:
                raise ValueError(f"{name} stands twice")
            found[name] = Row(name, **{**table, "tests": tuple(table.get("tests", ()))})
    order = {name: place for place, name in enumerate(identifiers())}
    return dict(sorted(found.items(), key=lambda item: order[item[0]]))
