"""Contents: real media of any size, the same from any offset."""

from __future__ import annotations

import io
import itertools
import random
import time

import av
import pytest

from archiver.core.model import Format
from archiver.emulator.media import FIRST, Content, Edition, sample

FORMATS: tuple[Format, ...] = ("mp4", "flv")
MIB = 1 << 20
SIZES = [
    0,
    12_429,
    12_430,
    12_440,
    12_694,
    12_695,
    12_702,
    50_000,
    MIB + 12_429,
    MIB + 12_440,
    3 * MIB,
]


def whole(content: Content) -> bytes:
    return content.read(0, content.size)


def frames(content: bytes) -> int:
    with av.open(io.BytesIO(content), "r") as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        return sum(len(packet.decode()) for packet in container.demux())


def boxes(content: bytes) -> dict[bytes, tuple[int, int]]:
    found, at = {}, 0
    while at < len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        assert size >= 8
        found[kind] = (at, at + size)
        at += size
    assert at == len(content)
    return found


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_decodes_to_the_end(kind: Format, size: int) -> None:
    content = Content(7, FIRST, size, kind)
    read = whole(content)
    assert size <= len(read) == content.size <= max(size + 15, len(sample(f"sample.{kind}")))
    assert frames(read) >= 90


@pytest.mark.parametrize("size", SIZES)
def test_the_boxes_of_an_mp4_add_up(size: int) -> None:
    assert {b"ftyp", b"moov", b"mdat"} <= set(boxes(whole(Content(7, FIRST, size, "mp4"))))


@pytest.mark.parametrize("size", SIZES)
def test_the_tags_of_an_flv_chain_to_the_end(size: int) -> None:
    read = whole(Content(7, FIRST, size, "flv"))
    at = 13
    while at < len(read):
        length = 11 + int.from_bytes(read[at + 1 : at + 4], "big")
        at += length
        assert int.from_bytes(read[at : at + 4], "big") == length
        at += 4
    assert at == len(read)


@pytest.mark.parametrize("kind", FORMATS)
def test_any_piece_is_that_piece_of_the_whole(kind: Format) -> None:
    content = Content(7, FIRST, 2 * MIB + 12_435, kind)
    read, chance = whole(content), random.Random(1)
    edges = [0, 12_429, 12_694, 12_702, MIB + 12_429, content.size]
    for _ in range(400):
        start = max(
            0, chance.choice([*edges, chance.randrange(content.size)]) - chance.randrange(9)
        )
        end = start + chance.choice([0, 1, 3, 20, 70_000, MIB + 5])
        assert content.read(start, end) == read[start:end]


def test_a_hundred_gigabytes_cost_no_memory() -> None:
    content = Content(7, FIRST, 100 << 30, "mp4")
    assert content.size == 100 << 30
    header = content.read(12_694, 12_710)
    assert header[:8] == b"\0\0\0\1free"
    assert int.from_bytes(header[8:], "big") == content.size - 12_694
    assert len(content.read((99 << 30) + 5, (99 << 30) + 9)) == 4


def test_reading_is_fast() -> None:
    content = Content(7, FIRST, 1 << 40, "mp4")
    began = time.perf_counter()
    for start in range(0, 128 * MIB, 256 * 1024):
        content.read(start, start + 256 * 1024)
    # 500 MB/s on an idle core; half of it here, since tests share theirs.
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("kind", FORMATS)
def test_two_videos_differ_in_each_kilobyte(kind: Format) -> None:
    one, other = (whole(Content(video, FIRST, MIB, kind)) for video in (1, 2))
    assert one[:1024] != other[:1024]
    for at in range(13_000, MIB - 1024, 1024):
        assert one[at : at + 1024] != other[at : at + 1024]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [0, 300_000])
def test_a_generation_differs_where_it_says(kind: Format, size: int) -> None:
    editions = (FIRST, Edition(head=1), Edition(body=1), Edition(replaced=1))
    contents = [Content(7, edition, size, kind) for edition in editions]
    for one, other in itertools.combinations(contents, 2):
        assert one.size == other.size
        assert one.etag != other.etag
        assert whole(one) != whole(other)
    for content in contents:
        assert frames(whole(content)) >= 90


def test_a_head_differs_in_moov_alone_and_a_body_nowhere_near_it() -> None:
    first, head, body = (
        whole(Content(7, edition, 300_000, "mp4"))
        for edition in (FIRST, Edition(head=1), Edition(body=1))
    )
    start, end = boxes(first)[b"moov"]
    assert head[start:end] != first[start:end]
    assert (head[:start], head[end:]) == (first[:start], first[end:])
    assert body[: boxes(first)[b"mdat"][0]] == first[: boxes(first)[b"mdat"][0]]
