"""What part of a file a request asks for, by RFC 9110: Range, If-Range, and the validators.

Pure: header texts in, numbers and header texts out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes [start, end) that are asked for; ``whole`` where no range holds."""

    start: int
    end: int
    whole: bool = True

    @property
    def length(self) -> int:
        """In bytes."""
        return self.end - self.start


def wanted(
    headers: Mapping[str, str], size: int, etag: str | None, date: str | None
) -> Part | None:
    """The part that a request asks for.

    Args:
        headers: of the request.
        size: of the file.
        etag: that would be sent; None where none is.
        date: the Last-Modified that would be sent.

    Returns:
        None where the range cannot be satisfied: 416.  A header of a form that is not understood,
        or of several ranges, counts as none, as the standard allows.
    """
    whole = Part(0, size)
    match = RANGE.fullmatch(headers.get("Range", "").strip())
    if match is None or match.group() == "bytes=-" or not _still_valid(headers, etag, date):
        return whole
    first, last = match.groups()
    if not first:
        start = max(0, size - int(last))
        return Part(start, size, whole=False) if int(last) and size else None
    start = int(first)
    if last and int(last) < start:
        return whole
    end = min(size, int(last) + 1) if last else size
    return Part(start, end, whole=False) if start < size else None


def _still_valid(headers: Mapping[str, str], etag: str | None, date: str | None) -> bool:
    condition = headers.get("If-Range")
    if condition is None:
        return True
    # A weak tag never matches here: it does not promise equal bytes.
    if condition.startswith('"'):
        return condition == etag
    return condition == date
