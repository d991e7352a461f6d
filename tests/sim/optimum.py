"""What nobody could do better: one line, every file known from the beginning.

Earliest deadline first, with preemption, meets every deadline that any order meets (Horn 1974), and
on a line that is never idle while something is ready the last byte comes as early as it can.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """One file: so many bytes, ready at, gone at."""

    bytes: float
    ready_at: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class Optimum:
    """When the last byte comes, and how many files nobody could have got in time."""

    finished_at: float
    missed: int


def optimum(loads: Sequence[Load], rate_bytes_s: float) -> Optimum:
    """Carry *loads* over a line of *rate_bytes_s*, knowing all of them beforehand."""
    coming = sorted(loads, key=lambda load: load.ready_at, reverse=True)
    ready: list[tuple[float, int, float]] = []  # ends at, which, bytes left
    now, missed, number = 0.0, 0, 0
    while coming or ready:
        if not ready:
            now = max(now, coming[-1].ready_at)
        while coming and coming[-1].ready_at <= now:
            load = coming.pop()
            number += 1
            heapq.heappush(ready, (load.ends_at, number, load.bytes))
        ends_at, which, left = heapq.heappop(ready)
        done_at = now + left / rate_bytes_s
        if coming and coming[-1].ready_at < done_at:
            left -= (coming[-1].ready_at - now) * rate_bytes_s
            now = coming[-1].ready_at
            heapq.heappush(ready, (ends_at, which, left))
            continue
        now = done_at
        missed += now > ends_at
    return Optimum(now, missed)
