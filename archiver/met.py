"""How often each misfortune of the fault catalogue was met, counted where it is dealt with.

Rule 1: no decision depends on these counts: only ``make faults`` and tests read them.
Rule 2: a count is one addition, so it may stand on any path but that of single bytes.
The rows, with the tests that make each happen, are in ``tests/faults/*.toml``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

_COUNTS: Counter[str] = Counter()


def met(*rows: str) -> None:
    """One more of each of *rows*, such as ``"D08"``: it happened here, and this line dealt with it.

    Called from several threads, two at the same instant may count as one.
    """
    for row in rows:
        _COUNTS[row] += 1


def counts() -> Mapping[str, int]:
    """Every row met since the program began, and how often."""
    return dict(_COUNTS)
