"""From bytes of the vendor's API to our nouns: tolerant of everything, surprised by nothing.

Rule 1: nothing but BadAnswerError leaves this module, whatever the bytes.
Rule 2: a value that makes no sense is as good as absent; only a missing core is a bad answer.
Rule 3: ``raw`` keeps what was received, unknown fields and all, as valid UTF-8.
Source of the shapes: the vendor's reference; ``{}`` for a list and ``[]`` for an object happen.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from archiver.adapters.vendor.values import (
    Json,
    compact,
    identifier,
    instant,
    is_web_address,
    items,
    mapping,
    number,
    parsed,
    text,
    whole,
)
from archiver.core.model import (
    NEVER,
    Channel,
    ChannelId,
    Downloadable,
    Link,
    Readiness,
    Video,
    VideoId,
)
from archiver.errors import BadAnswerError
from archiver.met import met

URL_MOST = 16 * 1024
WORD_MOST = 40  # of a status that nobody knows
_HREF_ID = re.compile(r"/([0-9]{1,19})(?:\.json)?/?$")


def downloadable(body: bytes) -> Downloadable:
    """Read an answer about a downloadable version.

    A status word that we do not know, or ``available`` without a usable address, is PENDING.

    Raises:
        BadAnswerError: no JSON, or without the object ``downloadable``.
    """
    answer = parsed(body).get("downloadable")
    if not isinstance(answer, dict):
        met("A19")
        raise BadAnswerError("the API's answer has no object 'downloadable'")
    status = text(answer.get("status")).strip().lower()
    if status == Readiness.UNAVAILABLE:
        return Downloadable(Readiness.UNAVAILABLE)
    url = text(answer.get("download_url")).strip()
    if status != Readiness.AVAILABLE or len(url) > URL_MOST or not is_web_address(url):
        said = "" if status == Readiness.PENDING else status[:WORD_MOST] or "nothing"
        return Downloadable(Readiness.PENDING, said=said)
    expires_at = instant(answer.get("expires_at"))
    link = Link(url, NEVER if expires_at is None else expires_at)
    return Downloadable(Readiness.AVAILABLE, link)


def video(value: object) -> Video | None:
    """A listed video, or None where it has no usable id."""
    if not isinstance(value, dict) or (video_id := identifier(value.get("id"))) is None:
        return None
    linked = mapping(mapping(value.get("links")).get("channel"))
    own = mapping(value.get("channel"))
    channel_id = _channel_id(linked)
    channel_id = _channel_id(own) if channel_id is None else channel_id
    length_s = number(value.get("length"))
    return Video(
        id=VideoId(video_id),
        title=text(value.get("title")),
        channel_id=channel_id,
        channel_title=text(own.get("title")) or text(linked.get("title")) or None,
        created_at=instant(value.get("created_at")),
        added_at=instant(value.get("added_at")),
        size_bytes=whole(value.get("file_size")) or None,
        length_s=length_s if length_s is not None and length_s > 0 else None,
        protect=text(value.get("protect")),
        recording="length" in value and _is_nothing(value["length"]),
        raw=compact(value),
    )


def _is_nothing(value: object) -> bool:
    return value is None or value == "" or number(value) == 0


def _channel_id(value: Json) -> ChannelId | None:
    found = identifier(value.get("id"))
    if found is None:
        match = _HREF_ID.search(text(value.get("href"))[:2_000].partition("?")[0])
        found = identifier(match[1]) if match else None
    return None if found is None else ChannelId(found)


def channel(value: object) -> Channel | None:
    """A listed channel, or None where it has no usable id."""
    if not isinstance(value, dict) or (channel_id := identifier(value.get("id"))) is None:
        return None
    return Channel(ChannelId(channel_id), text(value.get("title")), compact(value))


def is_shared(found: Channel) -> bool:
    """The channel is another account's, shared with this one (``authority.reason``)."""
    authority = mapping(mapping(json.loads(found.raw)).get("authority"))
    return text(authority.get("reason")).lower() == "shared"


def names(found: Channel) -> frozenset[str]:
    """What a person may call the channel: its title, and the last part of its page's address."""
    page = text(mapping(json.loads(found.raw)).get("url")).rstrip("/").rpartition("/")[2]
    return frozenset({found.title.strip().casefold(), page.casefold()}) - {""}


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a listing as it came.

    Attributes:
        objects: the page's objects, in order.
        next: the address of the next page; "" where there is none.
        paged: the answer says something of paging at all.
        counts: the counters of ``paging``: the same on all pages of a listing at rest.
        odd: there were other things than objects among them.
    """

    objects: tuple[Json, ...]
    next: str = ""
    paged: bool = False
    counts: tuple[tuple[str, int], ...] = ()
    odd: bool = False


def listed(body: bytes, key: str) -> Listed:
    """Read a page whose objects stand under *key*, in either of the vendor's dialects.

    Raises:
        BadAnswerError: no JSON, or nothing like a list under *key*.
    """
    answer = parsed(body)
    found = answer.get(key)
    if not isinstance(found, dict | list):
        raise BadAnswerError(f"the API's answer has no list '{key}'")
    objects = tuple(items(found))
    if found and not objects:
        raise BadAnswerError(f"the API's answer has no objects under '{key}'")
    paging = mapping(answer.get("paging"))
    following = paging.get("next")
    if isinstance(following, dict):
        following = following.get("href")
    counts = tuple(
        (name, count)
        for name in ("item_count", "page_count", "total", "total_count")
        if (count := whole(paging.get(name))) is not None
    )
    odd = len(objects) < len(found)
    return Listed(objects, text(following).strip(), "paging" in answer, counts, odd)


@dataclass(frozen=True, slots=True)
class Granted:
    """A fresh access token.

    Attributes:
        expires_in_s: None where the server says nothing sensible.
        refresh_token: "" where there is none, or none that could be sent back.
    """

    access_token: str
    expires_in_s: float | None = None
    refresh_token: str = ""

    def __repr__(self) -> str:
        return "Granted(***)"


def granted(body: bytes) -> Granted:
    """Read the token endpoint's answer.

    Raises:
        BadAnswerError: no JSON, or without a token that fits into a header.
    """
    answer = parsed(body)
    token, refresh_token = (_token(answer.get(f"{kind}_token")) for kind in ("access", "refresh"))
    if not token:
        raise BadAnswerError("the token endpoint's answer has no access token")
    life_s = number(answer.get("expires_in"))
    return Granted(token, life_s if life_s is not None and life_s > 0 else None, refresh_token)


def _token(value: object) -> str:
    fits = isinstance(value, str) and re.fullmatch(r"[\x21-\x7e]{1,8192}", value)
    return str(value) if fits else ""


def error_word(body: bytes) -> str | None:
    """The ``error`` of a refusal: "" for JSON or an empty body without one; None for no JSON."""
    if not body.strip():
        return ""
    try:
        return text(parsed(body).get("error"))[:100]
    except BadAnswerError:
        return None
