"""What a file system does is tested on the machine's own, not in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder on a disk, as far as the machine's folder for such things is on one."""
    with tempfile.TemporaryDirectory(prefix="archiver-ports-") as folder:
        yield Path(folder)
