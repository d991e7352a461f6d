"""Rows of a CSV file that any spreadsheet opens as it was meant, and runs nothing of.

Rule 1: a text that a spreadsheet would take for a formula gets an apostrophe before it.
Rule 2: each row is one line: RFC 4180, with CRLF; texts in quotes, numbers without.
Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from archiver.core.naming import display

BYTE_ORDER_MARK = "\ufeff"  # without it some spreadsheets take UTF-8 for a code page

# What begins a formula, also in its wide form; and behind a semicolon, which separates cells
# wherever the comma is a decimal sign.
_FORMULA = re.compile("(^|;[ '\"]*)(?=[=+@\uff1d\uff0b\uff20-]|\uff0d)")


class Exact(str):
    """A text that must stay as it is, such as a path: made by us, without quotes and pipes."""

    __slots__ = ()


def row(cells: Iterable[str | float | None]) -> str:
    """One line of the file, CRLF at its end; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow([_harmless(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue()


def _harmless(text: str) -> str:
    if isinstance(text, Exact):
        return text
    return _FORMULA.sub(r"\1'", display(text))
