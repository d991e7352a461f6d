"""What else belongs to a video: what to ask for, when to ask again, what the answers lead to.

Rule 1: pure, and tolerant: an answer that makes no sense leads nowhere, and never raises.
Rule 2: an extra is asked for when its video is new or changed and at a few ages, never for ever.
Answers are JSON texts as ``adapters.vendor.extras`` gives them; ``NOT_THERE`` stands for one that
the vendor does not have or does not show.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from archiver.core.model import DAY_S, Instant, Video, VideoId
from archiver.met import met

DETAILS = "details"
CAPTIONS = "captions"
CHAPTERS = "chapters"
LABELS = "labels"
CUSTOM_METADATA = "custom_metadata"
EXPIRATION = "expiration"
AUDIO_TRACKS = "audio_tracks"
NAMES = (DETAILS, CAPTIONS, CHAPTERS, LABELS, CUSTOM_METADATA, EXPIRATION, AUDIO_TRACKS)
NOT_THERE = "null"

RECENT_S = 31 * DAY_S  # the vendor deletes what nobody saved thirty days after the broadcast
AGES_S = (1 * DAY_S, 3 * DAY_S, 7 * DAY_S, 30 * DAY_S)
NIGHT_SLACK_S = DAY_S / 4  # no two nights begin at the same minute
LANGUAGE_MOST = 40
ADDRESS_MOST = 16 * 1024
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption track.  ``is_ready``: its text can be had; otherwise it is still being made."""

    language: str
    is_ready: bool


@dataclass(frozen=True, slots=True)
class Playlist:
    """A playlist of a channel; ``raw`` is the object as received, ``videos`` its members."""

    id: int
    title: str
    raw: str = "{}"
    videos: tuple[VideoId, ...] = ()


def read(raw: str) -> Any:
    """A kept answer; None where it is none.  What JSON cannot say again is kept as a text."""
    try:
        return json.loads(raw, parse_constant=lambda _: None, parse_float=_float)
    except (ValueError, RecursionError):
        return None


def _float(text: str) -> float | str:
    found = float(text)
    return found if abs(found) < float("inf") else text


def names_to_ask(video: Video, now: Instant, had: Collection[str] = ()) -> tuple[str, ...]:
    """Which answers to ask for, in the order of asking; one call each.

    Args:
        had: what was answered already and need not be asked again.
    """
    return tuple(
        name
        for name in NAMES
        if name not in had and (name != EXPIRATION or may_be_deleted(video, now))
    )


def may_be_deleted(video: Video, now: Instant) -> bool:
    """The video is young enough for a deletion date: of one without a date nobody can tell."""
    at = video.added_at if video.added_at is not None else video.created_at
    return at is None or now - at <= RECENT_S


def due_again(asked_at: Instant, first_at: Instant, now: Instant) -> bool:
    """Since it was asked last, the video has reached an age at which extras are asked for.

    Args:
        first_at: when it was first archived or asked; ages count from there.
    """
    if asked_at > now + NIGHT_SLACK_S:  # by a clock that was wrong
        return True
    return any(asked_at < first_at + age_s - NIGHT_SLACK_S <= now for age_s in AGES_S)


def captions(raw: str) -> tuple[Caption, ...]:
    """The caption tracks of an answer, each language once; hidden ones are records all the same."""
    found: dict[str, Caption] = {}
    for item in _objects(read(raw)):
        language, status = item.get("language"), item.get("status")
        if isinstance(language, str) and is_language(language):
            is_ready = isinstance(status, str) and status.strip().lower() == "active"
            before = found.get(language)
            is_ready = is_ready or (before is not None and before.is_ready)
            found[language] = Caption(language, is_ready)
    return tuple(found.values())


def captions_to_fetch(raw: str, had: Collection[str] = ()) -> tuple[str, ...]:
    """The languages whose text can be had now, without those in *had*."""
    return tuple(
        track.language for track in captions(raw) if track.is_ready and track.language not in had
    )


def captions_awaited(raw: str, first_at: Instant, now: Instant) -> tuple[str, ...]:
    """The languages that are still being made, and worth another night; none after the last age."""
    if now - first_at > AGES_S[-1] + NIGHT_SLACK_S:
        return ()
    return tuple(track.language for track in captions(raw) if not track.is_ready)


def is_language(text: str) -> bool:
    """*text* can be a language's part of an address: short, shown, and no way to another place."""
    if len(text) > LANGUAGE_MOST or not text.strip("."):
        return False
    if any(char.isspace() or unicodedata.category(char)[0] == "C" for char in text):
        met("S05")
        return False
    return not {"/", "\\"} & set(text)


def labels(raw: str) -> tuple[str, ...]:
    """The names of a video's labels, by the answer as it was kept."""
    names = (each.get("label_name") for each in _objects(read(raw)))
    return tuple(name for name in names if isinstance(name, str) and name)


def thumbnail(raw: str) -> str | None:
    """The address of the largest thumbnail in a video's *raw* JSON, or None.

    Sizes are read from the keys (``image_1920x1080``); a key without one comes last.
    """
    video = read(raw)
    found = video.get("thumbnail") if isinstance(video, dict) else None
    if isinstance(found, str):
        found = {"": found}
    if not isinstance(found, dict):
        return None
    usable = [
        (_pixels(name), address) for name, address in found.items() if _is_web_address(address)
    ]
    return max(usable, key=lambda each: each[0])[1] if usable else None


def _pixels(name: str) -> int:
    size = _SIZE.search(name)
    return int(size[1]) * int(size[2]) if size else 0


def _is_web_address(value: object) -> bool:
    if not isinstance(value, str) or len(value) > ADDRESS_MOST:
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _objects(value: object) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        value = list(value.values())
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
