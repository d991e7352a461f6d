"""The body of an answer, piece by piece, from a host that may go silent, crawl or break off.

Rule: only the time spent waiting for the host counts against it, never our disk or our own limit.
Pieces are for the first bytes, for what is compared, and for bodies that do not say their length;
the rest of a file comes by ``download_stream``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import aiohttp

from archiver.adapters.download_patience import patiently
from archiver.adapters.download_wire import Answer
from archiver.adapters.throttle import Throttle
from archiver.core import resume
from archiver.core.model import NEVER
from archiver.errors import BrokenError, CorruptError
from archiver.met import met
from archiver.ports import Part, Progress


class Windows(Protocol):
    """What is known of the addresses: ``core.learning``."""

    @property
    def window_s(self) -> float:
        """How long an address lives, in seconds: the shortest one seen."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """When a transfer has had enough.

    ``stall_s``: no byte for so long breaks it; None: 5 % of an address's life, from 2 s to
    60 s.  Under ``slow_bytes_s`` over ``slow_over_s`` breaks it as well.  A stretch is
    synced after ``sync_bytes`` or ``sync_s``; ``keep_s`` is what a cancelled transfer may take
    for its last sync (an interrupted run has 5 s in all).  ``file_bytes``: no video is larger, so
    a body without an end has one.
    """

    stall_s: float | None = None
    slow_bytes_s: float = 1000.0
    slow_over_s: float = 60.0
    sync_bytes: int = 8 * 1024 * 1024
    sync_s: float = 5.0
    keep_s: float = 2.0
    file_bytes: int = 1 << 40

    def patience_s(self, seen: Windows | None) -> float:
        """How long no byte may come where addresses live as long as *seen* says."""
        if self.stall_s is not None:
            return self.stall_s
        return resume.stall_s(seen.window_s if seen else NEVER)


class Pace:
    """Judges a host by the bytes that came while nobody but it was waited for."""

    def __init__(self, origin: str, limits: Limits) -> None:
        self._origin, self._limits = origin, limits
        self._waited_s, self._came = 0.0, 0

    def judge(self, waited_s: float, count: int) -> None:
        """*count* bytes came in the next *waited_s* seconds.

        Raises:
            BrokenError: the host crawls.
        """
        self._waited_s += waited_s
        self._came += count
        if self._waited_s < self._limits.slow_over_s:
            return
        rate = self._came / self._waited_s
        if rate < self._limits.slow_bytes_s:
            met("D03")
            raise BrokenError(f"{self._origin}: only {rate:.0f} bytes a second")
        self._waited_s, self._came = 0.0, 0


class Body:
    """Reads one answer's body."""

    def __init__(
        self, answer: Answer, report: Progress, throttle: Throttle, limits: Limits, stall_s: float
    ) -> None:
        self._answer, self._origin = answer, answer.origin
        self._content = answer.response.content
        self._report, self._throttle, self._limits = report, throttle, limits
        self._stall_s = stall_s
        self.pace = Pace(self._origin, limits)
        self.came = 0  # bytes of this body

    @property
    def left(self) -> int:
        """Bytes that are still to come, as far as the head says; 0 where it does not."""
        return max(0, (self._answer.head.length or 0) - self.came)

    async def piece(self) -> bytes:
        """The next bytes; nothing at the end, which need not be the file's.

        Raises:
            BrokenError: the host broke off, went silent, or crawls.
            CorruptError: the host sent more than it had announced.
        """
        try:
            async with patiently(self._stall_s) as patience:
                piece = await self._content.readany()
                waited_s = patience.waited_s
        except TimeoutError as error:
            met("D02")
            reason = f"{self._origin}: no byte for {self._stall_s:g} s"
            raise BrokenError(reason) from error
        except (aiohttp.ClientError, OSError) as error:
            piece, waited_s = self._left(), 0.0
            if not piece:
                met("D01", "D04")  # by a reset or an early end: it is one to us
                reason = f"{self._origin} broke off: {type(error).__name__}"
                raise BrokenError(reason) from error
        if piece:
            self._report.received(len(piece))
            self.came += len(piece)
            self.pace.judge(waited_s, len(piece))
            if await self._throttle.pay(len(piece)) and self._content.is_eof():
                met("D35")  # the host is long done; what it sent waits for our own limit
        elif self._answer.has_surplus:
            met("D07", "D29")
            raise CorruptError(f"{self._origin} sent more than it had announced")
        return piece

    def waiting(self) -> list[bytes]:
        """What aiohttp has read already; when it is out of its hands, nothing is left there."""
        pieces = []
        while self._content.exception() is None and (piece := self._content.read_nowait(-1)):
            self._report.received(len(piece))
            self.came += len(piece)
            pieces.append(piece)
        return pieces

    def _left(self) -> bytes:
        """What came before the break, which aiohttp would drop: up to some 170 kB a break."""
        return self._content._read_nowait(-1)  # there is no public way

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
