"""The kinds of worlds that there are, and which one a seed has."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from tests.sim.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Kind:
    """See ``outcome.Kind``."""

    name: str
    FAULTS: frozenset[str]
    run: Callable[..., Outcome]


def _kind(name: str) -> Kind:
    world = importlib.import_module(f"tests.sim.{name}_world")
    return Kind(name, world.FAULTS, world.run)


KINDS = {
    name: _kind(name)
    for name in ("core", "engine", "http")
    if importlib.util.find_spec(f"tests.sim.{name}_world") is not None
}


def kind_of(seed: int) -> Kind:
    """The kind follows from the last digit: one http, three engine, six core."""
    digit = seed % 10
    name = "http" if digit == 0 else "engine" if digit <= 3 else "core"
    return KINDS.get(name, KINDS["core"])
