"""Into the part, and into the ledger what of it is durable: never the other way round.

Rule 1: a stretch is reported after it was synced; dropped bytes are reported before they go.
Rule 2: a sync that began is waited for, also by a cancelled transfer: two at a time on one file
would be one too many.
Rule 3: after the disk refused, nothing is synced again: a second fsync that succeeds means nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import anyio

from archiver.adapters.download_body import Limits
from archiver.core.model import NOTHING, Saved
from archiver.errors import DestinationError
from archiver.ports import Part, Progress


class Intake:
    """One part during one transfer.

    ``saved`` describes what the part holds; its ``bytes`` are durable.
    """

    def __init__(self, part: Part, saved: Saved, report: Progress, limits: Limits) -> None:
        self.part, self.saved = part, saved
        self._report, self._limits = report, limits
        self._synced_at = asyncio.get_running_loop().time()
        self._lost = False

    def is_due(self, now: float) -> bool:
        """Enough came for a sync, or long enough ago by the loop's clock; asked at every read."""
        stretch = self.part.offset - self.saved.bytes
        return stretch >= self._limits.sync_bytes or now - self._synced_at >= self._limits.sync_s

    def take(self, piece: bytes) -> None:
        """Take bytes in.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        left = memoryview(piece)
        while left:
            room = self.part.room()
            count = min(len(room), len(left))
            room[:count] = left[:count]
            left = left[count:]
            self.filled(count)

    def filled(self, count: int) -> None:
        """*count* bytes of the part's room are valid now.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        try:
            self.part.filled(count)
        except DestinationError:
            self._lost = True
            raise

    async def checkpoint(self) -> None:
        """Make durable what came, when it is time.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        if self.is_due(asyncio.get_running_loop().time()):
            await self._whole(self._checkpoint())

    async def put(self, piece: bytes) -> None:
        """Take bytes in, and make them durable when it is time.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        self.take(piece)
        await self.checkpoint()

    async def forget(self) -> None:
        """Drop every byte.  The ledger first: a crash in between leaves bytes that do not count."""
        if self.part.offset or self.saved.bytes:
            await self._whole(self._forget())
        self.saved = NOTHING

    async def keep(self) -> None:
        """Make durable what came, after the transfer broke.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        if not self._lost and self.saved.source and self.part.offset > self.saved.bytes:
            await self._whole(self._checkpoint())

    async def keep_if_possible(self) -> None:
        """The same for a cancelled transfer: soon over, and never in the way of the end."""
        # A cancelled scope cancels again at every await: without a shield nothing would be kept.
        with anyio.move_on_after(self._limits.keep_s, shield=True):
            try:
                await self.keep()
            except DestinationError:
                return  # what was not synced is fetched again

    async def _checkpoint(self) -> None:
        durable = await self.part.sync()
        self.saved = replace(self.saved, bytes=durable)
        self._synced_at = asyncio.get_running_loop().time()
        await self._report.durable(self.saved)

    async def _forget(self) -> None:
        self.saved = NOTHING
        await self._report.durable(NOTHING)
        await self.part.restart()

    async def _whole(self, step: Coroutine[Any, Any, None]) -> None:
        """Do *step* to its end, also where somebody cancels meanwhile (within ``keep_s``)."""
        task = asyncio.create_task(step)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await asyncio.wait({task}, timeout=self._limits.keep_s)
            # Unfinished or failed: nobody knows what of the part is on the disk.
            self._lost = not task.done() or task.cancelled() or task.exception() is not None
            task.cancel()
            raise
        except DestinationError:
            self._lost = True
            raise
