"""A bandwidth limit that changes with the hour: read from a text, asked by the minute of the week.

Rule: pure; what minute of the week it is, by the machine's own time, is for others to say.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, TypeAlias

from archiver.core.selection import parse_size

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES: Final = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
DAY_MINUTES: Final = 24 * 60
WEEK_MINUTES: Final = 7 * DAY_MINUTES
OFF: Final = "off"
_ENTRY = re.compile(
    r"(?:([a-z]+)-)?([01]?[0-9]|2[0-3]):([0-5][0-9]),(\S+)", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Timetable:
    """Rates in bytes a second, each from its minute of the week (Monday, 0:00) to the next one's.

    ``entries`` are ordered by minute, at least one; a rate of None is no limit.  Before the
    first of the week the last of the week holds.
    """

    entries: tuple[tuple[int, float | None], ...]

    def rate_at(self, minute: int) -> float | None:
        """The rate at a *minute* of the week; None: no limit."""
        starts = [start for start, _ in self.entries]
        return self.entries[bisect_right(starts, minute % WEEK_MINUTES) - 1][1]


Rate: TypeAlias = float | Timetable | None


def parse_rate(text: str) -> Rate:
    """A rate such as ``20M``, ``off``, or a timetable such as ``08:00,2M 18:00,off``.

    A time may name its day, as in ``Sat-10:00,off``; without one it holds for every day.  Where
    two entries have the same minute, the one that names its day holds.

    Raises:
        ValueError: it is none of these; the text is a sentence for the user.
    """
    words = text.split()
    if len(words) == 1 and "," not in words[0]:
        return _rate(words[0])
    daily, named = dict[int, float | None](), dict[int, float | None]()
    for word in words:
        found = _ENTRY.fullmatch(word)
        day = _day((found[1] or "").lower()) if found else None
        if found is None or day is None:
            raise ValueError(
                f"{word[:80]!r} is no entry of a timetable, as in 08:00,2M 18:00,off Sat-08:00,off."
            )
        minute, rate = int(found[2]) * 60 + int(found[3]), _rate(found[4])
        if day:
            named[DAYS.index(day) * DAY_MINUTES + minute] = rate
        else:
            daily |= {number * DAY_MINUTES + minute: rate for number in range(len(DAYS))}
    if not words:
        raise ValueError("A rate is a size, as 20M, or a timetable, as 08:00,2M 18:00,off.")
    return Timetable(tuple(sorted((daily | named).items())))


def _day(name: str) -> str | None:
    """The day that *name* begins, by three letters or more; None for none, "" for no name."""
    if not name:
        return ""
    full = next((day for day in _DAY_NAMES if day.startswith(name) and len(name) > 2), None)
    return full and full[:3]


def _rate(text: str) -> float | None:
    return None if text.lower() == OFF else parse_size(text)
