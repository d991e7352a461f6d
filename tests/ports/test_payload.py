"""The event log's JSON: whatever an event holds, any reader of JSON gets it back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archiver.adapters.ledger.payload import payload_of
from archiver.core.events import (
    Asked,
    Available,
    Delayed,
    Event,
    Fetched,
    GaveUp,
    NotFound,
    Pending,
    Stored,
)
from archiver.core.model import NEVER, Holding, Instant, Link, Saved, VideoId

AT = Instant(1_795_000_000.25)
ODD = '"\n\t\x00\x1f\x7f\u2028 %s \\ é 🎬'
SAVED = Saved(5, None, '"e\\t%s"', None, "source", joined=True)
TOLD = {
    "bytes": 5, "total": None, "etag": '"e\\t%s"', "last_modified": None, "source": "source",
    "joined": True, "measured": False,
}  # fmt: skip
HELD = Holding(VideoId(1), "video", "mp4", 1, "data/ä/b.mp4", 5, "0" * 64, AT, text=b"of its own")


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (Asked(AT), {"at": AT}),
        (NotFound(), {}),
        (GaveUp(ODD), {"reason": ODD}),
        (GaveUp("half a \ud83c pair"), {"reason": "half a ? pair"}),
        (Pending(AT, NEVER), {"at": AT, "due_at": None, "reason": "", "is_made": False}),
        (
            Available(AT, Link("https://cdn.example/1?signature=secret")),
            {"at": AT, "link": {"host": "cdn.example", "expires_at": None}, "due_at": 0.0,
             "reason": ""},
        ),
        (
            Delayed(AT, "why", AT, SAVED),
            {"at": AT, "reason": "why", "due_at": AT, "saved": TOLD},
        ),
        (Delayed(AT, "", AT), {"at": AT, "reason": "", "due_at": AT, "saved": None}),
        (Fetched(SAVED, "1" * 64), {"saved": TOLD, "sha256": "1" * 64, "flaw": ""}),
        (
            Stored((HELD, HELD)),
            {"holdings": [{
                "video_id": 1, "kind": "video", "variant": "mp4", "version": 1,
                "path": "data/ä/b.mp4", "bytes": 5, "sha256": "0" * 64, "stored_at": AT,
                "provenance": "{}",
            }] * 2},
        ),
    ],
)  # fmt: skip
def test_an_event_reads_as_it_was(event: Event, told: dict[str, Any]) -> None:
    """Of an address only its host; on one line, in UTF-8, with nothing left out."""
    text = payload_of(event)
    assert json.loads(text) == told
    assert "\n" not in text
    assert "secret" not in text
    assert text.encode()
