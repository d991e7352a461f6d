"""What earlier listings had: how many, when, and which videos."""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from archiver.adapters.ledger import rows
from archiver.core.model import Instant, Video, VideoId
from archiver.core.recency import UNFINISHED_S, LastListing

PAGE = 2_000  # members in memory at a time


def last(db: sqlite3.Connection, source: str) -> LastListing | None:
    """The last listings of *source*; None before the first whole one."""
    found = db.execute("SELECT listed, at, seen_at FROM listing WHERE source = ?", (source,))
    row = found.fetchone()
    return None if row is None else LastListing(row[0], Instant(row[1]), Instant(row[2]))


def note(
    db: sqlite3.Connection, source: str, count: int, now: Instant, ids: Collection[VideoId]
) -> None:
    """A whole listing had *count* videos: keep that, and which, if there are *ids*."""
    db.execute(
        "INSERT INTO listing (source, listed, at, seen_at) VALUES (?, ?, ?, ?) ON CONFLICT "
        "(source) DO UPDATE SET listed = excluded.listed, at = excluded.at, "
        "seen_at = excluded.seen_at",
        (source, count, now, now),
    )
    db.execute("DELETE FROM listed WHERE source = ?", (source,))
    _add(db, source, ids)


def note_recent(
    db: sqlite3.Connection, source: str, now: Instant, ids: Collection[VideoId]
) -> None:
    """The newest part of a listing had *ids*; the rest is as it was."""
    db.execute("UPDATE listing SET seen_at = ? WHERE source = ?", (now, source))
    _add(db, source, ids)


def _add(db: sqlite3.Connection, source: str, ids: Collection[VideoId]) -> None:
    db.executemany("INSERT OR IGNORE INTO listed VALUES (?, ?)", [(source, each) for each in ids])


def is_covered(db: sqlite3.Connection, source: str, variant: str) -> bool:
    """Every video that the last whole listing of *source* had is known in *variant*."""
    found = db.execute(
        "SELECT count(*) >= (SELECT listed FROM listing WHERE source = :source) AND NOT EXISTS ("
        "SELECT 1 FROM listed WHERE source = :source AND NOT EXISTS (SELECT 1 FROM job WHERE "
        "job.video_id = listed.video_id AND job.kind = 'video' AND job.variant = :variant)) "
        "FROM listed WHERE source = :source",
        {"source": source, "variant": variant},
    )
    return bool(found.fetchone()[0])


def unfinished(db: sqlite3.Connection, source: str, variant: str, now: Instant) -> set[VideoId]:
    """The young videos of *source* that were still being recorded when they were listed."""
    found = db.execute(
        "SELECT job.video_id FROM job JOIN video ON video.id = job.video_id JOIN listed ON "
        "listed.source = ? AND listed.video_id = job.video_id WHERE job.state <> 'archived' AND "
        "job.state = 'skipped' AND job.kind = 'video' AND job.variant = ? AND video.added_at > ?",
        (source, variant, now - UNFINISHED_S),
    )
    return {VideoId(number) for (number,) in found}


def members(db: sqlite3.Connection, source: str, after: VideoId) -> list[Video]:
    """The next page of the videos of *source* behind the number *after*."""
    found = db.execute(
        f"SELECT {rows.VIDEO_COLUMNS} FROM listed CROSS JOIN video ON video.id = listed.video_id "
        "WHERE listed.source = ? AND listed.video_id > ? ORDER BY listed.video_id LIMIT ?",
        (source, after, PAGE),
    )
    return [rows.video_of(row) for row in found]
