"""The process that forks others, for the files here that bring a vendor (``them``) of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.program import Place, Vendor, Warm, warm


@pytest.fixture(scope="module")
def anybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """The process that forks others."""
    with warm(Place(tmp_path_factory.mktemp("none"))) as program:
        yield program


@pytest.fixture
def program(tmp_path: Path, them: Vendor, anybody: Warm) -> Warm:
    """The same, in a place of its own."""
    anybody.place = Place(tmp_path, them.env)
    return anybody
