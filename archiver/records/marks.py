"""Marks in the ledger that a tag file stands as the ledger has it: a quiet night makes none anew.

Rule 1: a mark says that this file, seen in its place with this stamp, is what the ledger's rows
come to.  The ledger drops it in the transaction that changes one of them, so it holds for every
state that the ledger ever had: one that comes back from an old backup, too.
Rule 2: it is set once the file is durable in its place, and only if no row changed meanwhile.
Rule 3: a stamp does not see bytes that rot; ``verify`` reads them, and a repair believes no mark.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import Final, Protocol

from archiver.core.bag import INVENTORY, MANIFEST
from archiver.version import __version__

MARKED: Final = frozenset({MANIFEST, INVENTORY})  # made of the ledger's rows alone
_MAKING = ""  # of a file that is being made


def key_of(name: str) -> str:
    """The key of the note that is the mark of the tag file *name*."""
    return f"made {name}"


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a tag file: its hash; of a manifest, how many files it names and their bytes."""

    sha256: str
    count: int = 0
    bytes: int = 0


class Marks(Protocol):
    """Who remembers how tag files were made."""

    async def standing(self, name: str) -> Made | None:
        """How the file was made that stands there; None where it has to be made anew."""
        ...

    async def begin(self, name: str) -> None:
        """The file is going to be made."""
        ...

    async def keep(self, name: str, made: Made) -> None:
        """The file stands durable in its place."""
        ...


class Unmarked:
    """Remembers nothing: every file is made, and left alone only if it came out the same."""

    async def standing(self, name: str) -> Made | None:
        """See ``Marks``."""
        del name
        return None

    async def begin(self, name: str) -> None:
        """See ``Marks``."""

    async def keep(self, name: str, made: Made) -> None:
        """See ``Marks``."""


class Notes(Protocol):
    """A ledger, as far as marks are kept in it."""

    async def meta_get(self, key: str) -> str | None:
        """A note of ours by its key."""
        ...

    async def meta_set(self, key: str, value: str) -> None:
        """Keep a note of ours."""
        ...

    async def meta_turn(self, key: str, before: str, after: str) -> None:
        """Change a note that still says *before*."""
        ...


class Stamps(Protocol):
    """Who sees the tag files from outside."""

    async def stamp(self, name: str) -> str | None:
        """What changes with a file at the top of DEST; None where there is no plain file."""
        ...


class LedgerMarks:
    """Marks among the ledger's notes.

    Args:
        is_believed: False makes every file anew, whatever is marked.
    """

    def __init__(self, vault: Stamps, notes: Notes, *, is_believed: bool = True) -> None:
        self._vault, self._notes, self._is_believed = vault, notes, is_believed

    async def standing(self, name: str) -> Made | None:
        """See ``Marks``."""
        if name not in MARKED or not self._is_believed:
            return None
        mark = await self._notes.meta_get(key_of(name))
        if not mark:
            return None
        program, stamp, *made = json.loads(mark)
        # Another program may tell other things, or tell them otherwise.
        if program != __version__ or stamp != await self._vault.stamp(name):
            return None
        return Made(*made)

    async def begin(self, name: str) -> None:
        """See ``Marks``."""
        if name in MARKED:
            await self._notes.meta_set(key_of(name), _MAKING)

    async def keep(self, name: str, made: Made) -> None:
        """See ``Marks``."""
        if name not in MARKED:
            return
        stamp = await self._vault.stamp(name)
        if stamp is not None:
            mark = json.dumps([__version__, stamp, *astuple(made)])
            await self._notes.meta_turn(key_of(name), _MAKING, mark)
