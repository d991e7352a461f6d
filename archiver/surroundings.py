"""The world around an archive, and what a test may put in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archiver.adapters.clock import SystemClock
from archiver.adapters.disk import Os

if TYPE_CHECKING:
    from archiver.adapters.http import ConnectorFactory  # most commands need no network


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a test may put in the place of the real world: the time, the way to hosts, the disk."""

    clock: Callable[[], SystemClock] = SystemClock
    connector: ConnectorFactory | None = None  # None: real networks
    system: Callable[[], Os] = Os


REAL = Surroundings()
