"""Rows of a CSV file that any spreadsheet opens as it was meant, and runs nothing of.

Rule 1: a text that a spreadsheet would take for a formula, a number or a date gets an apostrophe
before it: ``007`` would become 7, and 1/2 a day in January.
Rule 2: each row is one line: RFC 4180, with CRLF; texts in quotes, numbers and dates without.
Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from archiver.core.model import Instant
from archiver.core.naming import display
from archiver.core.summary import iso
from archiver.met import met

BYTE_ORDER_MARK = "\ufeff"  # without it some spreadsheets take UTF-8 for a code page

# What begins a formula, also in its wide form; and behind a semicolon, which separates cells
# wherever the comma is a decimal sign.
_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_FORMULA = re.compile(f"(^|;[ '\"]*)(?=[{re.escape(''.join(_STARTS))}])")


# Names of months are words, too, and another one in each language: those are left alone.
_NUMBER = re.compile(r"[.,:/%+\- ]*[0-9](?:[0-9.,:/%+\- ]|[eE](?=[0-9+\-]))*")


class Exact(str):
    """A text that must stay as it is, such as a path: made by us, and one line."""

    __slots__ = ()


class Moment(str):
    """A date that a spreadsheet is to know for one: without quotes."""

    __slots__ = ()

    @classmethod
    def of(cls, at: Instant | None) -> Moment | None:
        """*at* in UTC, to the second; the only form that is a date in every country's Excel."""
        text = iso(at)
        return None if text is None else cls(text.replace("T", " ").removesuffix("Z"))


def row(cells: Iterable[str | float | None]) -> str:
    """One line of the file, CRLF at its end; None is an empty cell."""
    return ",".join(map(_cell, cells)) + "\r\n"


def _cell(cell: str | float | None) -> str:
    if isinstance(cell, Moment):
        return cell
    if isinstance(cell, str):
        text = cell if isinstance(cell, Exact) else _harmless(display(cell))
        return '"' + text.replace('"', '""') + '"'
    return "" if cell is None else str(cell)


def _harmless(text: str) -> str:
    if _NUMBER.fullmatch(text):
        return f"'{text}"
    if not text.startswith(_STARTS) and ";" not in text:  # nearly all of a hundred thousand
        return text
    harmless = _FORMULA.sub(r"\1'", text)
    if harmless != text:
        met("S05")
    return harmless
