"""A question to a download host and the head of its answer, read strictly.

Rule: a field that is missing, odd or contradicts itself says nothing; it is never guessed at.
Source: RFC 9110, sections 8, 13 and 14.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"\s*bytes\s+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)\s*", re.IGNORECASE)
_UNSATISFIED = re.compile(r"\s*bytes\s+\*/([0-9]{1,18})\s*", re.IGNORECASE)
_LENGTH = re.compile(r"\s*([0-9]{1,18})\s*")
_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')  # RFC 9110, 8.8.3; weak ones begin with W/
_TEXT_TYPES = re.compile(r"text/(html|xml|css|javascript)|application/(.*\+)?(json|xml)|.*\+xml")


@dataclass(frozen=True, slots=True)
class Ask:
    """A GET.  ``start`` 0 without ``end``: the whole file, no Range at all.

    ``end`` is exclusive.  ``again``: the host encoded its first answer although identity was asked.
    """

    start: int = 0
    end: int | None = None
    if_range: str | None = None
    again: bool = False

    @property
    def is_whole(self) -> bool:
        """No Range is sent."""
        return self.start == 0 and self.end is None

    def headers(self) -> dict[str, str]:
        """The request's own header fields."""
        fields = {"Accept-Encoding": "identity"}
        if not self.is_whole:
            last = "" if self.end is None else str(self.end - 1)
            fields["Range"] = f"bytes={self.start}-{last}"
            if self.if_range is not None:
                fields["If-Range"] = self.if_range
        return fields


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer, header fields as received, "" where a field is missing.

    ``chunked``: the body has its own framing, so that ``content_length`` means nothing.
    """

    status: int
    content_length: str = ""
    content_range: str = ""
    etag: str = ""
    last_modified: str = ""
    content_encoding: str = ""
    content_type: str = ""
    chunked: bool = False

    @property
    def length(self) -> int | None:
        """Bytes of the body, where the head says so and can be believed."""
        found = _LENGTH.fullmatch(self.content_length)
        return int(found[1]) if found and not self.chunked else None

    @property
    def total(self) -> int | None:
        """Bytes of the whole file, where the head says so."""
        if self.status == 206:
            span = content_range(self.content_range)
            return span.total if span else None
        return self.length if self.status == 200 else None

    @property
    def is_plain(self) -> bool:
        """The body's bytes are the file's own."""
        return self.content_encoding.strip().lower() in ("", "identity")

    @property
    def is_gzip(self) -> bool:
        """The body is the file in gzip, and nothing else around it."""
        return self.content_encoding.strip().lower() in ("gzip", "x-gzip")

    @property
    def is_text(self) -> bool:
        """The host says itself that it sends a page of text, which is no video."""
        return bool(_TEXT_TYPES.fullmatch(self.content_type.partition(";")[0].strip().lower()))


@dataclass(frozen=True, slots=True)
class Span:
    """A Content-Range: bytes ``start`` to ``end`` (exclusive) of ``total``, None where unsaid."""

    start: int
    end: int
    total: int | None


def content_range(value: str) -> Span | None:
    """Read a Content-Range of a 206; None where it is missing, odd or contradicts itself."""
    found = _RANGE.fullmatch(value)
    if found is None:
        return None
    start, end = int(found[1]), int(found[2]) + 1
    total = None if found[3] == "*" else int(found[3])
    if start >= end or (total is not None and end > total):
        return None
    return Span(start, end, total)


def strong(etag: str | None) -> str | None:
    """*etag* where it promises equal bytes; None for a weak, malformed or missing one."""
    return etag if etag is not None and _ETAG.fullmatch(etag) else None


def unsatisfied_total(value: str) -> int | None:
    """Read the Content-Range of a 416: how large the file is, None where it is not said."""
    found = _UNSATISFIED.fullmatch(value)
    return int(found[1]) if found else None
