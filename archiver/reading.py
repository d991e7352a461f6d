"""Opening an archive for questions: beside a run, and on a read-only medium; nothing is changed.

Rule: light.  Nothing of what a run needs is imported here, neither the network nor the publisher.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from archiver.adapters import ledger
from archiver.adapters.causes import refusal
from archiver.adapters.ledger.asked import AtOnce
from archiver.adapters.ledger.reader import Reader
from archiver.adapters.places import ID_FILE, PRIVATE, no_identity
from archiver.core.bag import MANIFEST, TAG_FILES
from archiver.errors import DestinationError, LedgerLostError

LEDGER = "ledger.sqlite3"


def standing(dest: str) -> Path:
    """*dest*, or the nearest folder above it that is there: the disk where it is, or would be."""
    path = Path(dest).absolute()
    while not os.path.exists(path) and path != path.parent:  # noqa: PTH110  Path.exists may raise
        path = path.parent
    return path


def require_ledger(dest: str) -> None:
    """A ledger that is missing beside an archive's files is never silently begun anew."""
    root = Path(dest)
    ledger = root / PRIVATE / LEDGER
    is_there = ledger.exists()
    if not (root / PRIVATE / ID_FILE).exists():
        return
    if is_there and not ledger.is_file():
        raise LedgerLostError(f"The ledger of the archive in {dest} is no file.")
    if is_there and ledger.stat().st_size:
        return
    data, manifest = root / "data", root / MANIFEST
    named = manifest.is_file() and manifest.stat().st_size > 0
    if named or (data.is_dir() and any(data.iterdir())):
        how = "empty" if is_there else "missing"
        raise LedgerLostError(f"The ledger of the archive in {dest} is {how}.")


def has_ledger(dest: str) -> bool:
    """There is an archive in *dest*, and a run could go on with it.

    Raises:
        DestinationError: it may not be looked into, or has lost its ledger or its archive-id.
    """
    is_there, root = _has_ledger(dest), Path(dest)
    try:
        known = is_there or any((root / name).exists() for name in TAG_FILES)
        is_lost = known and not (root / PRIVATE / ID_FILE).exists()
    except OSError as error:
        raise refusal(error, f"looking into {dest}") from error
    if is_lost:
        raise no_identity(dest)
    return is_there


def _has_ledger(dest: str) -> bool:
    try:
        require_ledger(dest)
        return (Path(dest) / PRIVATE / LEDGER).is_file()
    except OSError as error:  # another user's: `.archiver` is its owner's alone
        raise refusal(error, f"looking into {dest}") from error


@asynccontextmanager
async def reading(dest: str) -> AsyncIterator[ledger.SqliteLedger]:
    """Open the ledger of *dest* for questions: beside a run, and on a read-only medium.

    Raises:
        DestinationError: there is no archive.
    """
    async with await ledger.SqliteLedger.open(_readable(dest), read_only=True) as opened:
        yield opened


@asynccontextmanager
async def asking(dest: str, *, at_once: bool) -> AsyncIterator[Reader]:
    """Like ``reading``, for questions alone.

    Args:
        at_once: the caller has nothing else to do meanwhile; then no event loop is needed.

    Raises:
        DestinationError: there is no archive.
    """
    if at_once:
        async with Reader(AtOnce(_readable(dest))) as opened:
            yield opened
    else:
        async with reading(dest) as opened:
            yield opened


def _readable(dest: str) -> Path:
    if not _has_ledger(dest) and not has_ledger(dest):
        raise DestinationError(
            f"There is no archive in {dest}.", "Name the folder that `archiver run --to` filled."
        )
    return Path(dest) / PRIVATE / LEDGER
