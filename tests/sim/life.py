"""One life of the program, from its start to its end or its death."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.sim.loop import SimLoop


@dataclass(slots=True)
class Life:
    """The loop it is lived in, and when in the world's time it began."""

    loop: SimLoop
    began_at: float
    is_dead: bool = False

    def now(self) -> float:
        """The world's time."""
        return self.began_at + self.loop.time()

    def goes_on(self) -> None:
        """What a dead process would do next, it does not do."""
        if self.is_dead:
            raise asyncio.CancelledError
