"""What is recorded of single files, and which of them a job is about to mend.

A job that is not archived and has a holding of its own key is a repair: the holding says what has
to come back.
"""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from archiver.adapters.ledger import rows
from archiver.adapters.ledger.schema import NOT_ARCHIVED
from archiver.core.model import Holding, Instant, Job, JobKey, JobState

_OWN = (
    "holding.video_id = job.video_id AND holding.kind = job.kind "
    "AND holding.variant = job.variant AND holding.version = job.version"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one recorded file.

    ``job`` is the one that brought it, or mends it; for a sidecar, its video's.  ``newest`` is the
    video's newest version; ``beside`` is another file that was recorded in the place of this one.
    """

    holding: Holding
    job: Job
    newest: int
    beside: str | None = None

    @property
    def is_mended(self) -> bool:
        """The job is to bring these very bytes back."""
        return self.holding.kind == self.job.key.kind and self.job.state not in (
            JobState.ARCHIVED, JobState.GONE
        )  # fmt: skip


def standing(db: sqlite3.Connection, paths: Sequence[str]) -> Mapping[str, Standing]:
    """What is known of the files at *paths*; those that nobody recorded are left out."""
    found = {}
    for path in paths:
        row = db.execute(
            f"SELECT {rows.JOB_COLUMNS}, {rows.HOLDING_COLUMNS} FROM holding JOIN job "
            "ON job.video_id = holding.video_id AND job.kind = 'video' "
            "AND job.variant = holding.variant AND job.version = holding.version "
            "WHERE holding.path = ?",
            (path,),
        ).fetchone()
        if row is not None:
            job, holding = rows.job_of(row), rows.holding_of(row[rows.JOB_WIDTH :])
            found[path] = Standing(holding, job, _newest(db, job.key), _beside(db, holding))
    return found


def _newest(db: sqlite3.Connection, key: JobKey) -> int:
    found = db.execute(
        "SELECT max(version) FROM job WHERE video_id = ? AND kind = ? AND variant = ?",
        (key.video_id, key.kind, key.variant),
    )
    return int(found.fetchone()[0])


def _beside(db: sqlite3.Connection, held: Holding) -> str | None:
    found = db.execute(
        "SELECT path FROM holding WHERE video_id = ? AND kind = ? AND variant = ? AND version = ? "
        "AND id > (SELECT id FROM holding WHERE path = ?) ORDER BY id DESC LIMIT 1",
        (held.video_id, held.kind, held.variant, held.version, held.path),
    ).fetchone()
    return None if found is None else str(found[0])


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

    One in the place of which another was recorded is left out: it cannot be had again.
    """
    found = db.execute(
        "SELECT path, bytes FROM holding WHERE path > ? AND NOT EXISTS (SELECT 1 FROM holding AS "
        "other WHERE other.video_id = holding.video_id AND other.kind = holding.kind AND "
        "other.variant = holding.variant AND other.version = holding.version AND "
        "other.id > holding.id) ORDER BY path LIMIT ?",
        (after, limit),
    )
    return found.fetchall()


def add_holding(db: sqlite3.Connection, holding: Holding, at: Instant) -> None:
    """Record a file that belongs to a video that is archived already."""
    rows.insert_holding(db, holding)
    key = JobKey(holding.video_id, holding.kind, holding.variant, holding.version)
    rows.insert_event(db, key, "Rewritten", rows.payload_of_holding(holding), at)
