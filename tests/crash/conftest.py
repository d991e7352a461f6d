"""What starts programs, for the files here that bring a vendor (``them``) of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.program import Place, Vendor, Warm


@pytest.fixture
def program(tmp_path: Path, them: Vendor) -> Warm:
    """Starts programs in a place of its own."""
    return Warm(Place(tmp_path, them.env))
