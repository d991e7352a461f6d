"""What a run asks of its selection; every answer costs what it holds, not what the ledger holds."""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from archiver.adapters.ledger import rows
from archiver.adapters.ledger.schema import (
    LATER,
    LIVE,
    MIRROR_CONFLICT,
    MIRRORED,
    READY,
    REST,
)
from archiver.core.model import EXTRAS, NEVER, Instant, Job, JobState, VideoId
from archiver.ports import Window

WAIT_MOST_S = 26 * 3600.0  # no legal wait is longer: a clock was wrong when it was written

_JOIN = (
    f"SELECT {rows.JOB_COLUMNS} FROM queue CROSS JOIN job ON job.video_id = queue.video_id "
    "AND job.kind = iif(queue.variant = 'extras', 'extras', 'video') "
    "AND job.variant = queue.variant AND job.version = queue.version WHERE queue.variant = ? AND "
)


def select(db: sqlite3.Connection, ids: Sequence[VideoId]) -> None:
    """Add videos to the selection, and their newest jobs to the queue."""
    db.execute("BEGIN")
    try:
        db.executemany("INSERT OR IGNORE INTO fresh VALUES (?)", [(each,) for each in ids])
        db.execute("DELETE FROM fresh WHERE video_id IN (SELECT video_id FROM selected)")
        db.execute("INSERT INTO selected SELECT video_id FROM fresh")
        for kind in ("video", EXTRAS):
            db.execute(
                MIRRORED.format("job")
                + "FROM fresh CROSS JOIN main.job ON job.video_id = fresh.video_id "
                + f"WHERE job.kind = '{kind}'"
                + MIRROR_CONFLICT
            )
        db.execute("DELETE FROM fresh")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def leave(db: sqlite3.Connection, video_id: VideoId, variant: str) -> None:
    """Take a job out of this run's windows; the next run's selection has it again."""
    db.execute(
        f"UPDATE queue SET place = {REST} WHERE video_id = ? AND variant = ?", (video_id, variant)
    )


def window(db: sqlite3.Connection, now: Instant, variant: str, limit: int) -> Window:
    """The jobs in flight, and the next *limit* discovered ones that are due."""
    db.execute(
        f"UPDATE queue SET place = {READY} WHERE place = {LATER} AND variant = ? "
        "AND (due_at <= ? OR due_at > ?)",
        (variant, now, now + WAIT_MOST_S),
    )
    live = _jobs(db, f"place = {LIVE} ORDER BY queue.video_id", variant)
    ready = _jobs(
        db,
        f"place = {READY} ORDER BY queue.delete_at, queue.video_id LIMIT ?",
        variant,
        limit + 1,
    )
    next_due_at = db.execute(
        f"SELECT min(due_at) FROM queue WHERE place = {LATER} AND variant = ?", (variant,)
    ).fetchone()[0]
    return Window(
        jobs=tuple(live + ready[:limit]),
        more=len(ready) > limit,
        next_due_at=NEVER if next_due_at is None else Instant(next_due_at),
    )


def _jobs(db: sqlite3.Connection, where: str, *values: object) -> list[Job]:
    return [rows.job_of(row) for row in db.execute(_JOIN + where, values)]


def counts(db: sqlite3.Connection, variant: str) -> Mapping[JobState, int]:
    """How many selected videos stand in each state, each by its newest version."""
    found = db.execute(
        "SELECT state, count(*) FROM queue WHERE variant = ? GROUP BY state", (variant,)
    )
    return {JobState(state): count for state, count in found}


def wanted_bytes(db: sqlite3.Connection, variant: str) -> int | None:
    """The size of all that is not final, what is unknown taken as the mean; None: all unknown."""
    known, size, every = db.execute(
        "SELECT count(coalesce(job.saved_total, job.expected_bytes)), "
        "total(coalesce(job.saved_total, job.expected_bytes)), count(*) "
        "FROM queue CROSS JOIN job ON job.video_id = queue.video_id AND job.kind = 'video' "
        "AND job.variant = queue.variant AND job.version = queue.version WHERE queue.variant = ? "
        "AND job.state IN ('discovered', 'requested', 'available', 'fetched')",
        (variant,),
    ).fetchone()
    if not every:
        return 0
    return round(size * every / known) if known else None
