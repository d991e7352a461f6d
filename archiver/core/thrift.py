"""How many calls may fail: one in ten, beyond a few.

Rule 1: a call that fails costs what ten that go well bring in; a few are free to begin with.
Rule 2: who has no credit left makes one call at a time, and a longer pause after each failure.
Rule 3: ten calls that go well in a row end that: an outage is over within a minute of its end.

A gate (``core.weather``) opens at the first success, which suits an outage.  A host that fails
every other call would be asked twice for everything through such a gate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

COST = 10  # of a failure, in calls that went well
FLOAT = 10 * COST  # a short trouble is nobody's concern
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Thrift:
    """What may still fail.

    Attributes:
        credit: in calls that went well.
        misses: failures since it was last enough for one.
    """

    credit: int = FLOAT
    misses: int = 0

    @property
    def is_spent(self) -> bool:
        """One call at a time, please."""
        return self.credit < COST

    @property
    def pause_s(self) -> float:
        """How long to wait after the failure that was just counted; 0 while there is credit."""
        return min(LONGEST_PAUSE_S, 2.0 ** min(self.misses, 10)) if self.is_spent else 0.0


def failed(thrift: Thrift) -> Thrift:
    """A call was sent and failed by the weather."""
    left = replace(thrift, credit=max(0, thrift.credit - COST))
    return replace(left, misses=left.misses + 1) if left.is_spent else left


def went_well(thrift: Thrift) -> Thrift:
    """A call was answered."""
    more = replace(thrift, credit=min(FLOAT, thrift.credit + 1))
    return more if more.is_spent else replace(more, misses=0)
