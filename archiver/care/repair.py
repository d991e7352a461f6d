"""Mends what a verification found: the damaged is set aside, and fetched or written again.

Rule 1: first the ledger says that a file is to be mended, then what stands there is moved: a video
at once, by ``care.recover`` after a crash; a small file when the good one is there.
Rule 2: a recorded path comes back with the recorded bytes alone.  A description is written at once,
from the text that the ledger keeps; everything else is asked for by the next run.
Rule 3: what cannot be had again is not asked for again: no verification starts an endless loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from archiver.adapters.ledger import SqliteLedger, Standing
from archiver.adapters.publish import LocalVault
from archiver.adapters.small_vault import is_same
from archiver.care.verify import Verdict
from archiver.care.witness import Finding
from archiver.core.bag import RECORDS, TAG_FILES
from archiver.core.events import Damaged, Found
from archiver.core.model import Holding, Instant, Job, JobKey, JobState, Saved
from archiver.met import met
from archiver.ports import Clock
from archiver.records.info import info_json

_AT_ONCE = 500  # paths in one question to the ledger


@dataclass(slots=True)
class Mended:
    """What was done about the findings.

    ``queued``: the next run asks for these files.  ``rewritten``: made anew from what is known.
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
            continue
        is_back = await _bring_back(vault, ledger, finding, known.holding, clock)
        if is_back is not None:
            (mended.rewritten if is_back else mended.queued).append(finding)
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
    if known.loss is not None:
        return f"; {known.loss or 'it waits for a run to ask the vendor for it again'}"
    if job is None:
        return ""
    if job.state not in (JobState.ARCHIVED, JobState.GONE):
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
    if job is None or job.state is JobState.GONE or known.newest > job.key.version:
        return False
    if job.state is JobState.ARCHIVED:
        aside = await vault.free_aside(holding)
        job = await ledger.record(job, Damaged(f"damaged: {finding.reason}", aside), now)
    await vault.set_aside(holding.path, job.path or await vault.free_aside(holding))
    met("L35")
    return True


async def _bring_back(
    vault: LocalVault, ledger: SqliteLedger, finding: Finding, holding: Holding, clock: Clock
) -> bool | None:
    """Write a description again; have another small file asked for (False) or leave it (None)."""
    text = await _text(ledger, holding)
    if text is not None and is_same(text, holding.sha256):
        await vault.restore_small(holding, text)
        await ledger.regain(holding, clock.now())
        return True
    return False if await ledger.lose(holding, finding.reason, clock.now()) else None


async def _text(ledger: SqliteLedger, holding: Holding) -> bytes | None:
    """What a description said; of one that an earlier program recorded, what it would say now."""
    text = await ledger.text(holding.path)
    if text is not None or holding.kind != "info":
        return text
    key = JobKey(holding.video_id, variant=holding.variant, version=holding.version)
    shelf = await ledger.shelf(key.video_id)
    of = shelf.recorded(key)
    return (
        None if of is None else info_json(Job(key, saved=Saved(of.bytes), sha256=of.sha256), shelf)
    )


async def _believe_again(
    vault: LocalVault, ledger: SqliteLedger, damaged: set[str], clock: Clock
) -> None:
    """A file that was given up and stands there whole again, by somebody's hand, is archived."""
    for job, holding in await ledger.repairs():
        lost = job.state is not JobState.GONE or holding.path in damaged
        if not lost and await vault.secured(holding):
            await ledger.record(job, Found((holding,)), clock.now())
    for holding in await ledger.lost():
        if holding.path not in damaged and await vault.secured(holding):
            await ledger.regain(holding, clock.now())
