"""Numbers and texts as people read them; light enough for every command."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import Final, TextIO

from archiver.core.model import Instant
from archiver.core.naming import display
from archiver.met import met

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")

_QUERY = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>]*", re.IGNORECASE)
_LOGIN = re.compile(r"(https?://)[^\s/@'\"<>]+@", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w~+/.=-]{8,}", re.IGNORECASE)
_VALUE = re.compile(
    r"\b((?:access|refresh|id)_token|client_secret)(['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,}]+",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    """*text* without what may be a secret: queries and logins of addresses, tokens.

    The last sieve, for texts that other programs' errors wrote; ours hold no secret at all.
    """
    sieved = _LOGIN.sub(r"\1…@", _QUERY.sub(r"\1?…", text))
    sieved = _VALUE.sub(r"\1\2…", _BEARER.sub(r"\1 …", sieved))
    if sieved != text:
        met("S02")
    return sieved


def safe(text: str) -> str:
    """One line that neither steers a terminal nor tells a secret."""
    return display(scrub(text))


def size(count: float) -> str:
    """*count* bytes, as ``512 bytes`` or ``1.5 GiB``: by 1024, like the sizes that options take."""
    step = 0
    while abs(count) >= 1024 and step < len(_UNITS) - 1:
        count /= 1024
        step += 1
    return f"{count:.0f} {_UNITS[0]}" if step == 0 else f"{count:.1f} {_UNITS[step]}"


def span(seconds: float) -> str:
    """A span of time in its two largest units; a dash where nobody knows it."""
    if not 0 <= seconds < 1e10:
        return "–"  # noqa: RUF001  a dash on the screen
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole or not seconds else "< 1 s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 172_800:
        return f"{whole // 3_600} h {whole % 3_600 // 60:02} min"
    return f"{whole // 86_400} days {whole % 86_400 // 3_600} h"


def clock(at: Instant | None) -> str:
    """The time of day, here, of an instant."""
    return _local(at, "%H:%M:%S")


def moment(at: Instant | None) -> str:
    """Day and time, here, of an instant."""
    return _local(at, "%Y-%m-%d %H:%M")


def local(iso_text: str | None) -> str:
    """Day and time, here, of an instant in our files' ISO 8601; a dash for none."""
    if not iso_text:
        return "–"  # noqa: RUF001
    return moment(Instant(datetime.fromisoformat(iso_text).timestamp()))


def many(count: int, one: str, more: str = "") -> str:
    """``1 video``, ``1,234 videos``."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def is_journal(stream: TextIO | None) -> bool:
    """*stream* leads straight into systemd's journal, which takes ``<4>`` for a priority."""
    try:
        found = os.fstat(stream.fileno()) if stream is not None else None
    except (OSError, ValueError):  # shut, or no file at all
        return False
    told = os.environ.get("JOURNAL_STREAM")
    return found is not None and told == f"{found.st_dev}:{found.st_ino}"


def urgent(text: str, stream: TextIO | None) -> str:
    """*text*, each line of which the journal takes for an error where *stream* leads there."""
    if not is_journal(stream):
        return text
    return "\n".join(f"<3>{line}" for line in text.splitlines())


def _local(at: Instant | None, shape: str) -> str:
    if at is None or not 0 <= at < 1e11:
        return "–"  # noqa: RUF001
    return datetime.fromtimestamp(at, UTC).astimezone().strftime(shape)
