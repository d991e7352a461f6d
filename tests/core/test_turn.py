"""Samples: in as many nights as there are slices, every file is read once."""

from __future__ import annotations

import pytest

from archiver.core.turn import slices_of, turn_of


@pytest.mark.parametrize(
    ("sample", "slices"), [(None, 1), (0.0, 1), (1.0, 1), (0.5, 2), (0.05, 20), (0.3, 3), (2.0, 1)]
)
def test_a_share_makes_slices(sample: float | None, slices: int) -> None:
    """Of which one is read in a night."""
    assert slices_of(sample) == slices


def test_each_file_has_its_turn() -> None:
    """The same wherever it is asked: an auditor can say which files a sample read."""
    assert turn_of("data/a b.mp4", 1) == 0
    assert turn_of("data/caf\u00e9.mp4", 20) == 15
    assert {turn_of(f"data/{number}", 5) for number in range(99)} == {0, 1, 2, 3, 4}
