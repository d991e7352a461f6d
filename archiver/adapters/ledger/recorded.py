"""What the archive's records are made of: stored versions with all that belongs to them.

Rule: each page is a statement of its own, so that no reader keeps the writer waiting.
"""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import sqlite3

from archiver.adapters.ledger import rows
from archiver.adapters.ledger.catalogue import PAGE
from archiver.core.extras import LABELS, labels
from archiver.core.model import ChannelId, Instant, JobKey, VideoId
from archiver.core.summary import Failure
from archiver.records.history import Happening, happening
from archiver.records.inventory import Inventoried

# The vendor's own JSON is most of what is known of a video, and no line of ours needs it.
_TOLD, _TOLD_WIDTH = rows.VIDEO_COLUMNS.removesuffix(", video.raw"), rows.VIDEO_WIDTH - 1
_OTHER = "FROM holding AS other WHERE other.video_id = holding.video_id AND other.kind = 'caption'"
_ASKED = (
    "FROM job WHERE job.video_id = holding.video_id AND job.kind = holding.kind "
    "AND job.variant = holding.variant AND job.version = holding.version"
)
_GONE = (
    "FROM job WHERE job.video_id = holding.video_id AND job.kind = 'video' AND job.state = 'gone'"
)


def inventory(db: sqlite3.Connection, after: str) -> list[Inventoried]:
    """The next page of stored versions behind the path *after*, by path."""
    found = db.execute(
        f"SELECT {_TOLD}, {rows.HOLDING_COLUMNS}, "
        f"(SELECT expected_s {_ASKED}), "
        "(SELECT raw FROM extra WHERE extra.video_id = holding.video_id AND name = ?), "
        f"(SELECT group_concat(other.variant) {_OTHER}), EXISTS (SELECT 1 {_GONE}) "
        "FROM holding JOIN video ON video.id = holding.video_id "
        "WHERE holding.path > ? AND holding.kind = 'video' ORDER BY holding.path LIMIT ?",
        (LABELS, after, PAGE),
    )
    return [
        Inventoried(
            rows.video_of((*row[:_TOLD_WIDTH], "{}")),
            rows.holding_of(row[_TOLD_WIDTH:-4]),
            length_s=row[-4],
            labels=labels(row[-3]) if row[-3] else (),
            captions=tuple(sorted(set((row[-2] or "").split(",")) - {""})),
            is_gone=bool(row[-1]),
        )
        for row in found
    ]


def left(db: sqlite3.Connection, limit: int, variant: str) -> list[Failure]:
    """Selected videos whose newest version is not archived, by number."""
    found = db.execute(
        "SELECT job.video_id, video.title, job.state, job.reason, job.failures FROM queue "
        "JOIN job ON job.video_id = queue.video_id AND job.kind = 'video' "
        "AND job.variant = queue.variant AND job.version = queue.version "
        "JOIN video ON video.id = job.video_id WHERE queue.variant = ? "
        "AND queue.state <> 'archived' ORDER BY job.video_id LIMIT ?",
        (variant, limit),
    )
    return [Failure(VideoId(row[0]), *row[1:]) for row in found]


def stored_videos(db: sqlite3.Connection, after: VideoId) -> list[tuple[VideoId, ChannelId | None]]:
    """The next page of videos behind *after* of which a version is stored, with their channels."""
    return db.execute(
        "SELECT id, channel_id FROM video WHERE id > ? AND EXISTS (SELECT 1 FROM holding WHERE "
        "holding.video_id = video.id AND holding.kind = 'video') ORDER BY id LIMIT ?",
        (after, PAGE),
    ).fetchall()


def happenings(db: sqlite3.Connection, after: int, since: Instant) -> list[Happening]:
    """The next page of the event log behind the row *after*."""
    found = db.execute(
        "SELECT id, at, video_id, kind, variant, version, name, payload, (SELECT path FROM holding "
        "WHERE holding.video_id = event.video_id AND holding.kind = event.kind AND "
        "holding.variant = event.variant AND holding.version = event.version ORDER BY id LIMIT 1) "
        "FROM event WHERE id > ? AND at >= ? ORDER BY id LIMIT ?",
        (after, since, PAGE),
    )
    return [
        happening(row[0], row[1], JobKey(VideoId(row[2]), *row[3:6]), *row[6:]) for row in found
    ]
