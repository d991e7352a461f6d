"""Everything outside ``data/`` that the archive says of itself, written from the ledger.

Rule 1: whatever it is, it can be written again from the ledger alone: after a crash, by the next
command that takes the lock.
Rule 2: the bag's own protocol holds for all of it: the manifest of the tag files comes last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Protocol

from archiver.core.bag import (
    ARCHIVE_ID,
    BAG_INFO,
    COMPLETENESS,
    INVENTORY,
    TAG_MANIFEST,
    Contact,
    contact_in,
    manifest_line,
)
from archiver.core.completeness import is_later
from archiver.core.model import Holding, Instant, VideoId
from archiver.records.inventory import UNLISTED_KEY, Inventoried, inventory
from archiver.records.manifest import TagFiles, Texts, write_bag
from archiver.records.marks import LedgerMarks, Stamps

STATEMENT_KEY = "completeness"  # the statement of the last run, as it was written
CONTACT_KEY = "bag info"  # whose archive it is, by the fields of bag-info.txt


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


class Notes(Memory, Protocol):
    """A ledger that keeps notes, too."""

    async def meta_set(self, key: str, value: str) -> None:
        """Keep a note of ours."""
        ...

    async def meta_turn(self, key: str, before: str, after: str) -> None:
        """Change a note that still says *before*."""
        ...


class Bag(TagFiles, Stamps, Protocol):
    """Where tag files are written, and seen from outside."""


async def write_tag_files(
    vault: Bag, memory: Notes, now: Instant, *, is_checked: bool = False
) -> None:
    """Bring inventory, statement of completeness and bag up to date with the ledger.

    Args:
        is_checked: read what stands there, and make it anew if a byte of it differs; else what
            was marked as made is made anew only if it looks different from outside.

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
    contact = {**await _contact(vault, memory), ARCHIVE_ID: vault.archive_id}
    marks = LedgerMarks(vault, memory, is_believed=not is_checked)
    await write_bag(vault, memory.holdings, now, contact, further, marks)


async def keep_latest_statement(vault: TagFiles, memory: Notes) -> None:
    """Take over the statement that stands there, where it is of a later run than the ledger's.

    The ledger was put back from a backup then.  It counts where the manifest of the tag files has
    its hash: a damaged one would pass for whole from now on.
    """
    kept, stands = await memory.meta_get(STATEMENT_KEY), await vault.read_small(COMPLETENESS)
    if kept is None or stands is None or not is_later(stands.decode(errors="replace"), kept):
        return
    line = manifest_line(hashlib.sha256(stands).hexdigest(), COMPLETENESS)
    if line in (await vault.read_small(TAG_MANIFEST) or b"").decode(errors="replace"):
        await memory.meta_set(STATEMENT_KEY, stands.decode(errors="replace"))


async def keep_contact(vault: TagFiles, memory: Notes, contact: Contact) -> None:
    """Take over what *contact* says anew of whose archive it is; the rest stays."""
    if contact.fields:
        told = {**await _contact(vault, memory), **contact.fields}
        await memory.meta_set(CONTACT_KEY, json.dumps(told))


async def _contact(vault: TagFiles, memory: Memory) -> dict[str, str]:
    """Whose archive it is: by the ledger, or where that was lost, by the bag itself."""
    kept = await memory.meta_get(CONTACT_KEY)
    if kept is not None:
        return {str(name): str(text) for name, text in json.loads(kept).items()}
    return contact_in((await vault.read_small(BAG_INFO) or b"").decode(errors="replace"))


async def unlisted_in(memory: Memory) -> set[VideoId]:
    """Archived videos that the vendor's last whole listing did not name."""
    return {VideoId(each) for each in json.loads(await memory.meta_get(UNLISTED_KEY) or "[]")}
