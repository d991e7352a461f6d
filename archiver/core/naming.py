"""What things are called: every name in the archive, safe on any file system and in any terminal.

Rule 1: a name is chosen from a title once and then kept; nothing here may depend on anything else.
Rule 2: uniqueness comes from the bracketed ID alone, never from the title.
Rule 3: extensions come from our own list, never from a title or a server.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from archiver.core.model import ChannelId, Instant, JobKey, Video
from archiver.met import met

TITLE_BYTES_MOST = 80
NAME_BYTES_MOST = 255
PATH_UNITS_MOST = 200  # UTF-16 units below DEST: leaves Windows' 260 some room for DEST itself
SUFFIX_MOST = 24  # " v999" or " r999", " (2)", and ".info.json" or ".zh-hant-00.vtt"
CHANNEL_UNITS_MOST = 70  # leaves a video's title 24 units beside a nine-digit ID
LANGUAGE_MOST = 10
TEMPLATE = "{date} {title} [{id}]"
TEMPLATE_UNITS_MOST = 24  # with a short title and ID: what a path can spare beside them

_DASHED = frozenset("/\\|:")  # these part words; the others only decorate them
_BLANKED = frozenset('<>"?*%')
# Letters and marks that show nothing, though Unicode does not class them as format characters.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SPACES = frozenset({"Zs", "Zl", "Zp"})
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [device + digit for device in ("com", "lpt") for digit in "0123456789"]
)
_EXTENSIONS = {"video": ("mp4", "flv"), "thumbnail": ("jpg", "png", "webp")}
_REVISED = frozenset({"thumbnail", "caption", "details", "channel"})  # a version is a revision


@dataclass(frozen=True, slots=True)
class Place:
    """Where a video's files belong: ``folder`` below DEST, ``stem`` of every name in it."""

    folder: str
    stem: str


def channel_folder(channel_id: ChannelId | None, title: str | None) -> str:
    """Return the name of a channel's folder, like ``Channel title [23711860]``.

    A video without a channel lies under ``account``.
    """
    if channel_id is None:
        return "account"
    tag = f"[{channel_id}]"
    return _joined(_cut(clean(title or ""), CHANNEL_UNITS_MOST - len(tag) - 1), tag)


@dataclass(slots=True)
class Names:
    """How an archive calls its folders: by the *template* that was chosen when it was made."""

    template: str = TEMPLATE

    def channel_folder(self, channel_id: ChannelId | None, title: str | None, /) -> str:
        """The name of a channel's folder below ``data``."""
        return channel_folder(channel_id, title)

    def place_for(self, video: Video, channel: str, /) -> Place:
        """The place of a video below its channel's folder."""
        return place_for(video, channel, self.template)


def parse_template(text: str) -> str:
    """Check a template for the names of videos, like ``{date} {title} [{id}]``.

    Raises:
        ValueError: it makes no portable or no unique names; the text is a sentence for the user.
    """
    if text.count("[{id}]") != 1:
        raise ValueError("it needs [{id}] once: the number makes names unique.")
    sample = _filled(text, "2000-01-01", "x", "1")
    if "{" in sample or "}" in sample or text.count("{title}") > 1:
        raise ValueError("it knows {date}, {title} once and {id}, and no other field.")
    if utf16_units(sample) > TEMPLATE_UNITS_MOST:
        raise ValueError("it is too long: little room would be left for titles.")
    if clean(sample) != sample:
        raise ValueError("it has characters that not every disk takes in a name.")
    return text


def place_for(video: Video, channel: str, template: str = TEMPLATE) -> Place:
    """Choose where a video's files belong, below the folder of its channel.

    The title is cut until the longest path of the video fits into PATH_UNITS_MOST, which it does
    for every *channel* that ``channel_folder`` gave.

    Args:
        video: as it was first listed; ``added_at`` dates it, since owners edit ``created_at``.
        channel: the name of the channel's folder.
        template: as ``parse_template`` let it pass.
    """
    day = _day(video.added_at) or _day(video.created_at)
    parent = f"data/{channel}/{day[:4] or 'undated'}"
    frame = utf16_units(_filled(template, day, "", str(video.id))) + 1  # the title's own space
    left = PATH_UNITS_MOST - utf16_units(parent) - len("//") - SUFFIX_MOST - 2 * frame
    stem = _filled(template, day, _cut(clean(video.title), left // 2), str(video.id))
    met("L12")  # by the number, whoever else has this title
    return Place(f"{parent}/{stem}", stem)


def file_name(stem: str, kind: str, variant: str, version: int) -> str:
    """Return a file's name: ``stem.mp4``, ``stem v2.mp4``, ``stem.info.json``, ``stem.en-00.vtt``.

    A video's and its sidecar's version is the video's, ``v2``; that of an extra counts what became
    of it later, ``stem r2.jpg``.  A later sidecar, ``stem r2.info.json``, is of kind ``details``.

    Raises:
        ValueError: a kind or an extension that is not ours.
    """
    letter = "r" if kind in _REVISED else "v"
    named = stem if version == 1 else f"{stem} {letter}{version}"
    if kind in ("info", "details", "channel"):
        return f"{named}.info.json"
    if kind == "chat":
        return f"{named}.chat.json"
    if kind == "caption":
        return f"{named}.{language_slug(variant)}.vtt"
    if variant not in _EXTENSIONS.get(kind, ()):
        raise ValueError(f"no name for a file of kind {kind!r} and variant {variant!r}")
    return f"{named}.{variant}"


def language_slug(language: str) -> str:
    """A language as a file's name has it."""
    return _slug(language)[:LANGUAGE_MOST].rstrip("-") or "und"


def part_name(key: JobKey) -> str:
    """Return the name of an unfinished download: no title in it, so that it never changes."""
    return f"{key.video_id}.{_slug(key.variant)[:32] or 'und'}.v{key.version}.part"


def numbered(name: str, number: int) -> str:
    """Return *name* with `` (2)`` before its extension, for a place that a stranger has taken."""
    for ending in (".info.json", ".chat.json"):
        if name.endswith(ending):
            return f"{name.removesuffix(ending)} ({number}){ending}"
    stem, dot, extension = name.rpartition(".")
    return f"{stem} ({number}){dot}{extension}"


def clean(title: str) -> str:
    """Return a title as a part of a file name: at most TITLE_BYTES_MOST of UTF-8, never empty."""
    composed = unicodedata.normalize("NFC", title)
    shown = "".join(_portable(char) for char in composed)
    _count(title, composed, shown)
    # What was dropped may have kept a letter and its accent apart.
    shown = unicodedata.normalize("NFC", " ".join(shown.split()))
    shown = _trimmed(_without_leading_marks(shown))
    # Windows takes a device by its name before the first dot, whatever comes after.
    device = unicodedata.normalize("NFKC", shown.split(".")[0]).strip().casefold()
    if device in _RESERVED:
        met("L13")
        shown = f"_{shown}"
    return _cut(shown) or "untitled"


def display(text: str) -> str:
    """Return *text* as one line that cannot steer a terminal: no escapes, no bidi, no surrogates.

    The joiners inside of emoji and of Indic words stay.
    """
    plain = unicodedata.normalize("NFC", text)
    if plain.isprintable():  # nearly every text is, and a look at each letter costs
        return " ".join(plain.split())
    shown = "".join(_printable(char) for char in plain)
    if shown != plain:
        met("S05")
    return " ".join(shown.split())


def utf16_units(text: str) -> int:
    """How long *text* is to Windows, which counts in UTF-16."""
    return len(text.encode("utf-16-le")) // 2


def _count(title: str, composed: str, shown: str) -> None:
    """Count what *title* held and its portable form does not."""
    if composed != title:
        met("L11")
    if len(shown) < len(composed):  # control, bidi and other characters that show nothing
        met("L15")
    if "/" in composed or "\\" in composed:
        met("L14")
    if not (_DASHED | _BLANKED).isdisjoint(composed):
        met("L13")


def _portable(char: str) -> str:
    category = unicodedata.category(char)
    if char in _DASHED:
        return "-"
    if char in _BLANKED or char.isspace() or category in _SPACES:
        return " "
    if category in _DROPPED or char in _INVISIBLE:
        return ""
    return char


def _printable(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    if char.isspace() or category in ("Cc", *_SPACES):
        return " "
    if category == "Cf" and char not in "\u200c\u200d":
        return ""
    return char


def _trimmed(text: str) -> str:
    return text.strip(". ")


def _without_leading_marks(text: str) -> str:
    """A mark with no letter before it would sit on the space, or on the date."""
    while text and (text[0] in ". " or unicodedata.category(text[0]) in ("Mn", "Mc", "Me")):
        text = text[1:]
    return text


def _cut(text: str, units: int = PATH_UNITS_MOST) -> str:
    """Cut at the edge of what a reader takes for one character."""
    kept = ""
    for cluster in _clusters(text):
        if not _fits(kept + cluster, units):
            met("L10")
            if not kept:  # one letter under a heap of accents: some of them
                while cluster and not _fits(cluster, units):
                    cluster = cluster[:-1]
                kept = cluster
            break
        kept += cluster
    return _trimmed(kept)


def _fits(text: str, units: int) -> bool:
    return len(text.encode()) <= TITLE_BYTES_MOST and utf16_units(text) <= units


def _clusters(text: str) -> list[str]:
    """Split roughly as Unicode's grapheme clusters do: enough to tear no accent and no flag."""
    clusters: list[str] = []
    for char in text:
        if clusters and (_extends(char) or _is_second_of_flag(clusters[-1], char)):
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


def _extends(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Mn", "Mc", "Me")
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # skin tones
        or "\u1161" <= char <= "\u11ff"  # the later letters of an old Korean syllable
        or "\ud7b0" <= char <= "\ud7fb"
    )


def _is_second_of_flag(cluster: str, char: str) -> bool:
    return len(cluster) == 1 and all("\U0001f1e6" <= c <= "\U0001f1ff" for c in (cluster, char))


def _day(at: Instant | None) -> str:
    """The day in UTC, or nothing where the time is missing or absurd."""
    if at is None or not 0 < at < 1e11:
        return ""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _slug(text: str) -> str:
    return "".join(char for char in text.lower() if char in "abcdefghijklmnopqrstuvwxyz0123456789-")


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)


def _filled(template: str, day: str, title: str, number: str) -> str:
    """The title comes last: what it says is no field."""
    dated = template.replace("{date}", day).replace("{id}", number)
    return " ".join(dated.replace("{title}", title).split())
