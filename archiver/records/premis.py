"""The history as PREMIS 3.0: an XML document of objects, events and agents.

Rule 1: it streams; a million files need no more memory than one.
Rule 2: elements stand in the order of the schema (www.loc.gov/standards/premis/premis.xsd).
Rule 3: an object names the last check that read it; the checks before it are events, too.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Final

from archiver.core.model import Holding
from archiver.core.summary import iso
from archiver.core.turn import turn_of
from archiver.records.history import Happening
from archiver.version import __version__

_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<premis xmlns="http://www.loc.gov/premis/v3"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://www.loc.gov/premis/v3'
    ' http://www.loc.gov/standards/premis/premis.xsd" version="3.0">\n'
)
_FORMATS: Final = {
    "mp4": "video/mp4", "flv": "video/x-flv", "json": "application/json", "vtt": "text/vtt",
    "jpg": "image/jpeg", "png": "image/png",
}  # fmt: skip
_NO_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PATH, _VIDEO, _OWN = "path in the bag", "IBM Video Streaming video", "archiver"
_CHUNK: Final = 200


class Document:
    """The document of one archive.

    Args:
        archive_id: tells its events from those of every other archive.
        checks: every verification, oldest first.
    """

    def __init__(self, archive_id: str, checks: Sequence[Happening]) -> None:
        self._id, self._checks = archive_id, checks

    async def chunks(
        self, holdings: AsyncIterable[Holding], happenings: AsyncIterable[Happening]
    ) -> AsyncIterator[str]:
        """The text of the document; *happenings* are those of the ledger."""
        yield _HEAD
        lines: list[str] = []
        last = _Last(self._checks)
        async for holding in holdings:
            lines.append(self._object(holding, last.of(holding)))
            if len(lines) >= _CHUNK:
                yield "".join(lines)
                lines.clear()
        async for each in happenings:
            lines.extend(self._events(each))
            if len(lines) >= _CHUNK:
                yield "".join(lines)
                lines.clear()
        for each in self._checks:
            lines.extend(self._events(each))
        yield "".join([*lines, _agents(), "</premis>\n"])

    def _object(self, held: Holding, check: Happening | None) -> str:
        form = _FORMATS.get(held.path.rpartition(".")[2], "application/octet-stream")
        digest = _e("messageDigestAlgorithm", "SHA-256") + _e("messageDigest", held.sha256)
        read_by = _identified("linkingEvent", _OWN, self._name(check)) if check else ""
        return _e(
            "object",
            _identified("object", _PATH, held.path)
            + _e(
                "objectCharacteristics",
                _e("fixity", digest + _e("messageDigestOriginator", _OWN), raw=True)
                + _e("size", str(held.bytes))
                + _e("format", _e("formatDesignation", _e("formatName", form), raw=True), raw=True),
                raw=True,
            )
            + _e("storage", _located(held.path), raw=True)
            + read_by,
            raw=True,
            kind="file",
        )

    def _events(self, each: Happening) -> Iterable[str]:
        for place, word in enumerate(each.types):
            yield _e(
                "event",
                _identified("event", _OWN, self._name(each, place))
                + _e("eventType", word)
                + _e("eventDateTime", iso(each.at) or "unknown")
                + _e("eventDetailInformation", _e("eventDetail", _told(each)), raw=True)
                + _outcome(each)
                + _identified("linkingAgent", _OWN, _OWN)
                + "".join(_identified("linkingObject", *about) for about in _about(each)),
                raw=True,
            )

    def _name(self, each: Happening, place: int = 0) -> str:
        """What no other event of any archive is called."""
        source = "check" if each.key.kind == "" else "event"
        return f"{self._id}:{source}:{each.number}" + (f":{place + 1}" if place else "")


class _Last:
    """Which check was the last to read a file: samples turn, so that each has its own files."""

    def __init__(self, checks: Iterable[Happening]) -> None:
        self._last: dict[int, dict[int, Happening]] = {}
        for each in checks:
            slices, turn = each.detail.get("slices"), each.detail.get("turn")
            if isinstance(slices, int) and isinstance(turn, int) and slices > 0:
                self._last.setdefault(slices, {})[turn] = each

    def of(self, held: Holding) -> Happening | None:
        found = None
        for slices, turns in self._last.items():
            each = turns.get(turn_of(held.path, slices))
            if each and each.at > held.stored_at and (found is None or each.at > found.at):
                found = each
        return found


def _about(each: Happening) -> list[tuple[str, str]]:
    """What an event is linked to: stored files; where there are none, the video."""
    if each.paths:
        return [(_PATH, path) for path in each.paths]
    return [(_VIDEO, str(each.key.video_id))] if each.key.kind else []


def _outcome(each: Happening) -> str:
    if each.is_good is None:
        return ""
    return _e("eventOutcomeInformation", _e("eventOutcome", _word(good=each.is_good)), raw=True)


def _word(*, good: bool) -> str:
    return "pass" if good else "fail"


def _told(each: Happening) -> str:
    return f"{each.name}: {json.dumps(each.detail, ensure_ascii=False, sort_keys=True)}"


def _located(path: str) -> str:
    where = _e("contentLocationType", "path below the bag") + _e("contentLocationValue", path)
    return _e("contentLocation", where, raw=True)


def _identified(of: str, kind: str, value: str) -> str:
    name = f"{of}Identifier"
    return _e(name, _e(f"{name}Type", kind) + _e(f"{name}Value", value), raw=True)


def _agents() -> str:
    return _e(
        "agent",
        _identified("agent", _OWN, _OWN) + _e("agentName", _OWN) + _e("agentType", "software")
        + _e("agentVersion", __version__),
        raw=True,
    )  # fmt: skip


def _e(name: str, content: str, *, raw: bool = False, kind: str = "") -> str:
    """An element; its content is text, unless it is *raw*."""
    text = content if raw else html.escape(_NO_XML.sub("\ufffd", content), quote=False)
    attribute = f' xsi:type="{kind}"' if kind else ""
    return f"<{name}{attribute}>{text}</{name}>" + ("\n" if name in ("object", "event") else "")
