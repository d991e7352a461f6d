"""Into the part, and into the ledger what of it is durable: never the other way round.

Rule 1: a stretch is reported after it was synced; dropped bytes are reported before they go.
Rule 2: bytes go on coming during a sync, but never more than ``Limits.sync_bytes`` count for
nothing yet; and there is one sync at a time.
Rule 3: a sync that began is waited for, also by a cancelled transfer, and none is left behind.
Rule 4: after the disk refused, nothing is synced again: a second fsync that succeeds means nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

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
        self._begun_at = asyncio.get_running_loop().time()  # the last sync
        self._begun_to = saved.bytes  # what it makes durable
        self._sync: asyncio.Task[None] | None = None
        self._lost = False

    @property
    def is_full(self) -> bool:
        """So much came that nothing more may until a sync ends; a read may bring a quarter."""
        return 4 * (self.part.offset - self.saved.bytes) >= 3 * self._limits.sync_bytes

    def begin_if_due(self, now: float) -> asyncio.Task[None] | None:
        """Begin a sync where enough came, or long enough ago by the loop's clock.

        Asked at every read.  Returns the sync that began now; whoever asked looks at its end.
        """
        is_due = (
            self.part.offset - self._begun_to >= self._limits.sync_bytes // 2
            or now - self._begun_at >= self._limits.sync_s
        )
        if not is_due or self._sync is not None:
            return None
        return self._begin(now)

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

    async def put(self, piece: bytes) -> None:
        """Take bytes in, and make them durable when it is time.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        self.take(piece)
        self.begin_if_due(asyncio.get_running_loop().time())
        await self.rest()

    async def rest(self) -> None:
        """Wait until there is room for more; look at how the last sync ended.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        while self.is_full:
            await self._settled(self._sync or self._begin(asyncio.get_running_loop().time()))

    async def settle(self) -> None:
        """Wait for a sync that is under way.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        if self._sync is not None and not self._lost:
            await self._settled(self._sync)

    async def give_up(self) -> None:
        """What came does not count, but no sync outlives its transfer."""
        try:
            await self.settle()
        except DestinationError:
            return  # told already, by whatever this one is given up for

    async def forget(self) -> None:
        """Drop every byte.  The ledger first: a crash in between leaves bytes that do not count."""
        await self.settle()
        if self.part.offset or self.saved.bytes:
            await self._settled(asyncio.create_task(self._forget()))
        self.saved, self._begun_to = NOTHING, 0

    async def keep(self) -> None:
        """Make durable what came, after the transfer broke.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        await self.settle()
        if not self._lost and self.saved.source and self.part.offset > self.saved.bytes:
            await self._settled(self._begin(asyncio.get_running_loop().time()))

    async def keep_if_possible(self) -> None:
        """The same for a cancelled transfer: soon over, and never in the way of the end."""
        # A cancelled scope cancels again at every await: without a shield nothing would be kept.
        with anyio.move_on_after(self._limits.keep_s, shield=True):
            try:
                await self.keep()
            except DestinationError:
                return  # what was not synced is fetched again

    def _begin(self, now: float) -> asyncio.Task[None]:
        self._begun_at, self._begun_to = now, self.part.offset
        self._sync = asyncio.create_task(self._checkpoint())
        return self._sync

    async def _checkpoint(self) -> None:
        durable = await self.part.sync()
        self.saved = replace(self.saved, bytes=durable)
        await self._report.durable(self.saved)
        self._sync = None

    async def _forget(self) -> None:
        self.saved = NOTHING
        await self._report.durable(NOTHING)
        await self.part.restart()

    async def _settled(self, task: asyncio.Task[None]) -> None:
        """Wait for *task*'s end, also where somebody cancels meanwhile (within ``keep_s``)."""
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
