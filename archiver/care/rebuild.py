"""Rebuilds the ledger from the archive's files, and takes in what an older one does not know.

Rule 1: never silently: whoever opened the archive tells what happened, and how much came back.
Rule 2: the new ledger is written beside the old one and put in its place when it is complete; the
old one is kept, with its logs.  A crash at any instant leaves one or the other, or none, and then
this begins anew.  What is taken in is durable before: a copy may just have put it there.
Rule 3: what stands in the archive is neither fetched again nor overwritten; a damaged small file of
which no ledger knows more than the manifest's hash goes among the damaged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from archiver.adapters.ledger import Gathered, SqliteLedger
from archiver.adapters.places import PRIVATE
from archiver.adapters.publish import LocalVault
from archiver.care import beside, gathering
from archiver.core.model import Holding, Instant, VideoId
from archiver.core.naming import file_name
from archiver.errors import LedgerLostError
from archiver.met import met

T = TypeVar("T")

REBUILT = "rebuilt"  # a note in a ledger that was: what no file tells is not known to it
ASIDE = ".archiver/damaged"
_FRESH = "ledger.rebuilding.sqlite3"
_BATCH = 200
_LINES = 1_000  # of the manifest, in one question to the ledger


async def rebuild(
    dest: str, vault: LocalVault, name: str, now: Instant, why: str, say: Callable[[str], None]
) -> None:
    """Write the ledger *name* anew from sidecars, manifest and files.

    Args:
        why: what is wrong with the one that was, as a sentence.
        say: told what came of it.

    Raises:
        DestinationError: the disk is full or refuses; the old one is where it was.
    """
    await vault.forget(_FRESH)
    await vault.sync_all()
    private = Path(dest) / PRIVATE
    manifest = await _thread(partial(gathering.manifest_of, dest))
    known = dict[str, VideoId]()
    async with await SqliteLedger.open(private / _FRESH) as ledger:
        paths = partial(gathering.sidecars, dest)
        told = gathering.entries(dest, paths(), manifest)
        count = await _adopt_all(ledger, _noted(told, known), now)
        alone = [path for path in manifest if path not in known]
        rest = gathering.unaccompanied(dest, alone, manifest)
        count += await _adopt_all(ledger, _noted(rest, known), now)
        found = beside.extras(dest, gathering.files(dest), manifest, known)
        await _adopt_files(ledger, found, known, now)
        await ledger.meta_set(REBUILT, str(now))
    # Said before it is in its place: a crash in between begins anew, and is told anew.
    say(f"{why} It is rebuilt from the archive's files: {count} videos come back.")
    if lost := len(manifest.keys() - known.keys()):
        say(f"{lost} files of the manifest are gone, damaged or nobody's: they cannot be taken in.")
    kept = await vault.swap(_FRESH, name)
    met("L31")
    if kept:
        say(f"The old ledger is kept as .archiver/{kept}.")


async def _is_as_recorded(dest: str, ledger: SqliteLedger) -> bool:
    """The manifest is what the ledger comes to, to the byte: as a rule, and quickly told."""
    lines, after = gathering.raw_lines(dest), ""
    while True:
        text, after = await ledger.manifest(after, _LINES)
        if await _thread(lambda: "".join(islice(lines, _LINES))) != text:
            return False
        if not text:
            return True


async def _unknown(dest: str, ledger: SqliteLedger) -> list[str]:
    """The manifest's paths that the ledger does not know, as a rule none.

    The manifest streams through: that of a million videos is a quarter of a gigabyte.
    """
    lines, unknown = gathering.manifest_lines(dest), dict[str, None]()
    while some := await _thread(lambda: dict(islice(lines, _LINES))):
        for path, is_recorded in await ledger.unlike(list(some.items())):
            if not is_recorded:
                unknown[path] = None
            elif await _thread(partial(gathering.is_told, dest, path, some[path])):
                raise LedgerLostError("The ledger is damaged: it has another hash than the files.")
    return list(unknown)


async def catch_up(
    dest: str, vault: LocalVault, ledger: SqliteLedger, now: Instant, say: Callable[[str], None]
) -> None:
    """Take in what the manifest names and the ledger does not: it came from an older backup.

    Or it was rebuilt, and what is damaged could not be taken in.

    Raises:
        LedgerLostError: manifest and files agree on a hash, and the ledger has another.
        DestinationError: the ledger cannot be written.
    """
    if await _is_as_recorded(dest, ledger):
        return
    unknown = await _unknown(dest, ledger)
    if not unknown:
        return
    await vault.sync_all()
    manifest = await _thread(partial(gathering.manifest_of, dest))
    sidecars = [path for path in unknown if path.endswith(gathering.SIDECAR)]
    known = dict[str, VideoId]()
    told = gathering.entries(dest, sidecars, manifest)
    count = await _adopt_all(ledger, _noted(told, known), now)
    alone = [path for path in unknown if path not in known]
    videos = gathering.unaccompanied(dest, alone, manifest)
    count += await _adopt_all(ledger, _noted(videos, known), now)
    await _adopt_files(ledger, beside.extras(dest, unknown, manifest, known), known, now)
    if count:
        met("L34")
        say(f"The ledger is older than the archive: {count} videos that stand there were taken in.")
    rest = [path for path in unknown if path not in known]
    bad = await _thread(partial(gathering.damaged, dest, rest, manifest))
    for path in bad:
        await vault.set_aside(path, path.rpartition("/")[2])
    if bad:
        say(f"{len(bad)} damaged files of which no record is left are set aside in {ASIDE}.")


async def take_in(
    dest: str, vault: LocalVault, ledger: SqliteLedger, variant: str, now: Instant
) -> int:
    """Take in those selected videos that stand complete beside their sidecars; how many.

    A ledger from a backup does not know what was stored after it, nor does the manifest where the
    run that stored it was killed.
    """
    places = await ledger.places(variant)
    found = await _thread(partial(_complete, dest, places))
    if found:
        await vault.sync_all()
    count = await _adopt_all(ledger, iter(found), now)
    if count:
        met("L34")
    return count


def _complete(dest: str, places: Sequence[tuple[str, str, str, int]]) -> list[Gathered]:
    found = list[Gathered]()
    for folder, stem, variant, version in places:
        path = f"{folder}/{file_name(stem, 'info', variant, version)}"
        if not (Path(dest) / path).is_file():
            continue
        entry = gathering.entry_of(dest, path, {})
        if entry is not None and gathering.is_whole(dest, entry.holdings[0]):
            found.append(entry)
    return found


def _noted(found: Iterable[Gathered], known: dict[str, VideoId]) -> Iterator[Gathered]:
    for each in found:
        known[each.folder] = each.key.video_id
        known.update({held.path: held.video_id for held in each.holdings})
        yield each


async def _adopt_all(ledger: SqliteLedger, found: Iterator[Gathered], now: Instant) -> int:
    count = 0
    while batch := await _thread(lambda: list(islice(found, _BATCH))):
        count += await ledger.adopt(batch, now)
    return count


async def _adopt_files(
    ledger: SqliteLedger, found: Iterator[Holding], known: dict[str, VideoId], now: Instant
) -> None:
    while batch := await _thread(lambda: list(islice(found, _BATCH))):
        known.update({held.path: held.video_id for held in batch})
        await ledger.adopt_files(batch, now)


async def _thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)
