"""What every kind of world answers, whatever it is made of.

A world is drawn from one number, the seed: the same number gives the same world, and the same
trace, on every machine and in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one world."""

    faults: frozenset[str]  # which kinds of misfortune this world had: drawn by the seed, or given
    fired: Mapping[str, int]  # how often each struck
    trace: str  # SHA-256 over (time, event, id) of everything that happened, in order
    failure: str = ""  # the broken promise, in a sentence; "" where all held
    steps: int = 0  # events
    simulated_s: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)  # measured; a campaign adds them up


class Kind(Protocol):
    """One kind of world: a module, or anything else that offers these two."""

    FAULTS: frozenset[str]
    """All misfortunes that a world of this kind can have."""

    def run(self, seed: int, faults: frozenset[str] | None = None) -> Outcome:
        """Live one world through; None: the seed draws its own misfortunes.

        Never raises for a broken promise: it is told in `failure`.
        """
        ...
