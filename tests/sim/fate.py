"""The dice of one world: which misfortunes it has, when they strike, and a trace of what happened.

Each misfortune has dice of its own, so that a world with fewer of them is otherwise the same
world: that is what makes a failure shrinkable.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections import Counter
from collections.abc import Mapping

from tests.sim.outcome import Outcome

story = logging.getLogger("tests.sim.story")  # a replay listens here

CALM_SHARE = 0.1  # of the worlds have no misfortune at all
SHARE = 0.25  # of the misfortunes come together in one world


class BrokenPromiseError(AssertionError):
    """The program did what it promises never to do, in this world."""


class Fate:
    """What a seed has in store.

    Args:
        known: every misfortune of this kind of world.
        faults: those that this world has; None: the seed draws them.
        most: how often one misfortune strikes at most.
    """

    def __init__(
        self, seed: int, known: frozenset[str], faults: frozenset[str] | None, most: int
    ) -> None:
        self.seed = seed
        swarm = self.dice("swarm")
        is_calm = swarm.random() < CALM_SHARE
        drawn = frozenset(name for name in sorted(known) if swarm.random() < SHARE)
        self.faults = (frozenset() if is_calm else drawn) if faults is None else faults & known
        self._own = {name: self.dice(name) for name in sorted(self.faults)}
        self._chance = {
            name: dice.choice((0.03, 0.1, 0.3, 0.6)) for name, dice in self._own.items()
        }
        self._left = {name: dice.randint(1, most) for name, dice in self._own.items()}
        self.is_quiet = False
        self.fired: Counter[str] = Counter()
        self.figures: Counter[str] = Counter()
        self.steps = 0
        self.failure = ""
        self._trace = hashlib.sha256()

    def dice(self, name: str) -> random.Random:
        """Dice for one matter: what is thrown elsewhere does not change them."""
        return random.Random(f"{self.seed}:{name}")

    def own(self, name: str) -> random.Random:
        """The dice of a misfortune that this world has."""
        return self._own[name]

    def strikes(self, name: str, often: float = 1.0) -> bool:
        """Whether *name* strikes now; *often* scales its chance where it is asked often."""
        if self.is_quiet or not self._left.get(name):
            return False
        if self._own[name].random() >= self._chance[name] * often:
            return False
        self._left[name] -= 1
        self.fired[name] += 1
        return True

    def quiet(self) -> None:
        """No misfortune strikes any more."""
        self.is_quiet = True

    def happened(self, at: float, event: str, who: object) -> None:
        """Something happened: into the trace, and to whoever listens."""
        self.steps += 1
        self._trace.update(f"{at!r} {event} {who}\n".encode())
        if story.isEnabledFor(logging.INFO):
            story.info("%.3f  %s  %s", at, who, event)

    def broken(self, promise: str) -> BrokenPromiseError:
        """A promise is broken: keep the first, and end the world with it."""
        self.failure = self.failure or promise
        return BrokenPromiseError(promise)

    def outcome(self, simulated_s: float) -> Outcome:
        """What came of the world."""
        fired: Mapping[str, int] = dict(self.fired)
        trace = self._trace.hexdigest()
        return Outcome(
            self.faults, fired, trace, self.failure, self.steps, simulated_s, dict(self.figures)
        )
