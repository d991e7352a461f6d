"""Shared by all tests: how many universes to try, nobody to trust, and where files go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

from tests.authorities import NO_AUTHORITIES

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 1 << 30  # far more than all tests side by side need there

os.environ.update(NO_AUTHORITIES)  # before aiohttp is imported, which reads them as well
# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("archiver", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("archiver")

# A sync shows nothing where no power is cut: in memory it costs nothing, on a disk half the time.
# What a file system does is tested on the disk: tests/ports.
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=20, help="universes per simulation test")
    parser.addoption("--seed", type=int, help="replay just this universe")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        one = metafunc.config.getoption("seed")
        count = metafunc.config.getoption("seeds")
        metafunc.parametrize("seed", [one] if one is not None else range(count))
