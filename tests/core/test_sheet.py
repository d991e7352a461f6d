"""Rows for spreadsheets: what another program reads back, and what none would run."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.naming import display
from archiver.core.sheet import Exact, row

STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"  # taken for the beginning of a formula


def read(line: str) -> list[str]:
    """The cells, as a spreadsheet reads them."""
    rows = list(csv.reader(io.StringIO(line, newline=""), strict=True))
    assert len(rows) == 1
    return rows[0]


def test_texts_are_quoted_and_numbers_are_not() -> None:
    """Nothing is a cell, too; a number of a video stays a text."""
    line = row(["007", 'a "b", c', None, "", 12, 1.5])
    assert line == '"007","a ""b"", c",,"",12,1.5\r\n'


@pytest.mark.parametrize(
    ("title", "cell"),
    [
        ("=1+1", "'=1+1"), ("-5 degrees", "'-5 degrees"), ("@home", "'@home"), ("\t=1", "'=1"),
        ("\uff1d1", "'\uff1d1"), ("2-1=1", "2-1=1"), ("a;=b", "a;'=b"), ('a; "=b', "a; \"'=b"),
        ("a, -5", "a, -5"), ("one\r\ntwo", "one two"), ("'tis", "'tis"), ("", ""),
    ],
)  # fmt: skip
def test_a_formula_is_disarmed(title: str, cell: str) -> None:
    """By an apostrophe, where a spreadsheet would begin one; nowhere else."""
    assert read(row([title])) == [cell]


@given(st.lists(st.text(), min_size=1))
def test_any_text_is_one_line_and_no_formula(texts: list[str]) -> None:
    """Whatever a title holds; and the text itself comes back, but for the apostrophe."""
    line = row(texts)
    assert line.endswith("\r\n")
    assert len(line.splitlines()) == 1
    cells = read(line)
    assert len(cells) == len(texts)
    for cell, text in zip(cells, texts, strict=True):
        assert not cell.startswith(tuple(STARTS))
        assert cell.replace("'", "") == display(text).replace("'", "")


@given(st.text(alphabet="a;=+ '\"-"))
def test_cells_that_are_parted_by_semicolons_are_no_formulas_either(text: str) -> None:
    """As in countries whose decimal sign is the comma."""
    first, *others = read(row([text]))[0].split(";")
    assert not first.startswith(tuple(STARTS))
    for part in others:
        assert not part.strip(' "').startswith(tuple(STARTS))


def test_a_path_stays_as_it_is() -> None:
    """A program looks the file up by it."""
    assert read(row([Exact('data/a;=b  "c".mp4')])) == ['data/a;=b  "c".mp4']
