"""The sidecar of a video: all that the API said of it, and where and what the file is.

Rule 1: the same job and shelf give the same bytes, so that a publication can be repeated.
Rule 2: it is enough to rebuild a lost ledger's row from.
The outer keys are those of yt-dlp's ``.info.json``, so that other programs read it.
"""

from __future__ import annotations

import json
from typing import Any

from archiver.core.escaping import escaped
from archiver.core.extras import NOT_THERE
from archiver.core.extras_document import composed
from archiver.core.model import Instant, Job
from archiver.core.rounds import FIELDS
from archiver.core.summary import iso
from archiver.ports import Shelf

SCHEMA = 1
PAGE_URL = "https://video.ibm.com/recorded/"


def info_json(job: Job, shelf: Shelf) -> bytes:
    """Return the text of ``….info.json``: sorted, indented, UTF-8, with a last newline."""
    video = shelf.video
    raw = _parsed(video.raw)
    at = video.added_at if video.added_at is not None else video.created_at
    length = video.length_s
    if length is not None and not abs(length) < float("inf"):
        length = None
    document = {
        **composed(shelf.answers, shelf.answers.get(FIELDS, NOT_THERE)),
        "id": str(video.id), "title": video.title, "extractor": "ustream",
        "extractor_key": "Ustream", "webpage_url": f"{PAGE_URL}{video.id}",
        "ext": job.key.variant, "duration": length,
        "description": raw.get("description") if isinstance(raw, dict) else None,
        "timestamp": None if iso(at) is None or at is None else int(at),
        "upload_date": _day(at), "channel": video.channel_title,
        "channel_id": None if video.channel_id is None else str(video.channel_id),
        "archive": _archive(job, shelf), "video": raw,
    }  # fmt: skip
    try:
        return json_bytes(document)
    except RecursionError:  # the writer gives up on nesting that the reader still took
        return json_bytes({**document, "video": video.raw})


def is_info_of(text: bytes, job: Job) -> bool:
    """*text* is a sidecar that was written for this very file, perhaps with another listing."""
    try:
        archive = json.loads(text)["archive"]
        found = [archive[name] for name in ("video_id", "format", "version", "sha256")]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return found == [str(job.key.video_id), job.key.variant, job.key.version, job.sha256]


def json_bytes(document: Any) -> bytes:
    """JSON as all our files have it; whoever prints one is not steered by a title."""
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    return escaped(text).encode() + b"\n"


def _archive(job: Job, shelf: Shelf) -> dict[str, Any]:
    video, parts = shelf.video, shelf.folder.split("/")
    return {
        "schema": SCHEMA, "video_id": str(video.id), "channel_title": video.channel_title,
        "channel_id": None if video.channel_id is None else str(video.channel_id),
        "channel_folder": parts[1] if len(parts) > 1 else "",
        "folder": shelf.folder, "stem": shelf.stem, "format": job.key.variant,
        "version": job.key.version, "bytes": job.saved.bytes, "sha256": job.sha256,
    }  # fmt: skip


def _parsed(raw: str) -> Any:
    """The listing's own JSON; as text where it is none, so that nothing of it is lost."""
    try:
        return json.loads(raw, parse_constant=lambda _: None, parse_float=_number)
    except (ValueError, RecursionError):
        return raw


def _number(text: str) -> float | str:
    """A number too large for a float stays as it was written: JSON has no infinity."""
    number = float(text)
    return number if abs(number) < float("inf") else text


def _day(at: Instant | None) -> str | None:
    day = iso(at)
    return day[:10].replace("-", "") if day else None
