"""A loop that counts the trips to threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Counting(asyncio.SelectorEventLoop):
    """Python's own loop; ``trips`` is how often something was given to a thread."""

    trips = 0

    def run_in_executor(self, executor: object, func: Callable[..., object], *args: object):  # type: ignore[no-untyped-def]
        """Count, then do it."""
        self.trips += 1
        return super().run_in_executor(executor, func, *args)  # type: ignore[arg-type]
