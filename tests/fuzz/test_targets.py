"""The targets of `make fuzz` with their seeds, a few mutations of them, and any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS


def test_every_target_has_seeds() -> None:
    """A target without a beginning finds nothing in a minute."""
    assert TARGETS.keys() == SEEDS.keys()


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(data=st.data())
def test_no_bytes_are_a_surprise(name: str, data: st.DataObject) -> None:
    """Each parser returns, or refuses in its own words."""
    seed = data.draw(st.sampled_from(SEEDS[name]))
    at = data.draw(st.integers(0, len(seed)))
    cut = data.draw(st.integers(0, 8))
    TARGETS[name](seed)
    TARGETS[name](seed[:at] + data.draw(st.binary(max_size=12)) + seed[at + cut :])
    TARGETS[name](data.draw(st.binary(max_size=200)))
