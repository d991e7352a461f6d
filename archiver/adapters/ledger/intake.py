"""What changes in the ledger: each function is the whole of one transaction's work.

Rule: decisions are ``core.listing``'s and ``core.lifecycle``'s; here they are only written down.
"""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from archiver.adapters.ledger import rows
from archiver.adapters.ledger.payload import payload_of
from archiver.adapters.ledger.schema import NOT_ARCHIVED
from archiver.core.events import Asked, Event, Progressed, Reopened, Stored, Superseded
from archiver.core.lifecycle import apply
from archiver.core.listing import WORDS, Change, Known, asked, listed
from archiver.core.model import (
    NEVER,
    Channel,
    ChannelId,
    Holding,
    Instant,
    Job,
    JobState,
    Video,
    VideoId,
    changed,
)


class Place(Protocol):
    """Where a video's files belong, as ``core.naming`` chooses it."""

    @property
    def folder(self) -> str:
        """Below DEST, with forward slashes."""
        ...

    @property
    def stem(self) -> str:
        """Of every file name in the folder."""
        ...


class Namer(Protocol):
    """Chooses folders: once for a channel, once for a video."""

    def channel_folder(self, channel_id: ChannelId | None, title: str | None, /) -> str:
        """The name of a channel's folder below ``data``."""
        ...

    def place_for(self, video: Video, channel: str, /) -> Place:
        """The place of a video below its channel's folder."""
        ...


Db: TypeAlias = sqlite3.Connection
_KEEP_CHANNEL = (
    "INSERT INTO channel (id, title, folder, raw) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO "
)


def add_channels(db: Db, channels: Iterable[Channel], namer: Namer) -> None:
    """Take in what the vendor says of channels; a folder that was chosen stays."""
    db.executemany(
        _KEEP_CHANNEL + "UPDATE SET title = excluded.title, raw = excluded.raw",
        [
            (c.id, rows.plain(c.title), namer.channel_folder(c.id, c.title), rows.plain(c.raw))
            for c in channels
        ],
    )


def reconcile(
    db: Db, videos: Sequence[Video], now: Instant, variant: str, namer: Namer
) -> Mapping[str, int]:
    """Take in one page of a listing; count the words."""
    counts: Counter[str] = Counter(dict.fromkeys(WORDS, 0))
    for seen in videos:
        before = known(db, seen.id, variant)
        change = listed(before, seen, now, variant)
        _describe(db, seen, now, namer)
        _write_down(db, before, change, seen, now)
        counts[change.word] += 1
    return counts


def known(db: Db, video_id: VideoId, variant: str) -> Known | None:
    """What the ledger knows of a video and its newest job in *variant*."""
    found = db.execute(
        f"SELECT {rows.JOB_COLUMNS}, {rows.VIDEO_COLUMNS}, job.changed_at "
        "FROM job JOIN video ON video.id = job.video_id "
        "WHERE job.video_id = ? AND job.kind = 'video' AND job.variant = ? "
        "ORDER BY job.version DESC LIMIT 1",
        (video_id, variant),
    ).fetchone()
    if found is None:
        return None
    video = rows.video_of(found[rows.JOB_WIDTH : -1])
    return Known(video, rows.job_of(found), Instant(found[-1]))


def _describe(db: Db, seen: Video, now: Instant, namer: Namer) -> None:
    if db.execute("SELECT 1 FROM video WHERE id = ?", (seen.id,)).fetchone():
        rows.update_video(db, seen, now)
        return
    place = namer.place_for(seen, _channel_folder(db, seen, namer))
    rows.insert_video(db, seen, place.folder, place.stem, now)


def _channel_folder(db: Db, seen: Video, namer: Namer) -> str:
    """The folder chosen for the video's channel, which is chosen now if it is new."""
    wanted = namer.channel_folder(seen.channel_id, seen.channel_title)
    if seen.channel_id is None:
        return wanted
    title = rows.plain(seen.channel_title or "")
    db.execute(_KEEP_CHANNEL + "NOTHING", (seen.channel_id, title, wanted, "{}"))
    found = db.execute("SELECT folder FROM channel WHERE id = ?", (seen.channel_id,))
    return str(found.fetchone()[0])


def _write_down(db: Db, before: Known | None, change: Change, seen: Video, now: Instant) -> None:
    job = change.job
    if job is not None and before is not None and before.job.key == job.key:
        rows.update_job(db, before.job, job, now)
    elif job is not None:
        rows.insert_job(db, job, now)
    if change.event is not None and job is not None:
        payload = payload_of(change.event)
        rows.insert_event(db, job.key, type(change.event).__name__, payload, now)
    elif change.word in ("changed", "renamed") and before is not None:
        key = job.key if job is not None else before.job.key
        payload = json.dumps({"before": before.video.title, "title": seen.title})
        rows.insert_event(db, key, change.word.capitalize(), payload, now)


def record(db: Db, before: Job, after: Job, event: Event, at: Instant) -> Job:
    """Write what *event* made of a job, the event, and what was stored; return the job."""
    if isinstance(event, Asked):
        after = _asked(db, after)
    rows.update_job(db, before, after, at)
    if not isinstance(event, Progressed):  # several a second: the row says it all
        rows.insert_event(db, after.key, type(event).__name__, payload_of(event), at)
    if isinstance(event, Stored | Superseded):
        for holding in event.holdings:
            rows.insert_holding(db, holding)
    if isinstance(event, Superseded):
        rows.insert_job(db, successor(after, event.holdings[0]), at)
    return after


def _asked(db: Db, job: Job) -> Job:
    """The job expects what the last listing said of its video."""
    query = f"SELECT {rows.VIDEO_COLUMNS} FROM video WHERE id = ?"
    found = db.execute(query, (job.key.video_id,)).fetchone()
    return job if found is None else asked(job, rows.video_of(found))


def successor(job: Job, holding: Holding) -> Job:
    """The job of the version that came in the place of a damaged one."""
    key = job.key._replace(version=holding.version)
    return changed(
        job, key=key, state=JobState.ARCHIVED, due_at=NEVER, path=holding.path, reason=""
    )


def reopen_parked(db: Db, ids: Sequence[VideoId] | None, reason: str, at: Instant) -> int:
    """Put parked jobs back in the queue; None means those of the selection."""
    select = (
        f"SELECT {rows.JOB_COLUMNS} FROM job "
        f"WHERE {NOT_ARCHIVED} AND state = '{JobState.PARKED.value}' AND kind = 'video' "
        "AND video_id "
    )
    if ids is None:
        found = db.execute(select + "IN (SELECT video_id FROM selected)").fetchall()
    else:
        found = [row for each in ids for row in db.execute(select + "= ?", (each,))]
    for row in found:
        event = Reopened(reason)
        before = rows.job_of(row)
        record(db, before, apply(before, event), event, at)
    return len(found)
