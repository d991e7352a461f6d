"""Every parser of foreign bytes, each as a function that may be given any.

A target returns, or raises what its parser's docstring names; everything else is a finding.  The
assertions are what the rest of the program relies on.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from archiver import settings
from archiver.adapters import lock
from archiver.adapters.mounts import type_of
from archiver.adapters.vendor import wire, wire_extras
from archiver.adapters.vendor.values import parsed
from archiver.core import (
    answer,
    bag,
    container,
    extras,
    extras_document,
    naming,
    pacing,
    picture,
    resume,
    selection,
)
from archiver.core.model import Instant, Job, JobKey, Link, Saved, Video, VideoId
from archiver.emulator import faults, ranges
from archiver.errors import BadAnswerError, SettingsError
from archiver.ports import Shelf
from archiver.records.info import info_json, is_info_of, json_bytes

NOW = Instant(1_790_000_000.0)
STEPS_MOST = 100_000  # of a walk over so few bytes: more is a walk without an end


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "surrogateescape").split("\n")


def _named(data: bytes, names: tuple[str, ...]) -> dict[str, str]:
    """A header block of some of *names*: one line a value."""
    return dict(zip(names, _lines(data), strict=False))


def _storable(text: str) -> None:
    text.encode()  # SQLite and our files take UTF-8 alone


def api(data: bytes) -> None:
    """The vendor's JSON, whatever it is an answer to."""
    for read in (wire.downloadable, wire.granted, wire.error_word):
        try:
            found = read(data)
        except BadAnswerError:
            continue
        link = getattr(found, "link", None)
        if isinstance(link, Link):
            assert not math.isnan(link.expires_at)
            _storable(link.url)
    for key in ("videos", "channels"):
        try:
            page = wire.listed(data, key)
        except BadAnswerError:
            continue
        _storable(page.next)
        for each in page.objects:
            _one(each)
    try:
        _one(parsed(data))
    except BadAnswerError:
        return


def _one(value: object) -> None:
    video, channel = wire.video(value), wire.channel(value)
    if video is not None:
        assert 0 <= video.id < 2**63
        _storable(video.raw + video.title + video.protect)
        shelf = Shelf(video, "data/account", "stem")
        json.loads(info_json(Job(JobKey(video.id)), shelf))
        _is_safe(video)
    if channel is not None:
        _storable(channel.title)
        wire.is_shared(channel)
        wire.names(channel)


def more(data: bytes) -> None:
    """What else the vendor says of a video and of a channel."""
    readers: tuple[Callable[[bytes], str], ...] = (
        wire_extras.fields, lambda body: wire_extras.details(body, "video", VideoId(7)),
        *(partial(wire_extras.record, key=key) for key in ("captions", "metadata", "labels")),
    )  # fmt: skip
    for read in readers:
        try:
            raw = read(data)
        except BadAnswerError:
            continue
        _storable(raw)
        found = extras_document.composed(dict.fromkeys(extras.NAMES, raw), raw)
        assert not extras_document.is_changed(found, found)
        json.loads(json_bytes(found))
        assert all(extras.is_language(each.language) for each in extras.captions(raw))
        extras.thumbnail(raw)
    try:
        wire_extras.web_vtt(data)
    except BadAnswerError:
        assert not data.startswith(b"WEBVTT\n")
    assert picture.kind(data) is not None or not picture.is_whole(data)
    text = data.decode("utf-8", "replace")
    extras_document.is_changed({"details": extras.read(text)}, {"details": None})


def head(data: bytes) -> None:
    """An answer's head from a download host, in every state of a download."""
    kinds = [field.name for field in fields(answer.Head)][1:-1]
    given = _named(data, ("status", *kinds, "bytes", "total", "etag", "date"))
    status, held, total = (_small(given.get(name, "")) for name in ("status", "bytes", "total"))
    texts: dict[str, Any] = {kind: given[kind] for kind in kinds if kind in given}
    found = answer.Head(status % 1000, **texts)
    saved = Saved(held, max(held, total), given.get("etag"), given.get("date"), "here")
    asks = [answer.Ask(), answer.Ask(max(0, held - 5)), answer.Ask(0, 1), answer.Ask(0, again=True)]
    for ask in asks:
        for source in ("here", "there"):
            decision = resume.decide(saved, source, ask, found, witnessed=total % 2 == 1)
            if isinstance(decision, resume.Append):
                assert 0 <= decision.start <= held
                assert found.status == 206
        resume.witnesses(saved, ask, found)
    answer.strong(found.etag)
    answer.unsatisfied_total(found.content_range)


def _small(text: str) -> int:
    return int(text[:9]) if re.fullmatch("[0-9]+", text) else 0


def pace(data: bytes) -> None:
    """Rate-limit headers, Retry-After and Date."""
    names = (
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "Retry-After",
        "Date",
    )
    given = _named(data, names)
    said = pacing.news(given, NOW)
    at = pacing.when(given.get("Retry-After"), NOW)
    for instant in (at, said.reset_at, said.retry_at):
        assert instant is None or instant <= NOW + 900
    date = pacing.http_date(given.get("Date", ""))
    assert date is None or math.isfinite(date)
    rate = pacing.Rate()
    for status in (200, 429):
        if status == 429:
            rate = pacing.refused(rate, said, NOW, NOW, 3.0)
        else:
            rate = pacing.answered(rate, said, NOW)
        may_at = pacing.may_send_at(rate, 0, NOW)
        assert may_at is None or may_at <= NOW + 86_400


class _Reader:
    """A file that is walked, and how often it was read."""

    def __init__(self, data: bytes) -> None:
        self._data, self._steps = data, 0

    def __call__(self, offset: int, length: int) -> bytes:
        self._steps += 1
        assert self._steps < STEPS_MOST
        assert 0 <= length <= 1 << 20
        return self._data[offset : offset + length]


def boxes(data: bytes) -> None:
    """A file that says it is an MP4 or an FLV."""
    for variant in ("mp4", "flv", "vtt"):
        container.drive(container.walk(variant, len(data)), _Reader(data))
        container.looks_like(data[: container.HEAD_BYTES], variant)
    found = container.drive(container.moov_extent(len(data)), _Reader(data))
    assert found is None or 0 <= found.offset < found.end
    container.is_text(data[: container.HEAD_BYTES])


def names(data: bytes) -> None:
    """Titles, and templates for names."""
    title = data.decode("utf-8", "surrogateescape")  # half characters are in JSON, too
    _is_harmless(naming.display(title))
    naming.channel_folder(None, title)
    _is_safe(Video(VideoId(7), title, added_at=NOW))
    try:
        template = naming.parse_template(title)
    except ValueError:
        return
    _is_safe(Video(VideoId(7), title, added_at=NOW), template)


def _is_harmless(text: str) -> None:
    """No character steers what shows it; one that this Python does not know yet may be there."""
    kinds = {unicodedata.category(char) for char in text if char not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _is_safe(video: Video, template: str = naming.TEMPLATE) -> None:
    folder = naming.channel_folder(video.channel_id, video.channel_title)
    place = naming.place_for(video, folder, template)
    path = f"{place.folder}/{naming.file_name(place.stem, 'info', 'mp4', 99)}"
    _storable(path)
    _is_harmless(path)
    assert naming.utf16_units(path) <= naming.PATH_UNITS_MOST
    for part in path.split("/"):
        assert part.strip(". ") == part
        assert part
        assert len(part.encode()) <= 255
        assert not set(part) & set('<>:"|?*\\%')


def words(data: bytes) -> None:
    """What a person types: sources, dates, sizes, spans, patterns."""
    text = data.decode("utf-8", "surrogateescape")
    readers: tuple[Callable[[str], object], ...] = (
        selection.parse_source, selection.parse_span, selection.parse_size, selection.parse_share,
        selection.parse_pattern, lambda text: selection.parse_moment(text, NOW),
        lambda text: selection.parse_moment(text, NOW, end=True), faults.parse,
    )  # fmt: skip
    for read in readers:
        try:
            read(text)
        except ValueError as error:
            assert len(str(error)) < 5_000 + 3 * len(text)  # noqa: PT017  any refusal is right
    selection.read_sources(text)


def files(data: bytes) -> None:
    """Files of ours that anybody may have changed, and the system's list of mounts."""
    text = data.decode("utf-8", "replace")
    for line in _lines(data):
        found = bag.parse_line(line)
        if found is not None and not set(found[1]) & set("%\r\n\\"):
            assert bag.parse_line(bag.manifest_line(*found)) == found
    bag.undated(text)
    is_info_of(data, Job(JobKey(VideoId(7)), sha256="0" * 64))
    type_of("/srv/videos", text.split("\n"))
    for path in _written(data):
        lock.running(path)
        try:
            settings.load(str(path))
        except SettingsError:
            continue


def _written(data: bytes) -> Iterator[Path]:
    handle, name = tempfile.mkstemp()
    try:
        os.write(handle, data)
        yield Path(name)
    finally:
        os.close(handle)
        os.unlink(name)


def asked(data: bytes) -> None:
    """What a client asks of the emulator's download host."""
    given = _named(data, ("Range", "If-Range", "size"))
    size = _small(given.pop("size", ""))
    part = ranges.wanted(given, size, '"a"', None)
    assert part is None or 0 <= part.start <= part.end <= max(size, 0)


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (api, more, head, pace, boxes, names, words, files, asked)
}
