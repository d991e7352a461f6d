"""The n-th call fails: a sample of ``make nth`` over the length of a run, once and from then on."""

from __future__ import annotations

import pytest

from tests.crash.nth import PORTS, Bench

NAMED = {f"{port.name} {port.kind}": port for port in PORTS}


@pytest.mark.parametrize(
    ("name", "first", "stride"),
    [
        ("disk EIO", 30, 70),
        ("disk ENOSPC", 85, 50),
        ("disk short write", 3, 12),
        ("ledger SQLITE_FULL", 60, 60),
        pytest.param("ledger SQLITE_IOERR", 90, 60, marks=pytest.mark.slow),
        ("source BrokenError", 1, 9),
        ("vendor WeatherError", 4, 9),
        ("lock ENOLCK", 1, 9),
        ("clock wakes early", 1, 1),
        ("clock wakes a day late", 1, 1),
    ],
)  # fmt: skip
def test_a_failure_is_told_and_loses_nothing(name: str, first: int, stride: int) -> None:
    """A code of the table and a sentence; the next run completes the archive."""
    tally = Bench(NAMED[name], first=first, stride=stride).run()
    assert tally.wrong == []
    assert tally.failures > 0
    assert 70 not in tally.codes
