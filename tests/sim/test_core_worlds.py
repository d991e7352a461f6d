"""The pure core in random worlds: what is decided, without anything that does it.

``make sim`` lives thousands of them; here are some of each night's.
"""

from __future__ import annotations

from tests.sim import core_world

WORLDS = 5  # a seed; each takes some milliseconds


def test_every_world_comes_to_its_end(seed: int) -> None:
    """All that can be had is archived once misfortune ends; no rule is broken on the way."""
    for number in range(seed * WORLDS, (seed + 1) * WORLDS):
        assert core_world.run(number).failure == "", number


def test_a_world_without_misfortune_costs_one_post_a_video() -> None:
    """Whatever the window, the line and the sizes."""
    for number in range(30):
        outcome = core_world.run(number, frozenset())
        assert outcome.failure == "", number
        assert outcome.figures["api posts"] == outcome.figures["videos"], number
