"""The answers about a video, or a channel, as one document, and whether a later one says more.

Rule 1: what was received is kept as received; names are added beside it, nothing is taken out.
Rule 2: what moves by itself (views, addresses' signatures, the hosts of pictures) is no change, nor
is what is not told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from archiver.core.extras import (
    AUDIO_TRACKS,
    CAPTIONS,
    CUSTOM_METADATA,
    DETAILS,
    LABELS,
    NAMES,
    Playlist,
    read,
)

LOCKS, PLAYLISTS = "locks", "playlists"
KEYS = (*NAMES, LOCKS, PLAYLISTS)
CHANNEL_KEYS = ("channel", PLAYLISTS)
_MOVING = frozenset({"views", "views_total", "view_count", "stats", "media_urls", "viewers"})
_PICTURES = frozenset({"thumbnail", "picture"})  # served by whichever host has room
_OWNERS_WORDS = frozenset({"title", "description"})  # an address in them is a text
_UNORDERED = frozenset({CAPTIONS, AUDIO_TRACKS, PLAYLISTS, LABELS})


def composed(
    answers: Mapping[str, str],
    fields: str = "null",
    playlists: Sequence[Playlist] | None = None,
) -> dict[str, Any]:
    """What ``info.json`` says beside its outer keys; only what is known is in it.

    Args:
        answers: by name (``core.extras.NAMES``), as JSON; ``null`` for one that is not there.
        fields: the custom metadata's fields, as JSON.
        playlists: in which the video is; None where nobody asked.
    """
    had = {name: read(answers[name]) for name in NAMES if name in answers}
    document = {name: value for name, value in had.items() if value is not None}
    details = document.get(DETAILS)
    if isinstance(details, dict) and "locks" in details:
        document[LOCKS] = details["locks"]
    if CUSTOM_METADATA in document:
        document[CUSTOM_METADATA] = _named(document[CUSTOM_METADATA], _field_names(fields))
    if playlists is not None:
        document[PLAYLISTS] = [{"id": str(each.id), "title": each.title} for each in playlists]
    return document


def channel_document(raw: str, playlists: Sequence[Playlist] | None) -> dict[str, Any]:
    """What ``channel.info.json`` says: details as received, and the playlists with their videos."""
    document: dict[str, Any] = {"channel": read(raw)}
    if playlists is not None:
        document[PLAYLISTS] = [
            {
                "id": str(each.id),
                "title": each.title,
                "videos": [str(video_id) for video_id in each.videos],
                "playlist": read(each.raw),
            }
            for each in playlists
        ]
    return document


def is_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """*after* says something else than *before*, or more.

    Both are documents, perhaps with other keys beside ours, as an ``info.json`` has them; a key
    that *after* lacks is no change.
    """
    ours = [name for name in (*KEYS, "channel") if name != LOCKS and name in after]
    return any(_settled(name, before.get(name)) != _settled(name, after[name]) for name in ours)


def _settled(name: str, value: Any) -> str:
    """*value* without what moves by itself, as a text that can be compared.

    A document may come from a file that anybody changed: one too deep is like no other.
    """
    try:
        return _compared(name, value)
    except RecursionError:
        return "deep"


def _compared(name: str, value: Any) -> str:
    if name in (DETAILS, "channel", PLAYLISTS):
        value = _still(value)
    value = _filled(value)
    if name in _UNORDERED and isinstance(value, list):
        value = sorted(json.dumps(each, sort_keys=True) for each in value)
    return json.dumps(value, sort_keys=True)


def _still(value: Any, key: str = "") -> Any:
    """Without counters, and every address without its query, where signatures are.

    One of a picture is without its host, too: its bytes are kept and compared for themselves.
    """
    if isinstance(value, dict):
        kept = {name: part for name, part in value.items() if name not in _MOVING}
        return {
            name: _still(part, key if key in _PICTURES else name) for name, part in kept.items()
        }
    if isinstance(value, list):
        return [_still(part, key) for part in value]
    if isinstance(value, str) and key not in _OWNERS_WORDS:
        is_address = value.startswith(("http://", "https://"))
        place = value.partition("?")[0] if is_address else value
        return place.split("/", 3)[3:] if is_address and key in _PICTURES else place
    return value


def _filled(value: Any) -> Any:
    """``{}`` and ``[]`` stand for each other and for nothing; so does null."""
    if isinstance(value, dict):
        parts = {name: _filled(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part is not None} or None
    if isinstance(value, list):
        return [_filled(part) for part in value] or None
    return value


def _field_names(fields: str) -> dict[str, str]:
    found = read(fields)
    listed = list(found.values()) if isinstance(found, dict) else found
    names: dict[str, str] = {}
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict):
            number, name = each.get("id", each.get("field_id")), each.get("name")
            if isinstance(number, str | int) and isinstance(name, str):
                names[str(number)] = name
    return names


def _named(metadata: Any, names: Mapping[str, str]) -> Any:
    """Each value with its field's name beside it, where the field is known."""
    if isinstance(metadata, dict):
        return {key: _named_value(each, names) for key, each in metadata.items()}
    if isinstance(metadata, list):
        return [_named_value(each, names) for each in metadata]
    return metadata


def _named_value(value: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(value, dict) or "field_name" in value:
        return value
    number = value.get("field_id")
    name = names.get(str(number)) if isinstance(number, str | int) else None
    return value if name is None else {**value, "field_name": name}
