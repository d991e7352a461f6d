"""From bytes to the small answers about a video or a channel, by the rules of ``wire``.

Rule 1: nothing but BadAnswerError leaves this module, whatever the bytes.
Rule 2: an answer is kept as it was received, as JSON that any reader takes: not deep, valid UTF-8.
"""

from __future__ import annotations

import re
from typing import Any

from archiver.adapters.vendor.values import (
    Json,
    compact,
    identifier,
    items,
    mapping,
    parsed,
    text,
)
from archiver.core.extras import Playlist
from archiver.core.model import ChannelId, VideoId
from archiver.errors import BadAnswerError
from archiver.met import met

RECORD_MOST = 2 * 1024 * 1024  # a thousand chapters are about 100 kB
CAPTION_MOST = 8 * 1024 * 1024  # a day of speech is about 2 MB
DEPTH_MOST = 50  # what is written into a sidecar is read by programs that give up on more
_WEB_VTT = re.compile(rb"(?:\xef\xbb\xbf)?WEBVTT(?:[ \t\r\n]|$)")


def record(body: bytes, key: str) -> str:
    """The object or list under *key*, as JSON; ``null`` where the vendor says so.

    Raises:
        BadAnswerError: no JSON, or nothing of that kind under *key*.
    """
    answer = _small(body)
    found = answer.get(key, "")
    if found is not None and not isinstance(found, dict | list):
        met("A19")
        raise BadAnswerError(f"the API's answer has no object '{key}'")
    return compact(found)


def details(body: bytes, key: str, wanted: VideoId | ChannelId) -> str:
    """The object under *key*, or the whole answer, if it is about *wanted*; as JSON.

    Raises:
        BadAnswerError: no JSON, or about something else.
    """
    answer = _small(body)
    found = mapping(answer.get(key, answer))
    if identifier(found.get("id")) != wanted:
        raise BadAnswerError(f"the API's answer is not about that {key}")
    return compact(found)


def fields(body: bytes) -> str:
    """The fields of the custom metadata, as a JSON list; the vendor does not say under which key.

    Raises:
        BadAnswerError: no JSON, or no list in it.
    """
    answer = _small(body)
    for key in ("fields", "custom_metadata_fields", "metadata_fields", "metadata"):
        if isinstance(found := answer.get(key), dict | list):
            return compact(list(items(found)))
    raise BadAnswerError("the API's answer has no list 'fields'")


def playlist(value: object) -> Playlist | None:
    """A listed playlist, or None where it has no usable id."""
    if not isinstance(value, dict) or (found := identifier(value.get("id"))) is None:
        return None
    return Playlist(found, text(value.get("title")), compact(value))


def web_vtt(body: bytes) -> bytes:
    """*body*, if it is a caption track's text.

    Raises:
        BadAnswerError: something else than WebVTT, or too long.
    """
    if len(body) > CAPTION_MOST:
        raise BadAnswerError("a caption track is longer than 8 MiB")
    if _WEB_VTT.match(body) is None:
        met("S07")
        raise BadAnswerError(f"a caption track is no WebVTT ({len(body)} bytes)")
    return body


def _small(body: bytes) -> Json:
    if len(body) > RECORD_MOST:
        met("A35")
        raise BadAnswerError("the API's answer is longer than 2 MiB")
    answer = parsed(body)
    if _is_deep(answer):
        met("A36")
        raise BadAnswerError(f"the API's answer is nested more than {DEPTH_MOST} deep")
    return answer


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH_MOST):
        level = [
            part
            for each in level
            if isinstance(each, dict | list)
            for part in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True
