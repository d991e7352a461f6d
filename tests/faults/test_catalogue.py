"""The catalogue itself is in order: what it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.faults.catalogue import EXPLAINED_MOST, Row, identifiers, rows

ROOT = Path(__file__).parent.parent.parent
ROWS = rows()
CODE = "\n".join(path.read_text() for path in (ROOT / "archiver").rglob("*.py"))
COUNTED = {
    row for call in re.findall(r"\bmet\(([^)]*)\)", CODE) for row in re.findall(r'"(\w+)"', call)
}


def functions(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.id)
def test_a_row_is_covered_explained_or_later_work(row: Row) -> None:
    """One of the three, and its tests exist and can see the program count it."""
    assert row.id in identifiers()
    assert [bool(row.tests), bool(row.explained), bool(row.later)].count(True) == 1
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name.partition("[")[0] in functions(ROOT / path), test
    assert not row.tests or row.id in COUNTED, "no code counts it"


def test_every_row_is_written_down() -> None:
    """What nobody has thought about is not survived by luck."""
    assert list(ROWS) == identifiers()


def test_few_rows_are_only_explained() -> None:
    """An explanation is no proof."""
    assert sum(bool(row.explained) for row in ROWS.values()) <= EXPLAINED_MOST


def test_nothing_is_counted_that_is_no_row() -> None:
    """A slip of the pen would hide a row."""
    assert set(identifiers()) >= COUNTED
