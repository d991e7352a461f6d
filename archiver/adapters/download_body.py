"""The body of an answer, piece by piece, from a host that may go silent, crawl or break off.

Rule: only the time spent waiting for the host counts against it, never our disk or our own limit.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp

from archiver.adapters.download_wire import Answer
from archiver.adapters.throttle import Throttle
from archiver.errors import BrokenError
from archiver.ports import Part, Progress


@dataclass(frozen=True, slots=True)
class Limits:
    """When a transfer has had enough.

    ``stall_s``: no byte for so long breaks it; None: 5 % of an address's life, from 2 s to
    60 s.  Under ``slow_bytes_s`` over ``slow_over_s`` breaks it as well.  A stretch is
    synced after ``sync_bytes`` or ``sync_s``; ``keep_s`` is what a cancelled transfer may take
    for its last sync (an interrupted run has 5 s in all).
    """

    stall_s: float | None = None
    slow_bytes_s: float = 1000.0
    slow_over_s: float = 60.0
    sync_bytes: int = 8 * 1024 * 1024
    sync_s: float = 5.0
    keep_s: float = 2.0


class Body:
    """Reads one answer's body."""

    def __init__(
        self, answer: Answer, report: Progress, throttle: Throttle, limits: Limits, stall_s: float
    ) -> None:
        self._content, self._origin = answer.response.content, answer.origin
        self._report, self._throttle, self._limits = report, throttle, limits
        self._stall_s = stall_s
        self._waited_s, self._came = 0.0, 0

    async def piece(self) -> bytes:
        """The next bytes; nothing at the end, which need not be the file's.

        Raises:
            BrokenError: the host broke off, went silent, or crawls.
        """
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(self._stall_s):
                piece = await self._content.readany()
        except TimeoutError as error:
            reason = f"{self._origin}: no byte for {self._stall_s:g} s"
            raise BrokenError(reason) from error
        except (aiohttp.ClientError, OSError) as error:
            reason = f"{self._origin} broke off: {type(error).__name__}"
            raise BrokenError(reason) from error
        if piece:
            self._report.received(len(piece))
            self._judge(now() - began, len(piece))
            await self._throttle.pay(len(piece))
        return piece

    def _judge(self, waited_s: float, count: int) -> None:
        self._waited_s += waited_s
        self._came += count
        if self._waited_s < self._limits.slow_over_s:
            return
        rate = self._came / self._waited_s
        if rate < self._limits.slow_bytes_s:
            raise BrokenError(f"{self._origin}: only {rate:.0f} bytes a second")
        self._waited_s, self._came = 0.0, 0

    async def compare(self, part: Part, start: int, end: int) -> bytes | None:
        """Compare the next bytes with the part's from *start* to *end*.

        Returns:
            What came beyond *end*, b"" where nothing did yet; None at the first difference.

        Raises:
            BrokenError: the body ended before *end*.
        """
        while start < end:
            piece = await self.piece()
            if not piece:
                raise BrokenError(f"{self._origin} sent less than it announced")
            ours = await part.read(start, min(len(piece), end - start))
            if not ours or not piece.startswith(ours):
                return None
            start += len(ours)
            if len(ours) < len(piece):
                if start < end:
                    return None  # the part is shorter than it is said to be
                return piece[len(ours) :]
        return b""

    async def first(self, count: int) -> bytes:
        """At least *count* bytes from the beginning, fewer only where there are no more."""
        found = b""
        while len(found) < count and (piece := await self.piece()):
            found += piece
        return found
