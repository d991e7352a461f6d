"""Shared by all tests: how many universes to try."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=20, help="universes per simulation test")
    parser.addoption("--seed", type=int, help="replay just this universe")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        one = metafunc.config.getoption("seed")
        count = metafunc.config.getoption("seeds")
        metafunc.parametrize("seed", [one] if one is not None else range(count))
