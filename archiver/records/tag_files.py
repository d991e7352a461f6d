"""Everything outside ``data/`` that the archive says of itself, written from the ledger.

Rule 1: whatever it is, it can be written again from the ledger alone: after a crash, by the next
command that takes the lock.
Rule 2: the bag's own protocol holds for all of it: the manifest of the tag files comes last.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Protocol

from archiver.core.bag import COMPLETENESS, INVENTORY
from archiver.core.model import Holding, Instant, VideoId
from archiver.records.inventory import Inventoried, inventory
from archiver.records.manifest import TagFiles, Texts, write_bag

STATEMENT_KEY = "completeness"  # the statement of the last run, as it was written
UNLISTED_KEY = "unlisted"  # the numbers of archived videos that the vendor no longer lists


class Memory(Protocol):
    """A ledger, as far as the archive's records are made of it."""

    def holdings(self) -> AsyncIterator[Holding]:
        """Every stored file, by path."""
        ...

    def inventory(self) -> AsyncIterator[Inventoried]:
        """Every stored version of a video, by path."""
        ...

    async def meta_get(self, key: str) -> str | None:
        """A note of ours by its key."""
        ...


async def write_tag_files(vault: TagFiles, memory: Memory, now: Instant) -> None:
    """Bring inventory, statement of completeness and bag up to date with the ledger.

    Raises:
        DestinationError: the disk is full or refuses.
    """
    unlisted = await unlisted_in(memory)
    further: dict[str, Texts] = {INVENTORY: lambda: inventory(memory.inventory(), unlisted)}
    statement = await memory.meta_get(STATEMENT_KEY)
    if statement is None:  # a ledger that was rebuilt: what stands there is still the last one
        stands = await vault.read_small(COMPLETENESS)
        statement = None if stands is None else stands.decode(errors="replace")
    if statement is not None:
        text = statement
        further[COMPLETENESS] = lambda: [text]
    await write_bag(vault, memory.holdings, now, further=further)


async def unlisted_in(memory: Memory) -> set[VideoId]:
    """Archived videos that the vendor's last whole listing did not name."""
    return {VideoId(each) for each in json.loads(await memory.meta_get(UNLISTED_KEY) or "[]")}
