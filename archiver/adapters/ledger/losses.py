"""Small files that are not as they were recorded: asked for again, or given up, and why.

A damaged video has its job for that; what stands beside videos has a row here, which goes when the
recorded bytes are back.  Descriptions come back from the text that is kept with their record.
"""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping

from archiver.adapters.ledger import rows
from archiver.adapters.ledger.payload import payload_of
from archiver.core.lifecycle import apply
from archiver.core.model import EXTRAS, Holding, Instant, JobKey, VideoId
from archiver.core.rounds import CHANNEL, asked_back

_LOST = f"SELECT {rows.HOLDING_COLUMNS} FROM loss JOIN holding ON holding.id = loss.holding "


def text_of(db: sqlite3.Connection, path: str) -> bytes | None:
    """What the description at *path* said when it was recorded; None where that is not known."""
    row = db.execute(
        "SELECT text.text FROM text JOIN holding ON holding.id = text.holding WHERE path = ?",
        (path,),
    ).fetchone()
    try:
        return None if row is None else zlib.decompress(row[0])
    except zlib.error:  # no check of the ledger reads it
        return None


def reason_of(db: sqlite3.Connection, path: str) -> str | None:
    """Why a lost file cannot be had; "" while it is asked for; None for one that is not lost."""
    row = db.execute(
        "SELECT reason FROM loss JOIN holding ON holding.id = loss.holding WHERE path = ?", (path,)
    ).fetchone()
    return None if row is None else str(row[0])


def lost(db: sqlite3.Connection, number: int | None = None) -> list[Holding]:
    """Every file that is lost, or those of a video or channel."""
    found = db.execute(
        _LOST + "WHERE ?1 IS NULL OR holding.video_id = ?1 ORDER BY holding.id", (number,)
    )
    return [rows.holding_of(row) for row in found]


def losses(db: sqlite3.Connection) -> Mapping[str, str]:
    """The paths of all lost files, each with why it cannot be had, "" where it may be."""
    query = "SELECT path, reason FROM loss JOIN holding ON holding.id = loss.holding"
    return dict(db.execute(query).fetchall())


def awaited(db: sqlite3.Connection) -> list[VideoId]:
    """The videos of which a lost file is asked for again."""
    found = db.execute(
        "SELECT DISTINCT video.id FROM loss JOIN holding ON holding.id = loss.holding "
        "JOIN video ON video.id = holding.video_id WHERE loss.reason = '' AND holding.kind <> ?",
        (CHANNEL,),
    )
    return [VideoId(number) for (number,) in found]


def lose(db: sqlite3.Connection, holding: Holding, why: str, at: Instant) -> bool:
    """Ask for a damaged file again, with everything of its video or channel.

    Args:
        why: what is wrong with it.

    Returns:
        False where it cannot be had: the reason is told by ``reason_of``.
    """
    known = reason_of(db, holding.path)
    if known is not None:
        return not known
    gone = "" if holding.kind == CHANNEL else _gone(db, holding.video_id)
    _note(db, holding, at, gone)
    rows.insert_event(db, _key(holding), "Damaged", json.dumps({"reason": why}), at)
    if holding.kind == CHANNEL:
        asked = "UPDATE extra SET asked_at = 0 WHERE video_id = ? AND name = ?"
        db.execute(asked, (holding.video_id, CHANNEL))
    elif not gone:
        _renew(db, holding.video_id, at)
    return not gone


def regain(db: sqlite3.Connection, holding: Holding, at: Instant) -> None:
    """The recorded bytes stand in their place again."""
    db.execute("DELETE FROM loss WHERE holding = (SELECT id FROM holding WHERE path = ?)",
               (holding.path,))  # fmt: skip
    rows.insert_event(db, _key(holding), "Rewritten", payload_of(holding), at)


def give_up(db: sqlite3.Connection, number: int, at: Instant) -> None:
    """All was asked for: what did not come back of a video or channel cannot be had any more."""
    waiting = _LOST + "WHERE holding.video_id = ? AND loss.reason = ''"
    for row in db.execute(waiting, (number,)).fetchall():
        holding = rows.holding_of(row)
        reason = _beside(db, holding) or "the vendor does not have it any more, or does not show it"
        _note(db, holding, at, reason)
        rows.insert_event(db, _key(holding), "Lost", json.dumps({"reason": reason}), at)


def _note(db: sqlite3.Connection, holding: Holding, at: Instant, reason: str) -> None:
    db.execute(
        "INSERT INTO loss (holding, at, reason) SELECT id, ?, ? FROM holding WHERE path = ? "
        "ON CONFLICT (holding) DO UPDATE SET at = excluded.at, reason = excluded.reason",
        (at, rows.plain(reason), holding.path),
    )


def _gone(db: sqlite3.Connection, number: VideoId) -> str:
    """Why the vendor has nothing of the video any more; "" as far as is known it has."""
    row = db.execute(
        "SELECT state, reason FROM job WHERE video_id = ? AND kind = 'video' "
        "ORDER BY version DESC LIMIT 1",
        (number,),
    ).fetchone()
    return str(row[1]) if row is not None and row[0] == "gone" else ""


def _renew(db: sqlite3.Connection, number: VideoId, at: Instant) -> None:
    """Begin a round of the video's extras; where there never was one, a run begins it."""
    row = db.execute(
        f"SELECT {rows.JOB_COLUMNS} FROM job WHERE video_id = ? AND kind = ? "
        "ORDER BY version DESC LIMIT 1",
        (number, EXTRAS),
    ).fetchone()
    if row is not None:
        job, event = rows.job_of(row), asked_back(at)
        rows.update_job(db, job, apply(job, event), at)
        rows.insert_event(db, job.key, type(event).__name__, payload_of(event), at)


def _beside(db: sqlite3.Connection, held: Holding) -> str:
    """That another file came in the place of this one, if one did."""
    row = db.execute(
        "SELECT path FROM holding WHERE video_id = ? AND kind IN (?, ?) AND (variant = ? OR "
        "kind <> 'caption') AND id > (SELECT id FROM holding WHERE path = ?) "
        "ORDER BY id DESC LIMIT 1",
        (held.video_id, held.kind, "details" if held.kind == "info" else held.kind,
         held.variant, held.path),
    ).fetchone()  # fmt: skip
    if row is None:
        return ""
    return f"the vendor has other bytes now: {row[0].rpartition('/')[2]}"


def _key(holding: Holding) -> JobKey:
    return JobKey(holding.video_id, holding.kind, holding.variant, holding.version)
