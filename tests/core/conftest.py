"""Shared by the tests of the core: a machine whose own time is far from UTC."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever takes a time for local is nine hours off."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "UTC-9")
        time.tzset()
        yield
    time.tzset()
