"""Videos of any size out of two small files: computed where they are read, never stored.

Rule 1: a content is a pure function of (video, edition, size, format): the same bytes in every
process, at every offset, in any order of reading.
Rule 2: each is a whole file.  A decoder plays it, the boxes of an MP4 add up to its size, the tags
of an FLV chain to its end.  MP4 grows by a ``free`` box, FLV by script tags that say nothing.
Rule 3: memory does not grow with the size; one read costs about what a copy costs.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from archiver.core.model import Format

MEDIA = Path(__file__).parent / "media"
SPARE = 64  # bytes that tools/make_media.py left free for the video's mark
BLOCK = 16 * 1024  # each block of filler has its own beginning and its own place in the noise
NOISE_BYTES = 256 * 1024
UUID_MARK = b"archiver-sample\0"
FLV_MARK = b"\x02\x00\x0aonMetaData\x05"
FLV_TAG = (
    1 << 20
)  # header, body and PreviousTagSize of one filler tag; the body's length has 24 bits
FLV_LEAST = 15  # a tag with an empty body: 11 + 0 + 4
FREE_LEAST = 8


@dataclass(frozen=True, slots=True)
class Edition:
    """Which bytes of a video are meant, beyond its size.

    Attributes:
        replaced: counts what the owner uploaded in its place; every region differs.
        head: counts generations that differ in ``moov`` (or the FLV's script tag) alone.
        body: counts generations that differ in ``mdat`` and filler alone.
    """

    replaced: int = 0
    head: int = 0
    body: int = 0


FIRST = Edition()


@functools.cache
def sample(name: str) -> bytes:
    """A committed media file: ``sample.mp4``, ``sample.flv`` or ``sample.jpg``."""
    return (MEDIA / name).read_bytes()


@functools.cache
def _noise() -> bytes:
    # Twice in a row, so that a block may begin anywhere in the first half without wrapping.
    table = random.Random("the emulator's noise").randbytes(NOISE_BYTES)
    return table + table[:BLOCK]


class Filler:
    """Endless noise of one seed: different for each seed, different at each place."""

    def __init__(self, seed: str) -> None:
        self._keyed = hashlib.blake2b(seed.encode(), digest_size=64)

    def _block(self, index: int) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(index.to_bytes(8, "big"))
        mark = keyed.digest()
        start = int.from_bytes(mark[:4], "big") % NOISE_BYTES
        return mark + _noise()[start : start + BLOCK - len(mark)]

    def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end) of the noise."""
        if start >= end:
            return b""
        first, last = start // BLOCK, (end - 1) // BLOCK
        blocks = [self._block(index) for index in range(first, last + 1)]
        if last * BLOCK + BLOCK > end:
            blocks[-1] = blocks[-1][: end - last * BLOCK]
        blocks[0] = blocks[0][start - first * BLOCK :]
        return b"".join(blocks)


def _spare(seed: str) -> bytes:
    return hashlib.blake2b(seed.encode(), digest_size=SPARE).digest()


def _mp4_base(video: str, edition: Edition) -> bytes:
    """The sample with the video's mark, its ``mvhd`` dated by head, its last bytes by body."""
    made = bytearray(sample("sample.mp4"))
    mark = made.index(UUID_MARK) + len(UUID_MARK)
    made[mark : mark + SPARE] = _spare(f"{video} mark")
    if edition.head:
        # creation_time: after the type, one byte of version and three of flags.
        created = made.index(b"mvhd") + 8
        made[created : created + 4] = (0xDA000000 + edition.head).to_bytes(4, "big")
    made[-SPARE:] = _spare(f"{video} body {edition.body}")
    return bytes(made)


def _flv_base(video: str, edition: Edition) -> bytes:
    made = bytearray(sample("sample.flv"))
    mark = made.index(FLV_MARK + bytes(SPARE)) + len(FLV_MARK)
    made[mark : mark + SPARE] = _spare(f"{video} mark {edition.head}")
    made[-SPARE - 4 : -4] = _spare(f"{video} body {edition.body}")
    return bytes(made)


class Content:
    """The bytes of one file, of at least ``size`` bytes and at least the sample's.

    Attributes:
        size: bytes it really has: a growth too small for a box or a tag is rounded up.
        etag: strong: equal exactly where the bytes are equal.

    Args:
        video_id: whose file it is; two videos differ from the first hundred bytes on.
        edition: which of its contents.
        size: bytes wanted.
        format: ``mp4`` or ``flv``.
    """

    def __init__(self, video_id: int, edition: Edition, size: int, format: Format) -> None:  # noqa: A002
        video = f"{video_id} {edition.replaced} {format}"
        self._base = (_mp4_base if format == "mp4" else _flv_base)(video, edition)
        growth = max(0, size - len(self._base))
        least = FREE_LEAST if format == "mp4" else FLV_LEAST
        self._growth = max(growth, least) if growth else 0
        self._filler = Filler(f"{video} {edition.body}")
        self._grown: Callable[[int, int], bytes] = (
            self._free_box if format == "mp4" else self._script_tags
        )
        self.size = len(self._base) + self._growth
        name = f"{video} {edition.head} {edition.body} {self.size}"
        self.etag = '"' + hashlib.blake2b(name.encode(), digest_size=16).hexdigest() + '"'

    def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end), cut at the end of the file."""
        end = min(end, self.size)
        base = len(self._base)
        if start >= end:
            return b""
        if end <= base:
            return self._base[start:end]
        grown = self._grown(max(0, start - base), end - base)
        return self._base[start:] + grown if start < base else grown

    def _free_box(self, start: int, end: int) -> bytes:
        if self._growth >= 1 << 32:
            header = (1).to_bytes(4, "big") + b"free" + self._growth.to_bytes(8, "big")
        else:
            header = self._growth.to_bytes(4, "big") + b"free"
        if start >= len(header):
            return self._filler.read(start - len(header), end - len(header))
        return header[start:end] + self._filler.read(0, end - len(header))

    def _script_tags(self, start: int, end: int) -> bytes:
        """Tags of one MiB, and a last one of what is left, up to 14 bytes longer."""
        whole, rest = divmod(self._growth, FLV_TAG)
        if rest < FLV_LEAST and whole:
            whole -= 1
            rest += FLV_TAG
        pieces = []
        while start < end:
            index = min(start // FLV_TAG, whole)
            first = index * FLV_TAG
            length = FLV_TAG if index < whole else rest
            until = min(end, first + length)
            pieces.append(self._script_tag(first, length, start - first, until - first))
            start = until
        return b"".join(pieces)

    def _script_tag(self, first: int, length: int, start: int, end: int) -> bytes:
        body = length - FLV_LEAST
        head = b"\x12" + body.to_bytes(3, "big") + bytes(7)
        if body >= len(FLV_MARK):
            head += FLV_MARK
        tail_at = length - 4
        tail = (tail_at).to_bytes(4, "big")
        middle = self._filler.read(first + max(start, len(head)), first + min(end, tail_at))
        return head[start:end] + middle + tail[max(0, start - tail_at) : max(0, end - tail_at)]

    def sha256(self) -> str:
        """Of all bytes, in hexadecimal; costs one pass over the file."""
        digest = hashlib.sha256()
        for start in range(0, self.size, 1 << 20):
            digest.update(self.read(start, start + (1 << 20)))
        return digest.hexdigest()
