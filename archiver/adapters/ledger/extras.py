"""What the ledger keeps of extras: answers as they came, and what is on its way to its name.

Rule 1: an answer is kept as soon as it is there, so that a step that was cut off asks on from it.
Rule 2: a small file is written down before it gets its name and recorded after; what a crash left
in between is taken over by ``care.recover``.
"""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from archiver.adapters.ledger import rows
from archiver.adapters.ledger.payload import payload_of
from archiver.core import rounds
from archiver.core.extras import NAMES, NOT_THERE
from archiver.core.lifecycle import apply
from archiver.core.model import Holding, Instant, Job, JobKey, VideoId
from archiver.core.rounds import CHANNEL, FIELDS, Answer

_NOBODY = 0  # whose answer it is that belongs to all videos: the fields of the custom metadata
_PLACING = "placing "  # and the kind: a file that is about to get its name
ROUNDS_MOST = 1000  # begun in one transaction
_KEEP = (
    "INSERT INTO extra (video_id, name, raw, asked_at) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (video_id, name) DO UPDATE SET asked_at = excluded.asked_at, raw = "
)


def answers(db: sqlite3.Connection, video_id: int) -> Mapping[str, Answer]:
    """What was answered about a video, or a channel, by name; the newest of each."""
    found = db.execute("SELECT name, raw, asked_at FROM extra WHERE video_id = ?", (video_id,))
    return {name: Answer(raw, Instant(at)) for name, raw, at in found if _is_answer(name)}


def _is_answer(name: str) -> bool:
    return not name.startswith(_PLACING)


def document_answers(db: sqlite3.Connection, video_id: int) -> Mapping[str, str]:
    """The answers that make up a document, and the names of the fields in them."""
    marks = ", ".join("?" * len(NAMES))
    found = db.execute(
        f"SELECT name, raw FROM extra WHERE (video_id = ? AND name IN ({marks})) "
        "OR (video_id = ? AND name = ?)",
        (video_id, *NAMES, _NOBODY, FIELDS),
    )
    return dict(found.fetchall())


def keep(db: sqlite3.Connection, video_id: int, name: str, raw: str, at: Instant) -> None:
    """Keep an answer; one that is not there any more leaves what was known of it."""
    if name == FIELDS:
        video_id = _NOBODY
    there = "excluded.raw" if raw != NOT_THERE else "raw"
    db.execute(_KEEP + there, (video_id, name, rows.plain(raw), at))


def begin(db: sqlite3.Connection, variant: str, now: Instant) -> int:
    """Begin the first rounds of videos, or versions, that had none; how many, at most ROUNDS_MOST.

    A few at a time: within one transaction, what SQLite keeps for undoing the selection's own
    tables is walked for each row (measured: 14.7 s for fifty thousand rows, else 5.4 s).
    """
    fresh = db.execute(
        "SELECT video_id, version FROM queue WHERE variant = ? AND state NOT IN "
        "('skipped', 'gone') AND NOT EXISTS (SELECT 1 FROM main.job WHERE "
        "job.video_id = queue.video_id AND job.kind = 'extras' AND job.variant = 'extras' "
        "AND job.version >= queue.version) LIMIT ?",
        (variant, ROUNDS_MOST),
    ).fetchall()
    for video_id, version in fresh:
        rows.insert_job(db, rounds.first_round(VideoId(video_id), version, now), now)
    return len(fresh)


def due(db: sqlite3.Connection, now: Instant, after: VideoId, *, refresh: bool) -> list[Job]:
    """The extras of the selection whose round may be over, or all of them.

    At most ROUNDS_MOST, of videos behind the number *after*.
    """
    found = db.execute(
        f"SELECT {rows.JOB_COLUMNS} FROM queue CROSS JOIN main.job ON "
        "job.video_id = queue.video_id AND job.kind = 'extras' AND job.variant = 'extras' "
        "AND job.version = queue.version WHERE queue.variant = 'extras' "
        "AND (? OR queue.state = 'discovered' OR queue.due_at <= ?) "
        "AND queue.video_id > ? ORDER BY queue.video_id LIMIT ?",
        (refresh, now, after, ROUNDS_MOST),
    )
    return [rows.job_of(row) for row in found]


def jobs(db: sqlite3.Connection, ids: Sequence[VideoId]) -> Mapping[VideoId, Job]:
    """The newest round of each video that had one, whatever the selection."""
    found: dict[VideoId, Job] = {}
    for video_id in ids:
        row = db.execute(
            f"SELECT {rows.JOB_COLUMNS} FROM main.job WHERE video_id = ? AND kind = 'extras' "
            "AND variant = 'extras' ORDER BY version DESC LIMIT 1",
            (video_id,),
        ).fetchone()
        if row is not None:
            found[video_id] = rows.job_of(row)
    return found


def renew(db: sqlite3.Connection, jobs: Iterable[Job], now: Instant, *, refresh: bool) -> int:
    """Begin the next rounds of *jobs*, where it is time for one; how many."""
    begun = 0
    for job in jobs:
        event = rounds.renewal(job, now, refresh=refresh)
        if event is not None:
            rows.update_job(db, job, apply(job, event), now)
            rows.insert_event(db, job.key, type(event).__name__, payload_of(event), now)
            begun += 1
    return begun


def are_open(db: sqlite3.Connection, key: JobKey) -> bool:
    """The extras of this version of a video are still to be asked for."""
    found = db.execute(
        "SELECT 1 FROM job WHERE video_id = ? AND kind = 'extras' AND version = ? "
        "AND state = 'discovered'",
        (key.video_id, key.version),
    )
    return found.fetchone() is not None


def missing(db: sqlite3.Connection, variant: str) -> int:
    """Of how many archived videos of the selection something is still to be asked for."""
    found = db.execute(
        "SELECT count(*) FROM queue CROSS JOIN queue AS video ON "
        "video.video_id = queue.video_id AND video.variant = ? WHERE queue.variant = 'extras' "
        "AND queue.state <> 'archived' AND video.state = 'archived'",
        (variant,),
    )
    return int(found.fetchone()[0])


def files(db: sqlite3.Connection, video_id: int) -> list[Holding]:
    """Every stored file that belongs to a video or a channel, beside the video itself."""
    found = db.execute(
        f"SELECT {rows.HOLDING_COLUMNS} FROM holding WHERE video_id = ? AND kind <> 'video' "
        "ORDER BY id",
        (video_id,),
    )
    return [rows.holding_of(row) for row in found]


def intend(db: sqlite3.Connection, holding: Holding) -> None:
    """A file is about to get its name."""
    at, told = holding.stored_at, payload_of(holding)
    db.execute(_KEEP + "excluded.raw", (holding.video_id, _PLACING + holding.kind, told, at))


def intents(db: sqlite3.Connection) -> list[Holding]:
    """What was about to get its name when the last process ended."""
    found = db.execute("SELECT raw FROM extra WHERE name LIKE ? || '%'", (_PLACING,))
    return [Holding(**json.loads(raw)) for (raw,) in found]


def placed(db: sqlite3.Connection, holding: Holding, answer: str, at: Instant) -> None:
    """A file has its name; *answer* is what need not be asked for again, "" for nothing."""
    rows.insert_holding(db, holding)
    key = JobKey(holding.video_id, holding.kind, holding.variant, holding.version)
    rows.insert_event(db, key, "Placed", payload_of(holding), at)
    drop(db, holding)
    if answer:
        keep(db, holding.video_id, answer, json.dumps(holding.sha256), at)


def drop(db: sqlite3.Connection, holding: Holding) -> None:
    """Nothing is about to get a name any more."""
    where = (holding.video_id, _PLACING + holding.kind)
    db.execute("DELETE FROM extra WHERE video_id = ? AND name = ?", where)


def channels(db: sqlite3.Connection, *, refresh: bool) -> list[tuple[int, str]]:
    """Number and folder of the selection's channels that have more than when they were asked for.

    Or all of them, with *refresh*.
    """
    found = db.execute(
        "SELECT channel.id, channel.folder FROM channel JOIN ("
        "SELECT video.channel_id AS number, max(holding.stored_at) AS stored_at FROM selected "
        "CROSS JOIN main.video ON video.id = selected.video_id CROSS JOIN holding ON "
        "holding.video_id = video.id AND holding.kind = 'video' GROUP BY video.channel_id"
        ") AS newest ON newest.number = channel.id LEFT JOIN extra ON "
        f"extra.video_id = channel.id AND extra.name = '{CHANNEL}' "
        "WHERE ? OR extra.asked_at IS NULL OR extra.asked_at < newest.stored_at "
        "ORDER BY channel.id",
        (refresh,),
    )
    return found.fetchall()
