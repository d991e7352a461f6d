"""What the vendor is going to delete, as far as the ledger knows."""

# ruff: noqa: S608  only terms of ours are joined into SQL; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from archiver.core.model import DAY_S, NEVER, Instant, VideoId
from archiver.core.summary import Deletion

NEAR_S = 31 * DAY_S  # what is deleted within this time is worth a warning
TOLD_MOST = 1000  # in a report; ``archiver status`` has the rest


def undated(db: sqlite3.Connection, variant: str, since: Instant) -> list[VideoId]:
    """The selected videos that are not safe yet and were added after *since*, oldest first.

    Of one without a date nobody can tell: it is among them, and last.
    """
    found = db.execute(
        "SELECT queue.video_id FROM queue CROSS JOIN video ON video.id = queue.video_id "
        "WHERE queue.variant = ? AND queue.state NOT IN ('archived', 'gone') "
        "AND coalesce(video.added_at, video.created_at, 9e999) >= ? "
        "ORDER BY coalesce(video.added_at, video.created_at, 9e999), queue.video_id",
        (variant, since),
    )
    return [VideoId(number) for (number,) in found]


def date(db: sqlite3.Connection, dates: Mapping[VideoId, Instant], variant: str) -> None:
    """Keep when the vendor deletes each video; those that it keeps lose the date they had."""
    known = [(None if at == NEVER else at, number, variant) for number, at in dates.items()]
    where = "video_id = ? AND variant = ? AND state <> 'archived'"
    db.executemany(f"UPDATE job SET delete_at = ? WHERE kind = 'video' AND {where}", known)
    db.executemany(f"UPDATE queue SET delete_at = coalesce(?, 9e999) WHERE {where}", known)


def deletion(db: sqlite3.Connection, variant: str, now: Instant) -> Deletion:
    """Which selected videos the vendor deletes soon, and which of them are not safe yet."""
    near = "FROM queue WHERE variant = ? AND delete_at <= ? AND state <> 'gone' AND "
    of = variant, now + NEAR_S
    safe = db.execute(f"SELECT count(*) {near} state = 'archived' AND delete_at >= ?", (*of, now))
    endangered = db.execute(
        f"SELECT video_id {near} state <> 'archived' ORDER BY delete_at, video_id", of
    ).fetchall()
    numbers = tuple(VideoId(number) for (number,) in endangered)
    return Deletion(safe.fetchone()[0] + len(numbers), numbers[:TOLD_MOST])
