"""What anybody may ask of the whole ledger, page by page: nothing here holds it all in memory.

Rule: each page is a statement of its own, so that no reader keeps the writer waiting.
"""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archiver.adapters.ledger import extras, rows
from archiver.adapters.ledger.schema import NOT_ARCHIVED
from archiver.core.model import (
    NEVER,
    ChannelId,
    Holding,
    Instant,
    Job,
    JobKey,
    JobState,
    Video,
    VideoId,
)
from archiver.core.summary import Failure
from archiver.errors import DestinationError
from archiver.ports import Shelf

PAGE = 1000  # rows in memory at a time


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue: a stored version, or what is still wanted in its place."""

    video: Video
    job: Job
    holding: Holding | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries to show; what is None does not filter.  Times compare with ``added_at``."""

    channel: ChannelId | None = None
    state: JobState | None = None
    since: Instant | None = None
    until: Instant | None = None
    text: str | None = None  # anywhere in the title, whatever its case


ALL = Filter()
START = JobKey(VideoId(-1), "", "", 0)


def entries(db: sqlite3.Connection, wanted: Filter, after: JobKey) -> list[Entry]:
    """The next page of the catalogue behind *after*, by video, variant and version."""
    terms, values = _where(db, wanted)
    found = db.execute(
        f"SELECT {rows.JOB_COLUMNS}, {rows.VIDEO_COLUMNS}, {rows.HOLDING_COLUMNS} "
        "FROM job JOIN video ON video.id = job.video_id LEFT JOIN holding ON "
        "holding.video_id = job.video_id AND holding.kind = 'video' "
        "AND holding.variant = job.variant AND holding.version = job.version "
        "WHERE job.kind = 'video' AND (job.video_id, job.variant, job.version) > (?, ?, ?)"
        f" AND job.video_id >= ?{terms} "
        "ORDER BY job.video_id, job.variant, job.version LIMIT ?",
        (after.video_id, after.variant, after.version, after.video_id, *values, PAGE),
    )
    cut = rows.JOB_WIDTH + rows.VIDEO_WIDTH
    return [
        Entry(
            rows.video_of(row[rows.JOB_WIDTH : cut]),
            rows.job_of(row),
            None if row[cut] is None else rows.holding_of(row[cut:]),
        )
        for row in found
    ]


def _where(db: sqlite3.Connection, wanted: Filter) -> tuple[str, list[object]]:
    terms: list[tuple[str, object]] = []
    if wanted.channel is not None:
        terms.append(("video.channel_id = ?", wanted.channel))
    if wanted.state is not None:
        terms.append(("job.state = ?", wanted.state.value))
    if wanted.since is not None:
        terms.append(("video.added_at >= ?", wanted.since))
    if wanted.until is not None:
        terms.append(("video.added_at < ?", wanted.until))
    if wanted.text is not None:
        # SQLite's own LIKE knows the case of ASCII letters only.
        db.create_function("folded", 1, str.casefold, deterministic=True)
        terms.append(("instr(folded(video.title), ?) > 0", wanted.text.casefold()))
    return "".join(f" AND {term}" for term, _ in terms), [value for _, value in terms]


def holdings(db: sqlite3.Connection, after: str) -> list[Holding]:
    """The next page of holdings behind the path *after*, by path."""
    found = db.execute(
        f"SELECT {rows.HOLDING_COLUMNS} FROM holding WHERE path > ? ORDER BY path LIMIT ?",
        (after, PAGE),
    )
    return [rows.holding_of(row) for row in found]


def holdings_count_bytes(db: sqlite3.Connection) -> tuple[int, int]:
    """How many files are stored, and their bytes."""
    count, total = db.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM holding").fetchone()
    return count, total


def shelf(db: sqlite3.Connection, video_id: VideoId) -> Shelf:
    """A video and its place; the newest description.

    Raises:
        DestinationError: the ledger does not know the video.
    """
    found = db.execute(
        f"SELECT {rows.VIDEO_COLUMNS}, folder, stem FROM video WHERE id = ?", (video_id,)
    ).fetchone()
    if found is None:
        raise DestinationError(f"The archive does not know a video {video_id}.")
    stored = db.execute(
        f"SELECT {rows.HOLDING_COLUMNS} FROM holding WHERE video_id = ? AND kind = 'video'",
        (video_id,),
    )
    every = tuple(rows.holding_of(row) for row in stored)
    return Shelf(
        rows.video_of(found), found[-2], found[-1], every, extras.document_answers(db, video_id)
    )


def failures(db: sqlite3.Connection, limit: int, selected: str | None) -> list[Failure]:
    """Videos that are not archived and why, the given-up ones first.

    Of the selection, in the variant *selected*, all that is left, also where nothing went wrong;
    else what has a reason.
    """
    values: list[object] = [limit]
    chosen = "reason <> ''"
    if selected is not None:
        chosen = "job.variant = ? AND job.video_id IN (SELECT video_id FROM selected)"
        values = [selected, limit]
    found = db.execute(
        "SELECT job.video_id, video.title, job.state, job.reason, job.failures "
        "FROM job JOIN video ON video.id = job.video_id "
        f"WHERE job.{NOT_ARCHIVED} AND job.kind = 'video' "
        f"AND state NOT IN ('skipped', 'gone') AND {chosen} "
        "ORDER BY job.state <> 'parked', job.video_id LIMIT ?",
        values,
    )
    return [Failure(VideoId(row[0]), *row[1:]) for row in found]


def jobs_in(db: sqlite3.Connection, state: JobState) -> list[Job]:
    """Every video's job of the ledger in a state other than ARCHIVED."""
    found = db.execute(
        f"SELECT {rows.JOB_COLUMNS} FROM job WHERE {NOT_ARCHIVED} AND state = ? AND kind = 'video'",
        (state.value,),
    )
    return [rows.job_of(row) for row in found]


def unfinished_keys(db: sqlite3.Connection) -> set[JobKey]:
    """The keys whose part files are of use when no run is going on; other parts are orphans.

    A parked job keeps what it saved.  A part of which nothing is durable is of no use.
    """
    found = db.execute(
        f"SELECT video_id, kind, variant, version FROM job WHERE {NOT_ARCHIVED} "
        "AND state IN ('discovered', 'requested', 'available', 'fetched', 'parked') "
        "AND (saved_bytes > 0 OR state = 'fetched')"
    )
    return {JobKey(VideoId(row[0]), *row[1:]) for row in found}


def state_counts(db: sqlite3.Connection, variant: str | None) -> Mapping[JobState, int]:
    """How many videos of the whole archive stand in each state, each by its newest version."""
    found = db.execute(
        "SELECT state, count(*) FROM job WHERE kind = 'video' AND (? IS NULL OR variant = ?) "
        "AND NOT EXISTS (SELECT 1 FROM job AS next WHERE next.video_id = job.video_id "
        "AND next.kind = job.kind AND next.variant = job.variant AND next.version > job.version) "
        "GROUP BY state",
        (variant, variant),
    )
    return {JobState(state): count for state, count in found}


def next_deadline(db: sqlite3.Connection) -> Instant:
    """When the first address that is not yet fetched expires; NEVER where none is known to."""
    found = db.execute(
        f"SELECT min(link_expires_at) FROM job WHERE {NOT_ARCHIVED} AND state IN "
        "('requested', 'available') AND link_url IS NOT NULL"
    ).fetchone()[0]
    return NEVER if found is None else Instant(found)


def last_runs(db: sqlite3.Connection, count: int) -> list[dict[str, Any]]:
    """The reports of the last runs that ended, newest first."""
    found = db.execute(
        "SELECT summary FROM run WHERE summary IS NOT NULL ORDER BY id DESC LIMIT ?", (count,)
    )
    return [json.loads(summary) for (summary,) in found]


def last_well_at(db: sqlite3.Connection) -> Instant | None:
    """When the last run ended with code 0 or 5; else when the first began."""
    ended = "SELECT ended_at, summary FROM run WHERE summary IS NOT NULL ORDER BY id DESC"
    for ended_at, summary in db.execute(ended):
        if json.loads(summary).get("exit_code") in (0, 5):
            return Instant(ended_at)
    first = db.execute("SELECT min(started_at) FROM run").fetchone()[0]
    return None if first is None else Instant(first)


def last_run_ended(db: sqlite3.Connection) -> bool:
    """The last run came to its end; False while one goes on, and after a kill."""
    found = db.execute("SELECT ended_at IS NOT NULL FROM run ORDER BY id DESC LIMIT 1").fetchone()
    return found is None or bool(found[0])
