"""Is this a whole video: a walk over the skeleton of an MP4 or FLV file, without any I/O.

Every walk is a generator that yields the ``(offset, length)`` it wants to read and is sent the
bytes; whoever drives it owns the file, the threads and the pace.  A walk reads headers only.
Rule 1: sizes in a file are hostile; every step moves forward and every walk has an end.
Rule 2: a walk finds a file that was cut or filled with holes.  It does not find a flipped bit.
Source: ISO/IEC 14496-12, 4.2; Adobe Flash Video File Format 10.1, annex E.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NewType, TypeAlias, TypeVar

from archiver.met import met

Problem = NewType("Problem", str)
Wish: TypeAlias = tuple[int, int]  # offset and length of what to read next
T = TypeVar("T")
Walk: TypeAlias = Generator[Wish, bytes, T]

BOXES_MOST = 1_000_000  # a day of two-second fragments has 86,400
TAGS_MOST = 50_000_000  # a day of FLV has about 6 million
HEAD_BYTES = 512  # enough of a file for `looks_like` and `is_text`

# What real files begin with: ISO files with ftyp or styp, old QuickTime with the others.
_FIRST_BOXES = frozenset(
    {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"sidx"}
)
_MAGIC = {
    "flv": (b"FLV\x01",),
    "jpg": (b"\xff\xd8\xff",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "vtt": (b"WEBVTT", b"\xef\xbb\xbfWEBVTT"),
}
_TAG_TYPES = frozenset({8, 9, 15, 18})  # sound, picture, script data in its two forms


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a box lies: both in bytes.  It may reach beyond what is there yet."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The offset after its last byte."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    offset: int
    size: int
    is_open: bool  # it goes on to the end of the file, wherever that is


def walk(variant: str, size: int, *, open_end: bool = True) -> Walk[Problem | None]:
    """Walk a whole file of *size* bytes; None where its skeleton is sound.

    Args:
        variant: ``mp4`` or ``flv``.  Of anything else only the emptiness is checked.
        open_end: the last box of an MP4 may say that it goes on to the end of the file.  False
            where the file's end is known from nothing else: any cut would look whole.
    """
    if size == 0:
        return Problem("the file is empty")
    if variant == "mp4":
        return (yield from _walk_mp4(size, open_end=open_end))
    if variant == "flv":
        return (yield from _walk_flv(size))
    return None


def moov_extent(available: int) -> Walk[Extent | None]:
    """Find the ``moov`` box among the first *available* bytes of an MP4.

    Returns:
        Where the whole box lies, header included; None where no header of it is there, or where
        the bytes are no MP4.  Its end may lie beyond *available*.
    """
    offset = 0
    for _ in range(BOXES_MOST):
        box = yield from _box_at(offset, available)
        if isinstance(box, str):
            return None
        if box.kind == b"moov":
            return Extent(box.offset, box.size)
        offset += box.size
    return None


def drive(steps: Walk[T], read: Callable[[int, int], bytes]) -> T:
    """Run a walk to its end over *read*, which gives fewer bytes only at the end of the file."""
    try:
        wish = next(steps)
        while True:
            wish = steps.send(read(*wish))
    except StopIteration as stop:
        result: T = stop.value
        return result


def looks_like(first_bytes: bytes, variant: str) -> bool:
    """The first bytes are those of a file of this kind: at least 12 of them, if there are."""
    if variant == "mp4":
        return first_bytes[4:8] in _FIRST_BOXES
    return first_bytes.startswith(_MAGIC.get(variant, (b"",)))


def is_text(first_bytes: bytes) -> bool:
    """The first bytes are a page or an error message where a video should be."""
    shown = first_bytes.removeprefix(b"\xef\xbb\xbf").lstrip()
    if shown[:1] in (b"<", b"{", b"["):
        return True
    # At least a word: a file that begins with one printable byte is no message.
    return len(shown) >= 4 and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in shown)


def _walk_mp4(size: int, *, open_end: bool) -> Walk[Problem | None]:
    offset = 0
    seen: set[bytes] = set()
    for _ in range(BOXES_MOST):
        if offset == size:
            return _missing(seen)
        box = yield from _box_at(offset, size)
        if isinstance(box, str):
            return Problem(box)
        if not seen and box.kind not in _FIRST_BOXES:
            return Problem(f"it begins with a box {_named(box.kind)}: not an MP4 file")
        if box.is_open and not open_end:
            return Problem(f"nothing tells where the box {_named(box.kind)} at {offset} ends")
        seen.add(box.kind)
        offset += box.size
        if offset > size:
            return Problem(
                f"cut short: the box {_named(box.kind)} at {box.offset} ends at {offset}, "
                f"the file at {size}"
            )
    met("S08")
    return Problem(f"more than {BOXES_MOST} boxes")


def _missing(seen: set[bytes]) -> Problem | None:
    if b"moov" not in seen:
        return Problem("no moov box: nothing can play it")
    if not seen & {b"mdat", b"moof"}:
        return Problem("no mdat and no moof box: there is no picture and no sound in it")
    return None


def _box_at(offset: int, size: int) -> Walk[_Box | Problem]:
    """Read one box header; its size is at least that of the header."""
    if size - offset < 8:
        return Problem(f"{size - offset} stray bytes at {offset}")
    head = yield offset, min(16, size - offset)
    length, kind, least = int.from_bytes(head[:4], "big"), head[4:8], 8
    if len(kind) < 4 or min(kind) < 32:  # a hole of zeros would read as a last, endless box
        return Problem(f"no box begins at {offset}")
    is_open = length == 0
    if is_open:
        length = size - offset
    elif length == 1:
        if len(head) < 16:
            return Problem(f"cut short within the box header at {offset}")
        length, least = int.from_bytes(head[8:16], "big"), 16
    if length < least:
        met("S08")
        return Problem(f"the box {_named(kind)} at {offset} says that it has {length} bytes")
    return _Box(kind, offset, length, is_open)


def _walk_flv(size: int) -> Walk[Problem | None]:
    head = yield 0, min(9, size)
    if not head.startswith(b"FLV"):
        return Problem("it does not begin with FLV: not an FLV file")
    offset = int.from_bytes(head[5:9], "big")
    if len(head) < 9 or offset < 9:
        return Problem("the FLV header is damaged")
    last = 0  # the size of the tag before, which every tag is followed by
    for count in range(TAGS_MOST):
        if size - offset < 4:
            return Problem(f"cut short after {count} tags, at {size}")
        # What closes the last tag and what opens the next, in one read.
        frame = yield offset, min(15, size - offset)
        if int.from_bytes(frame[:4], "big") != last:
            return Problem(f"the tag before {offset} says another size after it than before")
        if size - offset == 4:
            return None if count else Problem("there is no tag in it")
        if len(frame) < 15 or frame[4] & 0x1F not in _TAG_TYPES:
            return Problem(f"no tag begins at {offset + 4}")
        last = 11 + int.from_bytes(frame[5:8], "big")
        offset += 4 + last
    met("S08")
    return Problem(f"more than {TAGS_MOST} tags")


def _named(kind: bytes) -> str:
    return kind.decode("ascii", "replace")
