"""Mends what a verification found: the damaged is set aside, and fetched or written again.

Rule 1: first the ledger says that a file is to be mended, then what stands there is moved; a crash
between the two is ended by ``care.recover``.
Rule 2: a recorded path comes back with the recorded bytes alone.  A video is asked for by the next
run; a sidecar is written at once, and beside its old place where the listing says more by now.
Rule 3: what cannot be had again is not asked for again: no verification starts an endless loop.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from archiver.adapters.ledger import SqliteLedger, Standing
from archiver.adapters.publish import LocalVault
from archiver.care.verify import Verdict
from archiver.care.witness import Finding
from archiver.core.bag import RECORDS, TAG_FILES
from archiver.core.events import Damaged, Found
from archiver.core.model import Instant, Job, JobState, Saved
from archiver.core.naming import numbered
from archiver.met import met
from archiver.ports import Clock
from archiver.records.info import info_json

_AT_ONCE = 500  # paths in one question to the ledger


@dataclass(slots=True)
class Mended:
    """What was done about the findings.

    ``queued``: the next run asks for these videos.  ``rewritten``: made anew from what is known.
    The others stay as they are, for the reason that each finding gives.
    """

    queued: list[Finding] = field(default_factory=list)
    rewritten: list[Finding] = field(default_factory=list)


async def repair(vault: LocalVault, ledger: SqliteLedger, verdict: Verdict, clock: Clock) -> Mended:
    """Set aside and queue, or write anew, whatever *verdict* found missing or changed.

    Raises:
        DestinationError: the disk is full or refuses.
    """
    mended = Mended()
    async for finding, known in _known(ledger, [*verdict.missing, *verdict.changed]):
        if not await vault.is_reachable(finding.path):
            continue
        if known.holding.kind == "video":
            if await _queue(vault, ledger, finding, known, clock.now()):
                mended.queued.append(finding)
        elif known.holding.kind == "info" and known.beside is None:
            await _rewrite(vault, ledger, known, clock.now())
            mended.rewritten.append(finding)
    damaged = {finding.path for finding in (*verdict.missing, *verdict.changed)}
    await _believe_again(vault, ledger, damaged, clock)
    tags = [finding for finding in verdict.changed if finding.path in (*TAG_FILES, *RECORDS)]
    for finding in tags:
        await vault.clear_way(finding.path)
    mended.rewritten += tags  # by whoever writes the bag, in the end
    return mended


async def explain(ledger: SqliteLedger, verdict: Verdict) -> None:
    """Say of each damaged file what has become of it, beside what is wrong with it."""
    for findings in (verdict.missing, verdict.changed):
        known = {finding.path: standing async for finding, standing in _known(ledger, findings)}
        findings[:] = [
            replace(each, reason=f"{each.reason}{_fate(known[each.path])}")
            if each.path in known
            else each
            for each in findings
        ]


async def _known(
    ledger: SqliteLedger, findings: Sequence[Finding]
) -> AsyncIterator[tuple[Finding, Standing]]:
    own = [finding for finding in findings if finding.id]
    for start in range(0, len(own), _AT_ONCE):
        page = own[start : start + _AT_ONCE]
        known = await ledger.standing([finding.path for finding in page])
        for finding in page:
            if finding.path in known:
                yield finding, known[finding.path]


def _fate(known: Standing) -> str:
    job = known.job
    if known.beside is not None:
        return f"; a new one stands beside it: {PurePosixPath(known.beside).name}"
    if known.holding.kind != job.key.kind:
        return ""
    if known.is_mended:
        parked = f", but: {job.reason}" if job.state is JobState.PARKED else ""
        return f"; it waits for a run to fetch it again{parked}"
    if job.state is JobState.GONE:
        return f"; {job.reason}"
    if known.newest > job.key.version:
        return f"; the vendor replaced it: what there is now is version {known.newest}"
    return ""


async def _queue(
    vault: LocalVault, ledger: SqliteLedger, finding: Finding, known: Standing, now: Instant
) -> bool:
    """Have a video fetched again; False where the vendor has these bytes no more."""
    job, holding = known.job, known.holding
    if job.state is JobState.GONE or known.newest > job.key.version:
        return False
    if job.state is JobState.ARCHIVED:
        aside = await vault.free_aside(holding)
        job = await ledger.record(job, Damaged(f"damaged: {finding.reason}", aside), now)
    await vault.set_aside(holding.path, job.path or await vault.free_aside(holding))
    met("L35")
    return True


async def _rewrite(vault: LocalVault, ledger: SqliteLedger, known: Standing, now: Instant) -> None:
    """Write a sidecar anew: in its place if the very same bytes come of it, else beside."""
    old, key = known.holding, known.job.key
    shelf = await ledger.shelf(old.video_id)
    of = shelf.recorded(key)
    if of is None:
        return
    text = info_json(Job(key, saved=Saved(bytes=of.bytes), sha256=of.sha256), shelf)
    await vault.set_aside(old.path, await vault.free_aside(old))
    if hashlib.sha256(text).hexdigest() == old.sha256:
        await vault.put_small(old.path, text)
        return
    placed = await vault.put_small(_numbered_path(old.path), text)
    new = replace(old, path=placed.path, bytes=placed.bytes, sha256=placed.sha256, stored_at=now)
    await ledger.add_holding(new, now)


def _numbered_path(path: str) -> str:
    """The name beside a file's own."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{numbered(name, 2)}"


async def _believe_again(
    vault: LocalVault, ledger: SqliteLedger, damaged: set[str], clock: Clock
) -> None:
    """A file that was given up and stands there whole again, by somebody's hand, is archived."""
    for job, holding in await ledger.repairs():
        lost = job.state is not JobState.GONE or holding.path in damaged
        if not lost and await vault.state_of(holding):
            await ledger.record(job, Found((holding,)), clock.now())
