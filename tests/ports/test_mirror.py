"""The mirror of a selection that is kept in step is the one that would be made anew."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from archiver.adapters.ledger import SqliteLedger
from archiver.core.events import (
    Asked,
    Available,
    Corrupt,
    Damaged,
    Delayed,
    Event,
    Fetched,
    Found,
    Gathered,
    GaveUp,
    Hindered,
    IllegalTransitionError,
    Lacking,
    LinkRefused,
    NotFound,
    Pending,
    Progressed,
    RanOut,
    Renewed,
    Reopened,
    Skipped,
    Stored,
    Unavailable,
)
from archiver.core.model import EXTRAS, NEVER, NOW, Holding, Instant, Job, Link, Saved, VideoId
from tests.ports.test_ledger import video

AT = Instant(1_700_000_000.0)
DUES = NOW, Instant(AT - 5), Instant(AT + 600), Instant(AT + 900), NEVER
EVENTS = 250


def an_event(dice: random.Random, job: Job) -> Event:
    """Anything that may happen, whether or not it fits."""
    key, due_at = job.key, dice.choice(DUES)
    held = Holding(
        key.video_id, key.kind, key.variant, key.version, f"data/{key}", 9, "ab" * 32, AT
    )
    saved = dice.choice((None, Saved(dice.randrange(9), 9)))
    every: tuple[Event, ...] = (
        Asked(AT), Pending(AT, due_at), Available(AT, Link("https://cdn.example/"), due_at),
        Unavailable(AT, due_at, "none"), NotFound(), Progressed(Saved(4, 9)), RanOut(AT, due_at),
        Delayed(AT, "slow", due_at, saved), Hindered("weather", due_at, saved),
        LinkRefused(AT, "refused", due_at, saved), Fetched(Saved(9, 9), "ab" * 32),
        Corrupt(AT, "bytes", due_at), Stored((held,)), Found((held,)), Damaged("gone"),
        GaveUp("person"), Skipped("rule"), Reopened("again"),
        Gathered(AT, due_at), Lacking(AT, due_at, "caption"), Renewed(AT, "age"),
    )  # fmt: skip
    return dice.choice(every)


async def answers(ledger: SqliteLedger) -> list[object]:
    """All that a run asks the mirror."""
    return [
        await ledger.window(AT, "mp4", 2), await ledger.window(AT, "mp4", 99),
        await ledger.window(AT, EXTRAS, 2), await ledger.window(AT, EXTRAS, 99),
        await ledger.counts("mp4"), await ledger.deletion("mp4", AT), await ledger.left(99, "mp4"),
        await ledger.extras_missing("mp4"), await ledger.undated("mp4", NOW),
        await ledger.wanted_bytes("mp4"),
    ]  # fmt: skip


async def anew(path: Path, ids: list[VideoId]) -> list[object]:
    """The same, of a selection made now."""
    async with await SqliteLedger.open(path, read_only=True) as ledger:
        await ledger.select(ids)
        return await answers(ledger)


@pytest.mark.parametrize("throw", range(4))
def test_what_happens_to_jobs_is_followed(tmp_path: Path, throw: int) -> None:
    """Whatever happens, in any order: places, counts and dates are those of the rows."""
    dice, path = random.Random(throw), tmp_path / "ledger.sqlite3"

    async def main() -> int:
        fitted = 0
        async with await SqliteLedger.open(path) as ledger:
            every = [video(number) for number in range(1, 9)]
            ids = [each.id for each in every[:6]]  # two are not selected
            await ledger.reconcile(every, AT, "mp4")
            await ledger.select(ids)
            await ledger.want_extras("mp4", AT)
            jobs = {job.key: job for job in (await ledger.window(AT, "mp4", 99)).jobs}
            jobs |= {job.key: job for job in (await ledger.extras_jobs(ids)).values()}
            while fitted < EVENTS:
                job = dice.choice(list(jobs.values()))
                try:
                    jobs[job.key] = await ledger.record(job, an_event(dice, job), AT)
                except IllegalTransitionError:
                    continue
                fitted += 1
                if fitted % 50 == 0:
                    await ledger.date({dice.choice(ids): dice.choice(DUES[1:])}, "mp4")
                if fitted % 10 == 0:
                    assert await answers(ledger) == await anew(path, ids)
        return fitted

    assert asyncio.run(main()) == EVENTS
