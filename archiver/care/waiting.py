"""What a run learns of damaged files: a quick look at all of them, and which repairs are its own.

Rule 1: the look asks for name and size alone and reads nothing: ``verify`` reads.
Rule 2: nothing is set aside, deleted or fetched because of it; a person decides with ``--repair``.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from archiver.adapters.ledger import SqliteLedger
from archiver.core.model import JobState, VideoId
from archiver.core.selection import Filter
from archiver.lister import Lister
from archiver.met import met

_PAGE = 2_000  # files in one trip to a thread: some 10 ms


@dataclass(frozen=True, slots=True)
class Glance:
    """How many stored files are not there, or not as large as they were, and the first of them."""

    count: int = 0
    first: str = ""


async def glance(dest: str, ledger: SqliteLedger) -> Glance:
    """Look at every stored file from outside; what a repair is about to mend is not told again."""
    mended = {holding.path for _, holding in await ledger.repairs()}
    loop, root, after = asyncio.get_running_loop(), Path(dest), ""
    count, first = 0, ""
    while (page := await ledger.sizes(after, _PAGE)) and page[-1][0] > after:
        after = page[-1][0]
        odd = await loop.run_in_executor(None, partial(_odd, root, page))
        odd = [path for path in odd if path not in mended]
        count, first = count + len(odd), first or (odd[0] if odd else "")
    if count:
        met("L36")
    return Glance(count, first)


def _odd(root: Path, page: Sequence[tuple[str, int]]) -> list[str]:
    folders = {"": True}
    return [path for path, size in page if not _is_as_large(root, path, size, folders)]


def _is_as_large(root: Path, path: str, size: int, folders: dict[str, bool]) -> bool:
    if not _is_folder(root, path.rpartition("/")[0], folders):
        return False
    found = _lstat(root, path)
    return found is not None and stat.S_ISREG(found.st_mode) and found.st_size == size


def _is_folder(root: Path, path: str, known: dict[str, bool]) -> bool:
    """It is a folder, and through no link.  *known* remembers the answers."""
    if path not in known:
        above = _is_folder(root, path.rpartition("/")[0], known)
        found = _lstat(root, path) if above else None
        known[path] = found is not None and stat.S_ISDIR(found.st_mode)
    return known[path]


def _lstat(root: Path, path: str) -> os.stat_result | None:
    try:
        return os.lstat(os.path.join(root, path))
    except OSError:
        return None


def fates(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """What became in a run of the small files that were lost before it.

    Args:
        before, after: lost files, each with the reason why it cannot be had, "" where it may be.
    """
    if back := len(before.keys() - after.keys()):
        yield f"{back} files that were lost are back in their places"
    if given_up := sum(not reason and bool(after.get(path)) for path, reason in before.items()):
        yield f"{given_up} files that were lost cannot be had any more: `archiver verify` has them"
    if waiting := sum(not reason and after.get(path) == "" for path, reason in before.items()):
        yield f"{waiting} files that were lost are still to be asked for"


async def waiting(
    ledger: SqliteLedger, lister: Lister, wanted: Filter, variant: str
) -> tuple[list[VideoId], int]:
    """Damaged videos that no listing names any more, though the run asked for all of them.

    The vendor may have them yet; if not, the damaged copies go back to their places.  The same
    with videos that are whole, but beside which something is lost.

    Returns:
        These, and how many others wait for a run that selects them.
    """
    jobs = [job for job, _ in await ledger.repairs() if job.state is not JobState.GONE]
    damaged = [(job.key.video_id, job.key.variant == variant) for job in jobs]
    known = {number for number, _ in damaged}
    damaged += [(number, True) for number in await ledger.awaited() if number not in known]
    own, others = list[VideoId](), 0
    for number, is_ours in damaged:
        if is_ours and number in lister.wanted:
            continue
        video = (await ledger.shelf(number)).video
        unlisted = lister.covers(video.channel_id) and wanted.limit is None and wanted.admits(video)
        if is_ours and unlisted and not lister.has_listed(number):
            own.append(number)
        else:
            others += 1
    return own, others
