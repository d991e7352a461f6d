"""What the user asks for: sources, and the filter that every listed video passes.

Rule 1: texts are read here and nowhere else; what is no source, date or pattern is a ValueError
whose text is a sentence for the user, without any part of an address behind its ``?``.
Rule 2: doubt keeps a video: what the listing does not say never filters it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from archiver.core.model import ChannelId, Instant, Video, VideoId

Protect = Literal["public", "private", "any"]

_HOSTS: Final = frozenset({"video.ibm.com", "ustream.tv"})
_ID = re.compile(r"0*([1-9][0-9]{0,17})")  # 18 digits: below 2^63, as the ledger stores it
_NAME = re.compile(r"[^\s/?#\x00-\x1f\x7f]{1,200}")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])?", re.ASCII | re.IGNORECASE)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgtp])?(i?b)?", re.ASCII | re.IGNORECASE)
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%?", re.ASCII)
_SIZE_MOST: Final = 2**60
_DAY = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", re.ASCII)
_SPAN_MOST_S: Final = 3.2e9  # a century: a longer one is a slip of the finger
SOURCES: Final = "account, channel:ID, playlist:ID, video:ID, a video's number, a page address"


@dataclass(frozen=True, slots=True)
class AccountSource:
    """Every channel that the credentials see."""

    def __str__(self) -> str:
        return "account"


@dataclass(frozen=True, slots=True)
class ChannelSource:
    """One channel: by its number, or by the name in its page address, to be looked up."""

    channel: ChannelId | str

    def __str__(self) -> str:
        return f"channel:{self.channel}"


@dataclass(frozen=True, slots=True)
class PlaylistSource:
    """The videos of one playlist."""

    playlist: int

    def __str__(self) -> str:
        return f"playlist:{self.playlist}"


@dataclass(frozen=True, slots=True)
class VideoSource:
    """One video."""

    video: VideoId

    def __str__(self) -> str:
        return f"video:{self.video}"


Source: TypeAlias = AccountSource | ChannelSource | PlaylistSource | VideoSource


def parse_source(text: str) -> Source:
    """Read one source: a noun, a video's number, or the address of a page.

    Raises:
        ValueError: it is none of these; the text is a sentence for the user.
    """
    text = text.strip()
    noun, colon, rest = text.partition(":")
    if text.lower() == "account":
        return AccountSource()
    if _number(text) is not None:
        return VideoSource(VideoId(_id(text, text)))
    match noun.lower() if colon else "":
        case "channel":
            return _channel(rest, text)
        case "playlist":
            return PlaylistSource(_id(rest, text))
        case "video":
            return VideoSource(VideoId(_id(rest, text)))
        case _:
            page = _page(text)
    if page is None:
        raise ValueError(f"{_quoted(text)} is no source; known are {SOURCES}.")
    return _of_page(page, text)


def unique(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Each source once, in the order of first mention."""
    return tuple(dict.fromkeys(sources))


def read_sources(text: str) -> tuple[str, ...]:
    """The sources in a file's text: one a line, ``#`` begins a comment, empty lines are nothing.

    A ``#`` inside an address, with no space before it, belongs to the address.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    bare = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return tuple(line for line in bare if line)


def _page(text: str) -> tuple[str, ...] | None:
    """The path of a page of the vendor, in its parts; None for any other text."""
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:  # as of an address with half a bracket
        return None
    if host not in _HOSTS or parts.scheme.lower() not in ("http", "https"):
        return None
    return tuple(unquote(part) for part in parts.path.split("/") if part)


def _of_page(path: tuple[str, ...], text: str) -> Source:
    match path:
        case ("recorded", video, *_) | ("embed", "recorded", video, *_):
            return VideoSource(VideoId(_id(video, text)))
        case ("channel", "id", channel, *_) | ("channel", channel, *_):
            return _channel(channel, text)
        case ("embed", channel, *_):
            return ChannelSource(ChannelId(_id(channel, text)))
        case _:
            raise ValueError(
                f"{_quoted(text)} is no page of a video or a channel: "
                "those have /recorded/ID or /channel/ID-or-name."
            )


def _channel(text: str, whole: str) -> ChannelSource:
    number = _number(text)
    if number is not None:
        return ChannelSource(ChannelId(number))
    if not _NAME.fullmatch(text) or text.isdigit():
        raise ValueError(f"{_quoted(whole)} names no channel: give its number or its name.")
    return ChannelSource(text)


def _id(text: str, whole: str) -> int:
    number = _number(text)
    if number is None:
        raise ValueError(f"{_quoted(whole)} needs a number, as in video:124347309.")
    return number


def _number(text: str) -> int | None:
    found = _ID.fullmatch(text)
    return int(found[1]) if found else None


def _quoted(text: str) -> str:
    """For a message: short, on one line, without a signature that was pasted with it."""
    shown = text.split("?", 1)[0]
    return repr(shown if len(shown) <= 80 else f"{shown[:77]}...")


def parse_span(text: str) -> float:
    """Seconds of a span such as ``90``, ``90s``, ``15m``, ``6h``, ``30d``, ``2w``.

    Raises:
        ValueError: it is no span, or one beyond a century.
    """
    found = _SPAN.fullmatch(text.strip())
    seconds = float(found[1]) * _UNITS[(found[2] or "s").lower()] if found else _SPAN_MOST_S
    if not seconds < _SPAN_MOST_S:
        raise ValueError(f"{_quoted(text)} is no span of time, as in 90s, 15m, 6h or 30d.")
    return seconds


def parse_size(text: str) -> int:
    """Bytes of a size such as ``500``, ``800k``, ``20M``, ``1.5GiB``; ``20MB`` counts by 1000.

    A bare letter counts by 1024, as in rclone, curl and yt-dlp.

    Raises:
        ValueError: it is no size, or nothing at all, or one beyond an exbibyte.
    """
    found = _SIZE.fullmatch(text.strip())
    size = 0.0
    if found:
        step = 1000 if (found[3] or "").lower() == "b" else 1024
        size = float(found[1]) * step ** " kmgtp".index((found[2] or " ").lower())
    if not 1 <= size <= _SIZE_MOST:
        raise ValueError(f"{_quoted(text)} is no size, as in 800k, 20M or 1.5G.")
    return int(size)


def parse_share(text: str) -> float:
    """A part of the whole, above 0 and up to 1, of a percentage such as ``5%``.

    Raises:
        ValueError: it is none.
    """
    found = _SHARE.fullmatch(text.strip())
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 1:
        raise ValueError(f"{_quoted(text)} is no share, as in 5%.")
    return share


def parse_moment(text: str, now: Instant, *, end: bool = False) -> Instant:
    """The instant that a date, a date with time, or an age such as ``30d`` means.

    Args:
        now: what an age is counted back from.
        end: a bare date means its end (UTC), so that ``--until 2026-11-23`` includes that day.

    Raises:
        ValueError: none of these.
    """
    text = text.strip()
    if re.search(r"[smhdw]$", text, re.IGNORECASE):  # a bare number is no date: which unit?
        return Instant(now - parse_span(text))
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if end and _DAY.fullmatch(text):
            moment += timedelta(days=1)
        return Instant(moment.timestamp())
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{_quoted(text)} is no date, as in 2026-11-23, and no age, as in 30d."
        ) from error


def parse_pattern(text: str) -> re.Pattern[str]:
    """A regular expression to search a title with; as it stands, capitals count.

    Raises:
        ValueError: it is none.
    """
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{_quoted(text)} is no regular expression: {error}.") from error


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of the listed videos are wanted.

    Attributes:
        since: earliest date, inclusive; of ``added_at``, which owners cannot edit, else
            ``created_at``.
        until: the first instant that is too late.
        protect: which of the two kinds.
        match: searched for in the title.
        limit: at most so many videos; kept by whoever walks the listing, not by ``admits``.
    """

    since: Instant | None = None
    until: Instant | None = None
    protect: Protect = "any"
    match: re.Pattern[str] | None = None
    limit: int | None = None

    @property
    def is_open(self) -> bool:
        """Everything is wanted: an empty result is then the listing's doing, not the filter's."""
        return self == Filter()

    def admits(self, video: Video) -> bool:
        """*video* is wanted, as far as anybody can tell."""
        at = video.added_at if video.added_at is not None else video.created_at
        if at is not None and not self._in_time(at):
            return False
        if self.protect != "any" and video.protect not in ("", self.protect):
            return False
        return self.match is None or self.match.search(video.title) is not None

    def _in_time(self, at: Instant) -> bool:
        since_ok = self.since is None or at >= self.since
        return since_ok and (self.until is None or at < self.until)


ALL: Final = Filter()
