"""One line that all downloads share, fairly and without hurry when it is unlimited."""

from __future__ import annotations

import asyncio

CHUNK_MOST = 256 * 1024
CHUNK_LEAST = 2 * 1024


class Line:
    """A line of so many bytes a second, handed out in turns.

    Each download takes one chunk at a time and waits for the end of that chunk's own time on the
    line, so n downloads get an n-th each, whoever came first.

    Attributes:
        bytes_s: the rate; None: no limit.  May be changed at any time.
    """

    def __init__(self, bytes_s: float | None = None) -> None:
        self.bytes_s = bytes_s
        self._free_at = 0.0

    @property
    def chunk(self) -> int:
        """Bytes to send in one turn: about a twentieth of a second of the line."""
        if self.bytes_s is None:
            return CHUNK_MOST
        return max(CHUNK_LEAST, min(CHUNK_MOST, int(self.bytes_s / 20)))

    async def wait_turn(self, amount: int) -> None:
        """Waits until ``amount`` more bytes have had their time on the line."""
        if self.bytes_s is None:
            return
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now) + amount / self.bytes_s
        # Sleeps shorter than the loop's own accuracy would only burn CPU; the debt is kept.
        if self._free_at - now > 0.002:
            await asyncio.sleep(self._free_at - now)
