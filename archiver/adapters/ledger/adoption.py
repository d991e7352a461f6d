"""Takes in what stands in the archive and is not in the ledger: after a loss, or an old backup.

Rule: what the ledger knows already stays; a file comes in as stored, and is never fetched again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from archiver.adapters.ledger import rows
from archiver.adapters.ledger.payload import payload_of
from archiver.core.events import Found
from archiver.core.lifecycle import apply
from archiver.core.model import NEVER, Holding, Instant, Job, JobKey, JobState, Saved, Video


@dataclass(frozen=True, slots=True)
class Gathered:
    """One stored version of a video, as its own files tell it.  The first holding is the video."""

    key: JobKey
    video: Video
    channel_folder: str
    folder: str
    stem: str
    holdings: tuple[Holding, ...]


def adopt(db: sqlite3.Connection, found: Iterable[Gathered], at: Instant) -> int:
    """Take in stored files; how many videos became archived by that."""
    return sum(_adopt(db, each, at) for each in found)


def adopt_files(db: sqlite3.Connection, found: Iterable[Holding], at: Instant) -> int:
    """Take in what stands beside videos; how many files were not known."""
    count = 0
    for held in found:
        if db.execute("SELECT 1 FROM holding WHERE path = ?", (held.path,)).fetchone() is None:
            rows.insert_holding(db, held)
            key = JobKey(held.video_id, held.kind, held.variant, held.version)
            rows.insert_event(db, key, "Found", payload_of(held), at)
            count += 1
    return count


def _adopt(db: sqlite3.Connection, each: Gathered, at: Instant) -> int:
    video, own = each.video, each.holdings[0]
    known = "SELECT 1 FROM holding WHERE path = ?"
    if any(db.execute(known, (held.path,)).fetchone() for held in each.holdings[:1]):
        return 0
    if video.channel_id is not None:
        db.execute(
            "INSERT OR IGNORE INTO channel (id, title, folder, raw) VALUES (?, ?, ?, '{}')",
            (video.channel_id, rows.plain(video.channel_title or ""), each.channel_folder),
        )
    if db.execute("SELECT 1 FROM video WHERE id = ?", (video.id,)).fetchone() is None:
        rows.insert_video(db, video, each.folder, each.stem, at)
    event = Found(each.holdings)
    before = _job(db, each.key)
    if before is None:
        saved = Saved(own.bytes, own.bytes)
        rows.insert_job(
            db,
            Job(
                each.key, JobState.ARCHIVED, due_at=NEVER, saved=saved, most_bytes=own.bytes,
                expected_bytes=video.size_bytes, expected_s=video.length_s, sha256=own.sha256,
                path=own.path,
            ),
            at,
        )  # fmt: skip
    elif before.state is not JobState.ARCHIVED:
        rows.update_job(db, before, apply(before, event), at)
    rows.insert_event(db, each.key, "Found", payload_of(event), at)
    for held in each.holdings:
        if db.execute(known, (held.path,)).fetchone() is None:
            rows.insert_holding(db, held)
    return 1


def _job(db: sqlite3.Connection, key: JobKey) -> Job | None:
    found = db.execute(
        f"SELECT {rows.JOB_COLUMNS} FROM job "  # noqa: S608  a column list of ours
        "WHERE video_id = ? AND kind = ? AND variant = ? AND version = ?",
        (key.video_id, key.kind, key.variant, key.version),
    ).fetchone()
    return None if found is None else rows.job_of(found)
