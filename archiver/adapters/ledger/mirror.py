"""Keeps the mirror of the run's selection in step with what is written of a job.

Rule: in the same transaction, and only where the mirror would be another.  A trigger costs each
row that is written a journal of its own, whether it fires or not (measured: 20 us of 57).
"""

# ruff: noqa: S608  only terms of ours are joined into SQL; values are bound

from __future__ import annotations

import sqlite3
from typing import Final

from archiver.adapters.ledger.schema import LATER, LIVE, MIRROR_CONFLICT, MIRRORED, READY, REST
from archiver.core.model import EXTRAS, NEVER, NOW, Job, JobState

_BEGUN: Final = frozenset({JobState.FETCHED, JobState.AVAILABLE, JobState.REQUESTED})
_OF = "WHERE video_id = ? AND variant = ? AND version = ?"
_MOVE = f"UPDATE queue SET state = ?, place = ?, due_at = ? {_OF}"
_NAME = f"UPDATE queue SET state = ? {_OF}"
_AGAIN = (
    MIRRORED.format("job") + "FROM main.job WHERE job.video_id = ? AND job.kind = ? "
    "AND job.variant = ? AND job.version = ? AND EXISTS ("
    "SELECT 1 FROM selected WHERE selected.video_id = job.video_id)" + MIRROR_CONFLICT
)


def follow(db: sqlite3.Connection, before: Job, after: Job) -> None:
    """The row of *before* is that of *after* now."""
    key = after.key
    if key.kind == EXTRAS or before.delete_at != after.delete_at:
        db.execute(_AGAIN, key)  # extras are as near as their video is
        return
    if key.kind != "video":
        return
    own = key.video_id, key.variant, key.version
    if before.state in _BEGUN and after.state in _BEGUN:
        # A file on its way stays where it is, whatever is due: most of what happens in a run.
        if before.state is not after.state:
            db.execute(_NAME, (after.state.value, *own))
    elif _told(before) != _told(after):
        due_at = None if after.due_at == NEVER else after.due_at
        db.execute(_MOVE, (after.state.value, _place(after), due_at, *own))


def _told(job: Job) -> tuple[object, ...]:
    return job.state, job.due_at, job.asked_at


def _place(job: Job) -> int:
    if job.state in _BEGUN:
        return LIVE
    if job.state is not JobState.DISCOVERED:
        return REST
    if job.asked_at is not None:
        return LIVE
    if job.due_at == NEVER:
        return REST
    return READY if job.due_at <= NOW else LATER
