"""The ledger's tables, in one text: schema version 1.

Rule 1: an instant that is NEVER is stored as NULL; everything else is as in ``core.model``.
Rule 2: holdings and events are only ever added; triggers refuse anything else.
Rule 3: a partial index serves a query only if the query repeats the index's WHERE word for word
(measured: 52 ms instead of 1.2 ms over a million rows), so queries use the constants below.
"""

# ruff: noqa: S608  only column lists and terms of ours are joined into SQL; values are bound

from __future__ import annotations

VERSION = 1
APPLICATION_ID = 0x41524348  # "ARCH"

NOT_ARCHIVED = "state <> 'archived'"

SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE channel (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, folder TEXT NOT NULL, raw TEXT NOT NULL
) STRICT;
CREATE TABLE video (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, channel_id INTEGER, channel_title TEXT,
    created_at REAL, added_at REAL, size_bytes INTEGER, length_s REAL,
    protect TEXT NOT NULL, recording INTEGER NOT NULL, raw TEXT NOT NULL,
    folder TEXT NOT NULL, stem TEXT NOT NULL,
    first_seen_at REAL NOT NULL, last_seen_at REAL NOT NULL
) STRICT;
CREATE TABLE job (
    video_id INTEGER NOT NULL, kind TEXT NOT NULL, variant TEXT NOT NULL, version INTEGER NOT NULL,
    state TEXT NOT NULL, due_at REAL, asked_at REAL, pending_at REAL, available_at REAL,
    link_url TEXT, link_expires_at REAL,
    saved_bytes INTEGER NOT NULL, saved_total INTEGER, saved_etag TEXT, saved_last_modified TEXT,
    saved_source TEXT NOT NULL, saved_joined INTEGER NOT NULL,
    expected_bytes INTEGER, expected_s REAL, sha256 TEXT, path TEXT,
    polls INTEGER NOT NULL, failures INTEGER NOT NULL, failing_since REAL, ran_out INTEGER NOT NULL,
    delete_at REAL, reason TEXT NOT NULL, most_bytes INTEGER NOT NULL,
    fresh_at REAL,
    changed_at REAL NOT NULL, lease_owner TEXT, lease_until REAL, lease_token INTEGER,
    PRIMARY KEY (video_id, kind, variant, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_not_archived ON job (state, video_id) WHERE {NOT_ARCHIVED};
CREATE TABLE holding (
    id INTEGER PRIMARY KEY, video_id INTEGER NOT NULL, kind TEXT NOT NULL, variant TEXT NOT NULL,
    version INTEGER NOT NULL, path TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, stored_at REAL NOT NULL, provenance TEXT NOT NULL
) STRICT;
CREATE INDEX holding_of ON holding (video_id, kind, variant, version);
CREATE TRIGGER holding_kept BEFORE UPDATE ON holding
    BEGIN SELECT RAISE(ABORT, 'a holding is never changed'); END;
CREATE TRIGGER holding_stays BEFORE DELETE ON holding
    BEGIN SELECT RAISE(ABORT, 'a holding is never removed'); END;
CREATE TABLE extra (
    video_id INTEGER NOT NULL, name TEXT NOT NULL, raw TEXT NOT NULL, asked_at REAL NOT NULL,
    PRIMARY KEY (video_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE copy (
    holding INTEGER NOT NULL REFERENCES holding (id), destination TEXT NOT NULL,
    location TEXT NOT NULL, checked_at REAL, PRIMARY KEY (holding, destination)
) STRICT;
CREATE TABLE event (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, video_id INTEGER NOT NULL, kind TEXT NOT NULL,
    variant TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, payload TEXT NOT NULL
) STRICT;
CREATE TRIGGER event_kept BEFORE UPDATE ON event
    BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END;
CREATE TRIGGER event_stays BEFORE DELETE ON event
    BEGIN SELECT RAISE(ABORT, 'an event is never removed'); END;
CREATE TABLE run (
    id INTEGER PRIMARY KEY, started_at REAL NOT NULL, ended_at REAL, pid INTEGER NOT NULL,
    summary TEXT
) STRICT;
CREATE TABLE listing (
    source TEXT PRIMARY KEY, listed INTEGER NOT NULL, at REAL NOT NULL, seen_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE listed (
    source TEXT NOT NULL, video_id INTEGER NOT NULL, PRIMARY KEY (source, video_id)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""

# What ledgers lack that an earlier program made.  A description can be made only once: what it
# tells has changed by the next night, so that its text (compressed) is a record of its own.
ADDED = """
CREATE TABLE IF NOT EXISTS text (
    holding INTEGER PRIMARY KEY REFERENCES holding (id), text BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS loss (
    holding INTEGER PRIMARY KEY REFERENCES holding (id), at REAL NOT NULL, reason TEXT NOT NULL
) STRICT;
"""

# The run's selection, and beside it a mirror of what orders its newest jobs.  It lives and ends
# with the connection; a trigger takes in a job that comes into being, ``mirror`` keeps it in step,
# both within the same transaction.  So a window costs what it holds, whether one video of a
# million is selected or all of them.
LIVE, READY, LATER, REST, HELD = 0, 1, 2, 3, 4
_DUE = f"""CASE
    WHEN {{0}}.due_at IS NULL THEN {REST} WHEN {{0}}.due_at <= 0 THEN {READY} ELSE {LATER} END"""
# Extras are as near as their video is: beside one that is asked for, behind one that is archived.
_BESIDE = f"""CASE
    WHEN {{1}} IN ('fetched', 'available', 'requested') THEN {LIVE}
    WHEN {{1}} = 'archived' THEN {_DUE} ELSE {HELD} END"""
_VIDEO_OF = """coalesce((SELECT video.state FROM queue AS video
    WHERE video.video_id = {0}.video_id AND video.variant <> 'extras'
    ORDER BY video.state = 'archived' LIMIT 1), '')"""
_PLACE = f"""CASE
    WHEN {{0}}.kind = 'extras' AND {{0}}.state = 'discovered' THEN
        {_BESIDE.format("{0}", _VIDEO_OF)}
    WHEN {{0}}.state IN ('fetched', 'available', 'requested') THEN {LIVE}
    WHEN {{0}}.state <> 'discovered' THEN {REST}
    WHEN {{0}}.asked_at IS NOT NULL THEN {LIVE} ELSE {_DUE} END"""
MIRRORED = (
    "INSERT INTO queue SELECT {0}.video_id, {0}.variant, {0}.version, {0}.state, "
    + _PLACE
    + ", {0}.due_at, coalesce({0}.delete_at, 9e999) "
)
MIRROR_CONFLICT = """
    ON CONFLICT (video_id, variant) DO UPDATE SET version = excluded.version,
        state = excluded.state, place = excluded.place, due_at = excluded.due_at,
        delete_at = excluded.delete_at
    WHERE excluded.version >= queue.version"""
_MOVE_EXTRAS = f"""BEGIN
        UPDATE queue SET place = {_BESIDE.format("queue", "NEW.state")}
        WHERE video_id = NEW.video_id AND variant = 'extras' AND place <> {REST};
    END;"""
# What is taken up together brings its extras after its videos.
_ONE_BY_ONE = "NOT EXISTS (SELECT 1 FROM fresh)"
SELECTION = f"""
CREATE TEMP TABLE selected (video_id INTEGER PRIMARY KEY);
CREATE TEMP TABLE fresh (video_id INTEGER PRIMARY KEY);
CREATE TEMP TABLE queue (
    video_id INTEGER, variant TEXT, version INTEGER, state TEXT, place INTEGER,
    due_at REAL, delete_at REAL, PRIMARY KEY (video_id, variant)
) WITHOUT ROWID;
CREATE INDEX temp.queue_live ON queue (variant, video_id) WHERE place = {LIVE};
CREATE INDEX temp.queue_ready ON queue (variant, delete_at, video_id) WHERE place = {READY};
CREATE INDEX temp.queue_later ON queue (variant, due_at) WHERE place = {LATER};
CREATE TEMP TRIGGER extras_insert AFTER INSERT ON temp.queue
    WHEN NEW.variant <> 'extras' AND {_ONE_BY_ONE}
    {_MOVE_EXTRAS}
CREATE TEMP TRIGGER extras_update AFTER UPDATE OF place ON temp.queue
    WHEN NEW.variant <> 'extras' AND OLD.state <> NEW.state
    {_MOVE_EXTRAS}
CREATE TEMP TRIGGER follow_insert AFTER INSERT ON main.job
    WHEN NEW.kind IN ('video', 'extras') AND EXISTS (
        SELECT 1 FROM selected WHERE selected.video_id = NEW.video_id)
    BEGIN {MIRRORED.format("NEW")} WHERE true {MIRROR_CONFLICT}; END;
"""
