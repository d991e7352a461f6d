"""Rows for spreadsheets: what another program reads back, and what none would run."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.model import Instant
from archiver.core.naming import display
from archiver.core.sheet import Exact, Moment, row

STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"  # taken for the beginning of a formula


def read(line: str) -> list[str]:
    """The cells, as a spreadsheet reads them."""
    rows = list(csv.reader(io.StringIO(line, newline=""), strict=True))
    assert len(rows) == 1
    return rows[0]


def test_texts_are_quoted_and_numbers_are_not() -> None:
    """Nothing is a cell, too; a number of a video stays a text."""
    line = row([Exact("007"), 'a "b", c', None, "", 12, 1.5, Moment.of(Instant(86_399.9))])
    assert line == '"007","a ""b"", c",,"",12,1.5,1970-01-01 23:59:59\r\n'
    assert Moment.of(None) is None


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


@pytest.mark.parametrize(
    ("title", "is_odd"),
    [
        ("007", True), ("12345678901234567890", True), ("1e5", True), ("1E-5", True),
        ("2024-05-12", True), ("12.05.2024", True), ("1/2", True), ("10:30 ", True), ("5 %", True),
        ("007 returns", False), ("12 May 2024", False), ("e5", False), ("1e", False),
        ("...", False), ("%41b", False), ("\u0661", False),
    ],
)  # fmt: skip
def test_a_title_of_digits_stays_a_title(title: str, is_odd: bool) -> None:
    """A spreadsheet would make a number or a date of it, and lose its zeros or its order."""
    assert read(row([title])) == ["'" * is_odd + title.strip()]


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
