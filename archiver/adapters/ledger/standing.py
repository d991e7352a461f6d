"""What is recorded of single files, and which of them a job is about to mend.

A job that is not archived and has a holding of its own key is a repair: the holding says what has
to come back.
"""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from archiver.adapters.ledger import losses, rows
from archiver.adapters.ledger.schema import NOT_ARCHIVED
from archiver.core.model import Holding, Job, JobKey

_OWN = (
    "holding.video_id = job.video_id AND holding.kind = job.kind "
    "AND holding.variant = job.variant AND holding.version = job.version"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one recorded file.

    ``job`` brought the video, or mends it; ``newest`` is the video's newest version.  A small file
    has none: ``loss`` says why it cannot be had, "" while it is asked for, None where it is not
    known to be lost.
    """

    holding: Holding
    job: Job | None = None
    newest: int = 0
    loss: str | None = None


def standing(db: sqlite3.Connection, paths: Sequence[str]) -> Mapping[str, Standing]:
    """What is known of the files at *paths*; those that nobody recorded are left out."""
    found = {}
    held = f"SELECT {rows.HOLDING_COLUMNS} FROM holding WHERE path = ?"
    for path in paths:
        row = db.execute(held, (path,)).fetchone()
        if row is None:
            continue
        holding = rows.holding_of(row)
        if holding.kind == "video":
            job = _job(db, holding)
            found[path] = Standing(holding, job, 0 if job is None else _newest(db, job.key))
        else:
            found[path] = Standing(holding, loss=losses.reason_of(db, path))
    return found


def _job(db: sqlite3.Connection, holding: Holding) -> Job | None:
    row = db.execute(
        f"SELECT {rows.JOB_COLUMNS} FROM job JOIN holding ON {_OWN} WHERE holding.path = ?",
        (holding.path,),
    ).fetchone()
    return None if row is None else rows.job_of(row)


def _newest(db: sqlite3.Connection, key: JobKey) -> int:
    found = db.execute(
        "SELECT max(version) FROM job WHERE video_id = ? AND kind = ? AND variant = ?",
        (key.video_id, key.kind, key.variant),
    )
    return int(found.fetchone()[0])


def repairs(db: sqlite3.Connection) -> list[tuple[Job, Holding]]:
    """Every job that is to mend a file, with what it has to bring back; gone ones too."""
    found = db.execute(
        f"SELECT {rows.JOB_COLUMNS}, {rows.HOLDING_COLUMNS} FROM job JOIN holding ON {_OWN} "
        f"WHERE job.{NOT_ARCHIVED} AND job.state IN ('discovered', 'requested', 'available', "
        "'fetched', 'skipped', 'gone', 'parked')"
    )
    return [(rows.job_of(row), rows.holding_of(row[rows.JOB_WIDTH :])) for row in found]


def unlike(db: sqlite3.Connection, lines: Iterable[tuple[str, str]]) -> list[tuple[str, bool]]:
    """Which paths of a manifest's *lines* (path, hash) no holding has with that hash.

    Returns:
        The paths, each with whether a holding has it, though with another hash.
    """
    found, look = [], "SELECT sha256 FROM holding WHERE path = ?"
    for path, sha256 in lines:
        row = db.execute(look, (path,)).fetchone()
        if row is None or row[0] != sha256:
            found.append((path, row is not None))
    return found


def lines(db: sqlite3.Connection, after: str, limit: int) -> tuple[str, str]:
    """The manifest's text for the next *limit* files behind the path *after*, and the last path.

    Put together by SQLite: a million rows as objects of ours would take ten times as long.
    """
    found = db.execute(
        "SELECT group_concat(sha256 || '  ' || path, char(10)) || char(10), max(path) FROM ("
        "SELECT path, sha256 FROM holding WHERE path > ? ORDER BY path LIMIT ?)",
        (after, limit),
    ).fetchone()
    return found[0] or "", found[1] or ""


def places(db: sqlite3.Connection, variant: str) -> list[tuple[str, str, str, int]]:
    """Folder, stem, variant and version of every selected video that was never stored."""
    found = db.execute(
        "SELECT video.folder, video.stem, queue.variant, queue.version FROM queue JOIN video ON "
        "video.id = queue.video_id WHERE queue.variant = ? AND queue.state IN "
        "('discovered', 'requested', 'available', 'parked', 'gone') AND NOT EXISTS ("
        "SELECT 1 FROM holding WHERE holding.video_id = queue.video_id AND holding.kind = 'video' "
        "AND holding.variant = queue.variant AND holding.version = queue.version)",
        (variant,),
    )
    return found.fetchall()


def sizes(db: sqlite3.Connection, after: str, limit: int) -> list[tuple[str, int]]:
    """The next *limit* files behind the path *after* that ought to stand, with their sizes.

    Small ones that are known to be lost are left out.
    """
    found = db.execute(
        "SELECT path, bytes FROM holding WHERE path > ? AND NOT EXISTS ("
        "SELECT 1 FROM loss WHERE loss.holding = holding.id) ORDER BY path LIMIT ?",
        (after, limit),
    )
    return found.fetchall()
