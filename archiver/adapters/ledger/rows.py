"""Between the nouns and the ledger's rows: every column is named here once."""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

import sqlite3
import zlib
from typing import Any

from archiver.adapters.ledger.mirror import follow
from archiver.core.model import (
    JOB_FIELDS,
    NEVER,
    NOTHING,
    Holding,
    Instant,
    Job,
    JobKey,
    JobState,
    Link,
    Saved,
    Video,
    every_field,
    job_with,
)
from archiver.core.naming import display
from archiver.errors import DestinationError, LedgerLostError

Row = tuple[Any, ...]
_STATES = {state.value: state for state in JobState}

_KEY = ("video_id", "kind", "variant", "version")
_JOB = (
    *_KEY, "state", "due_at", "asked_at", "pending_at", "available_at", "link_url",
    "link_expires_at", "saved_bytes", "saved_total", "saved_etag", "saved_last_modified",
    "saved_source", "saved_joined", "expected_bytes", "expected_s", "sha256", "path", "polls",
    "failures", "failing_since", "ran_out", "delete_at", "reason", "most_bytes",
    "fresh_at",
)  # fmt: skip
_JOINED, _MEASURED = 1, 2  # in ``saved_joined``: how the bytes came
_VIDEO = (
    "id", "title", "channel_id", "channel_title", "created_at", "added_at", "size_bytes",
    "length_s", "protect", "recording", "raw",
)  # fmt: skip
HOLDING = (*_KEY, "path", "bytes", "sha256", "stored_at", "provenance")

JOB_WIDTH, VIDEO_WIDTH = len(_JOB), len(_VIDEO)
JOB_COLUMNS = ", ".join(f"job.{name}" for name in _JOB)
VIDEO_COLUMNS = ", ".join(f"video.{name}" for name in _VIDEO)
HOLDING_COLUMNS = ", ".join(f"holding.{name}" for name in HOLDING)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


_INSERT_JOB = f"INSERT INTO job ({', '.join(_JOB)}, changed_at) VALUES ({_marks(len(_JOB) + 1)})"
_UPDATES: dict[tuple[str, ...], str] = {}  # by the fields of a job that change with it
_COLUMNS = {  # of those fields that are no column of their own name
    "link": ("link_url", "link_expires_at"),
    "saved": (
        "saved_bytes", "saved_total", "saved_etag", "saved_last_modified", "saved_source",
        "saved_joined",
    ),
}  # fmt: skip
_INSERT_HOLDING = (
    f"INSERT INTO holding ({', '.join(HOLDING)}) VALUES ({_marks(len(HOLDING))}) "
    "ON CONFLICT (path) DO NOTHING"
)
_INSERT_TEXT = "INSERT INTO text (holding, text) SELECT id, ? FROM holding WHERE path = ?"
_INSERT_VIDEO = (
    f"INSERT INTO video ({', '.join(_VIDEO)}, folder, stem, first_seen_at, last_seen_at) "
    f"VALUES ({_marks(len(_VIDEO) + 4)})"
)
# A listing may be thinner than the one before: what it does not tell stays known.
_UPDATE_VIDEO = (
    "UPDATE video SET title = ?, "
    + ", ".join(f"{name} = coalesce(?, {name})" for name in _VIDEO[2:8])
    + ", protect = coalesce(nullif(?, ''), protect), recording = ?, raw = ?, last_seen_at = ? "
    "WHERE id = ?"
)


def _stored(at: Instant | None) -> float | None:
    return None if at is None or at == NEVER else float(at)


def _of_link(link: Link | None) -> Row:
    return (link.url, _stored(link.expires_at)) if link else (None, None)


def _of_saved(saved: Saved) -> Row:
    came = saved.joined * _JOINED | saved.measured * _MEASURED
    return saved.bytes, saved.total, saved.etag, saved.last_modified, saved.source, came


def _values(job: Job) -> Row:
    return (
        job.state.value, _stored(job.due_at), job.asked_at, job.pending_at, job.available_at,
        *_of_link(job.link), *_of_saved(job.saved),
        job.expected_bytes, job.expected_s, job.sha256, job.path, job.polls, job.failures,
        job.failing_since, job.ran_out, _stored(job.delete_at), plain(job.reason), job.most_bytes,
        job.fresh_at,
    )  # fmt: skip


def _update(names: tuple[str, ...]) -> str:
    columns = (column for name in names for column in _COLUMNS.get(name, (name,)))
    return (
        f"UPDATE job SET {', '.join(f'{column} = ?' for column in (*columns, 'changed_at'))} "
        "WHERE video_id = ? AND kind = ? AND variant = ? AND version = ?"
    )


def job_of(row: Row) -> Job:
    """The job of a row selected by ``JOB_COLUMNS``.

    Raises:
        LedgerLostError: no program of ours wrote this.
    """
    (
        video_id, kind, variant, version, word, due_at, asked_at, pending_at, available_at, url,
        expires_at, size, total, etag, last_modified, source, came, expected_bytes, expected_s,
        sha256, path, polls, failures, failing_since, ran_out, delete_at, reason, most_bytes,
        fresh_at,
    ) = row[:JOB_WIDTH]  # fmt: skip
    state = _STATES.get(word)
    if state is None:
        raise LedgerLostError(f"The ledger is damaged: there is no state {display(word)}.")
    saved = NOTHING
    if size or total is not None or etag is not None or last_modified is not None or source or came:
        joined, measured = bool(came & _JOINED), bool(came & _MEASURED)
        saved = Saved(size, total, etag, last_modified, source, joined=joined, measured=measured)
    return job_with(
        JobKey(video_id, kind, variant, version), state, NEVER if due_at is None else due_at,
        asked_at, pending_at, available_at,
        None if url is None else Link(url, NEVER if expires_at is None else expires_at),
        saved, most_bytes, expected_bytes, expected_s, sha256, path, polls, failures,
        failing_since, ran_out, NEVER if delete_at is None else delete_at, reason, fresh_at,
    )  # fmt: skip


def video_of(row: Row) -> Video:
    """The video of a row selected by ``VIDEO_COLUMNS``."""
    return Video(*(*row[:9], bool(row[9]), row[10]))


def holding_of(row: Row) -> Holding:
    """The holding of a row selected by ``HOLDING_COLUMNS``."""
    return Holding(*row)


def insert_job(db: sqlite3.Connection, job: Job, at: Instant) -> None:
    """Write a job that is not there yet."""
    db.execute(_INSERT_JOB, (*job.key, *_values(job), at))


def update_job(db: sqlite3.Connection, before: Job, after: Job, at: Instant) -> None:
    """Write what *after* has else than *before*, which is there.

    Raises:
        LookupError: it is not; jobs come into being by a listing alone, so this is a bug.
    """
    names, values = [], []
    for name, old, new in zip(JOB_FIELDS, every_field(before), every_field(after), strict=True):
        if old is new or old == new:
            continue
        names.append(name)
        match name:
            case "state":
                values.append(new.value)
            case "due_at" | "delete_at":
                values.append(_stored(new))
            case "reason":
                values.append(plain(new))
            case "link":
                values += _of_link(new)
            case "saved":
                values += _of_saved(new)
            case _:
                values.append(new)
    changed = tuple(names)
    if changed not in _UPDATES:
        _UPDATES[changed] = _update(changed)
    if db.execute(_UPDATES[changed], (*values, at, *after.key)).rowcount != 1:
        raise LookupError(f"{after.key} is not in the ledger")
    follow(db, before, after)


def insert_video(db: sqlite3.Connection, video: Video, folder: str, stem: str, at: Instant) -> None:
    """Write a video that is not there yet, with the place that it keeps."""
    db.execute(_INSERT_VIDEO, (*_described(video), folder, stem, at, at))


def update_video(db: sqlite3.Connection, video: Video, at: Instant) -> None:
    """Take over what a listing says now; the place stays."""
    db.execute(_UPDATE_VIDEO, (*_described(video)[1:], at, video.id))


def plain(text: str) -> str:
    """*text* as UTF-8 can hold it: JSON may bring half of a surrogate pair, SQLite refuses it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _described(video: Video) -> Row:
    channel_title = None if video.channel_title is None else plain(video.channel_title)
    return (
        video.id, plain(video.title), video.channel_id, channel_title, video.created_at,
        video.added_at, video.size_bytes, video.length_s, video.protect, int(video.recording),
        plain(video.raw),
    )  # fmt: skip


def insert_holding(db: sqlite3.Connection, holding: Holding) -> None:
    """Add a holding, and its text; one that is recorded already with the same contents stays.

    Raises:
        DestinationError: the path is recorded with other contents.
    """
    values = tuple(getattr(holding, name) for name in HOLDING)
    if db.execute(_INSERT_HOLDING, values).rowcount == 1:
        if holding.text:
            db.execute(_INSERT_TEXT, (zlib.compress(holding.text), holding.path))
        return
    stands = db.execute("SELECT bytes, sha256 FROM holding WHERE path = ?", (holding.path,))
    if stands.fetchone() != (holding.bytes, holding.sha256):
        raise DestinationError(
            f"The ledger knows other contents for {holding.path}.", "Run `archiver verify`."
        )


def insert_event(db: sqlite3.Connection, key: JobKey, name: str, payload: str, at: Instant) -> None:
    """Append one line to the event log."""
    db.execute(
        "INSERT INTO event (at, video_id, kind, variant, version, name, payload) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (at, *key, name, payload),
    )
