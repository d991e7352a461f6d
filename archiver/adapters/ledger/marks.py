"""Drops the mark of a tag file in the transaction that changes a row which the file is made of.

Rule 1: the triggers belong to the file, so that whatever program writes it cannot pass them by.
Rule 2: they name what ``catalogue.holdings`` and ``recorded.inventory`` read, and no more: that a
video was listed again changes no line.
"""

# ruff: noqa: S608  only terms of ours are joined into SQL

from __future__ import annotations

from archiver.core.bag import INVENTORY, MANIFEST
from archiver.core.extras import LABELS
from archiver.records.inventory import UNLISTED_KEY
from archiver.records.marks import key_of

_INVENTORY = f"BEGIN DELETE FROM meta WHERE key = '{key_of(INVENTORY)}'; END;"
_BOTH = f"BEGIN DELETE FROM meta WHERE key IN ('{key_of(INVENTORY)}', '{key_of(MANIFEST)}'); END;"
_TOLD = ("title", "channel_id", "channel_title", "created_at", "added_at")
_CHANGED = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in _TOLD)
_STORED = "EXISTS (SELECT 1 FROM holding WHERE holding.video_id = NEW.{0})"

WATCHED = f"""
CREATE TRIGGER IF NOT EXISTS holding_marked AFTER INSERT ON holding {_BOTH}
CREATE TRIGGER IF NOT EXISTS video_marked AFTER INSERT ON video
    WHEN {_STORED.format("id")} {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS video_changed AFTER UPDATE ON video WHEN {_CHANGED} {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS video_gone AFTER DELETE ON video {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS job_marked AFTER INSERT ON job
    WHEN NEW.kind = 'video' AND {_STORED.format("video_id")} {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS job_changed AFTER UPDATE ON job WHEN NEW.kind = 'video' AND (
        OLD.expected_s IS NOT NEW.expected_s OR (OLD.state = 'gone') <> (NEW.state = 'gone')
    ) AND {_STORED.format("video_id")} {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS job_gone AFTER DELETE ON job {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS labels_marked AFTER INSERT ON extra
    WHEN NEW.name = '{LABELS}' {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS labels_changed AFTER UPDATE ON extra
    WHEN NEW.name = '{LABELS}' AND OLD.raw <> NEW.raw {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS labels_gone AFTER DELETE ON extra
    WHEN OLD.name = '{LABELS}' {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS unlisted_marked AFTER INSERT ON meta
    WHEN NEW.key = '{UNLISTED_KEY}' {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS unlisted_changed AFTER UPDATE ON meta
    WHEN NEW.key = '{UNLISTED_KEY}' AND OLD.value <> NEW.value {_INVENTORY}
CREATE TRIGGER IF NOT EXISTS unlisted_gone AFTER DELETE ON meta
    WHEN OLD.key = '{UNLISTED_KEY}' {_INVENTORY}
"""
