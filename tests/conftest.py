"""Shared by all tests: how many universes to try, and nobody to trust."""

from __future__ import annotations

import os

import hypothesis
import pytest

from tests.authorities import NO_AUTHORITIES

os.environ.update(NO_AUTHORITIES)  # before aiohttp is imported, which reads them as well
# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("archiver", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("archiver")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=20, help="universes per simulation test")
    parser.addoption("--seed", type=int, help="replay just this universe")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        one = metafunc.config.getoption("seed")
        count = metafunc.config.getoption("seeds")
        metafunc.parametrize("seed", [one] if one is not None else range(count))
