"""The real engine, hands and ledger in random worlds; ``make sim`` lives thousands of them."""

from __future__ import annotations

from tests.sim import engine_world


def test_every_world_comes_to_its_end(seed: int) -> None:
    """Nothing is lost, stored twice or mixed, and all that can be had is archived in the end."""
    for number in (2 * seed, 2 * seed + 1):
        assert engine_world.run(number).failure == "", number
