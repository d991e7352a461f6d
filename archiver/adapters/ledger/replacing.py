"""Next versions that only a listing speaks of: told apart, held back, let through.

Rule: what is held keeps its row and its reason; it is out of this run's windows, and the next
run's selection has it again.
"""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from archiver.adapters.ledger import intake, rows, selection
from archiver.core.events import Hindered
from archiver.core.lifecycle import apply
from archiver.core.listing import ACCEPTED, HELD, is_unasked_replacement
from archiver.core.model import NOW, Instant, Job


def unasked(db: sqlite3.Connection, variant: str) -> list[Job]:
    """The selected videos' next versions for which nothing was done yet."""
    found = db.execute(
        f"SELECT {rows.JOB_COLUMNS} FROM queue CROSS JOIN job ON job.video_id = queue.video_id "
        "AND job.kind = 'video' AND job.variant = queue.variant AND job.version = queue.version "
        "WHERE queue.variant = ? AND queue.version > 1 AND queue.state = 'discovered'",
        (variant,),
    )
    return [job for job in map(rows.job_of, found) if is_unasked_replacement(job)]


def hold(db: sqlite3.Connection, jobs: Sequence[Job], at: Instant) -> None:
    """Leave *jobs* for a run that accepts them."""
    for job in jobs:
        if job.reason != HELD:
            _say(db, job, HELD, at)


def accept(db: sqlite3.Connection, jobs: Sequence[Job], at: Instant) -> None:
    """Let *jobs* through, in the runs to come as well."""
    for job in jobs:
        _say(db, job, ACCEPTED, at)


def leave(db: sqlite3.Connection, jobs: Sequence[Job]) -> None:
    """Take *jobs* out of this run's windows."""
    for job in jobs:
        selection.leave(db, job.key.video_id, job.key.variant)


def _say(db: sqlite3.Connection, job: Job, reason: str, at: Instant) -> None:
    event = Hindered(reason, due_at=NOW)
    intake.record(db, job, apply(job, event), event, at)
