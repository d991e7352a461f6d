"""Container walks: a file that was cut, padded or replaced by a page never passes as a video."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core import container
from archiver.core.container import Extent, drive, moov_extent, walk

MEDIA = Path(container.__file__).parent.parent / "emulator" / "media"
MP4 = (MEDIA / "sample.mp4").read_bytes()
FLV = (MEDIA / "sample.flv").read_bytes()


def box(kind: bytes, body: bytes = b"", *, size: int | None = None, wide: bool = False) -> bytes:
    """One box as the standard has it, with an honest or a given size."""
    if wide:
        length = 16 + len(body) if size is None else size
        return (1).to_bytes(4, "big") + kind + length.to_bytes(8, "big") + body
    length = 8 + len(body) if size is None else size
    return length.to_bytes(4, "big") + kind + body


def tag(kind: int = 9, body: bytes = b"x" * 20) -> bytes:
    """One FLV tag and the size that follows it."""
    head = bytes([kind]) + len(body).to_bytes(3, "big") + bytes(7)
    return head + body + (11 + len(body)).to_bytes(4, "big")


SMALL_MP4 = box(b"ftyp", b"isom") + box(b"moov", b"m" * 40) + box(b"mdat", b"d" * 100)
FLV_HEAD = b"FLV\x01\x05\x00\x00\x00\x09" + bytes(4)
SMALL_FLV = FLV_HEAD + tag(18) + tag(8) + tag(9)


def problem(data: bytes, variant: str = "mp4") -> str | None:
    """Walk *data* with a reader that refuses what no honest walk would ask for."""

    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset < len(data)
        assert 0 < length <= 16
        return data[offset : offset + length]

    return drive(walk(variant, len(data)), read)


@pytest.mark.parametrize(
    ("data", "variant"),
    [
        (MP4, "mp4"),
        (FLV, "flv"),
        (SMALL_MP4, "mp4"),
        (SMALL_FLV, "flv"),
        (box(b"ftyp") + box(b"moov") + box(b"moof") + box(b"mdat") + box(b"mfra"), "mp4"),
        (box(b"ftyp") + box(b"mdat", b"d" * 9, wide=True) + box(b"moov"), "mp4"),
        (box(b"ftyp") + box(b"moov") + box(b"mdat", b"to the end", size=0), "mp4"),
        (box(b"wide") + box(b"mdat", b"d") + box(b"moov"), "mp4"),
        (b"\xff\xd8\xff", "jpg"),
    ],
)
def test_whole_files_pass(data: bytes, variant: str) -> None:
    """Whatever a real muxer writes is taken as it is."""
    assert problem(data, variant) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"<html>", "stray"),
        (b"<html><body>Please log in</body></html>", "not an MP4"),
        (SMALL_MP4 + bytes(100), "no box begins"),  # preallocated, never written
        (SMALL_MP4[:-1], "cut short"),
        (SMALL_MP4 + b"abc", "stray"),
        (box(b"ftyp") + box(b"mdat", b"d"), "no moov"),
        (box(b"ftyp") + box(b"moov"), "no mdat"),
        (box(b"ftyp") + box(b"moov", size=7), "says that it has 7 bytes"),
        (box(b"ftyp") + box(b"moov", size=15, wide=True), "says that it has 15 bytes"),
        (box(b"ftyp") + box(b"moov", size=2**64 - 1, wide=True), "cut short"),
        (box(b"ftyp") + box(b"moov", b"1234567", size=1), "cut short within"),
        (box(b"ftyp", size=2**32 - 1), "cut short"),
    ],
)
def test_damaged_mp4_is_told(data: bytes, said: str) -> None:
    """A file that is cut, padded or no MP4 at all is named for what it is."""
    assert said in (problem(data) or "")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"FL", "not an FLV"),
        (b"FLV\x01\x05", "header"),
        (b"FLV\x01\x05\x00\x00\x00\x08", "header"),
        (FLV_HEAD[:9], "cut short"),
        (FLV_HEAD, "no tag in it"),
        (SMALL_FLV[:-1], "cut short"),
        (SMALL_FLV[:-4], "cut short"),
        (SMALL_FLV[:-4] + bytes(4), "another size"),
        (SMALL_FLV + bytes(20), "no tag begins"),
        (SMALL_FLV + tag()[:5], "no tag begins"),
        (FLV_HEAD + tag(3), "no tag begins"),
        (FLV_HEAD[:9] + b"\x00\x00\x00\x01" + tag(), "another size"),
        (b"FLV\x01\x05\xff\xff\xff\xff" + bytes(4), "cut short"),
    ],
)
def test_damaged_flv_is_told(data: bytes, said: str) -> None:
    """A chain of tags that does not close at the last byte is damage."""
    assert said in (problem(data, "flv") or "")


def test_walks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of nothing but headers ends a walk; it does not keep it busy for a day."""
    monkeypatch.setattr(container, "BOXES_MOST", 5)
    monkeypatch.setattr(container, "TAGS_MOST", 3)
    boxes = box(b"ftyp") + box(b"free") * 9
    assert "more than 5 boxes" in (problem(boxes) or "")
    assert "more than 3 tags" in (problem(FLV_HEAD + tag() * 9, "flv") or "")
    assert drive(moov_extent(len(boxes)), lambda at, n: boxes[at : at + n]) is None


@given(st.integers(0, len(MP4) - 1))
def test_no_beginning_of_an_mp4_passes(cut: int) -> None:
    """However many bytes arrived: fewer than all of them are never taken for the file."""
    assert problem(MP4[:cut]) is not None


@given(st.binary(max_size=200), st.sampled_from(["mp4", "flv"]), st.sampled_from([b"", MP4, FLV]))
def test_walks_survive_any_bytes(tail: bytes, variant: str, start: bytes) -> None:
    """Hostile bytes end a walk with an answer, never with an exception."""
    answer = problem(start + tail, variant)
    assert answer is None or answer


def test_a_reader_that_gives_too_little_is_told() -> None:
    """A file that shrank under the walk is damage, not a crash."""
    assert drive(walk("mp4", 100), lambda _offset, _length: b"") == "no box begins at 0"
    assert "not an FLV" in (drive(walk("flv", 100), lambda _offset, _length: b"") or "")


def test_moov_is_found_before_the_file_is_complete() -> None:
    """The index can be compared as soon as its header is there."""

    def found(data: bytes) -> Extent | None:
        return drive(moov_extent(len(data)), lambda at, n: data[at : at + n])

    extent = found(SMALL_MP4)
    assert extent == Extent(12, 48)
    assert extent.end == 60
    assert found(SMALL_MP4[:30]) == Extent(12, 48)
    assert found(SMALL_MP4[:15]) is None
    assert found(box(b"ftyp") + box(b"mdat")) is None


@pytest.mark.parametrize(
    ("head", "variant", "expected"),
    [
        (MP4[:16], "mp4", True),
        (FLV[:16], "flv", True),
        (FLV[:16], "mp4", False),
        (MP4[:16], "flv", False),
        (b"", "mp4", False),
        (b"\xff\xd8\xff\xe0", "jpg", True),
        (b"\x89PNG\r\n\x1a\n", "png", True),
        (b"\xef\xbb\xbfWEBVTT", "vtt", True),
        (b"GIF89a", "jpg", False),
        (b"anything", "json", True),
    ],
)
def test_first_bytes_tell_the_kind(head: bytes, variant: str, expected: bool) -> None:
    """A download is refused at its first bytes, not after the last."""
    assert container.looks_like(head, variant) is expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<!DOCTYPE html>", True),
        (b"\xef\xbb\xbf \r\n<?xml version='1.0'?>", True),
        (b'{"error": "expired"}', True),
        (b"[]", True),
        (b"Request has expired.\n", True),
        (b"", False),
        (b"ok", False),
        (MP4[:512], False),
        (FLV[:512], False),
    ],
)
def test_error_pages_are_recognised(head: bytes, expected: bool) -> None:
    """A page of text at 200 is not a video."""
    assert container.is_text(head) is expected


WIDE_AND_ENDLESS = box(b"mdat", b"d", size=2**60, wide=True)


@pytest.mark.parametrize(
    ("data", "variant", "sentence"),
    [
        (b"", "mp4", "the file is empty"),
        (box(b"ftyp") + box(b"mdat", b"d"), "mp4", "no moov box: nothing can play it"),
        (box(b"ftyp") + box(b"moov"), "mp4",
         "no mdat and no moof box: there is no picture and no sound in it"),
        (SMALL_MP4 + b"abc", "mp4", f"3 stray bytes at {len(SMALL_MP4)}"),
        (box(b"ftyp") + WIDE_AND_ENDLESS, "mp4",
         f"cut short: the box mdat at 8 ends at {2**60 + 8}, the file at 25"),
        (b"FLX" + SMALL_FLV[3:], "flv", "it does not begin with FLV: not an FLV file"),
        (b"FLV\x01\x05\x00\x00\x00\x08" + bytes(20), "flv", "the FLV header is damaged"),
        (b"FLV\x01\x05\x01\x00\x00\x09" + SMALL_FLV[9:], "flv",
         f"cut short after 0 tags, at {len(SMALL_FLV)}"),
        (FLV_HEAD, "flv", "there is no tag in it"),
        (FLV_HEAD + bytes(15), "flv", "no tag begins at 13"),
    ],
)  # fmt: skip
def test_a_problem_is_told_in_a_sentence(data: bytes, variant: str, sentence: str) -> None:
    """It becomes the reason that a person reads."""
    assert problem(data, variant) == sentence


@pytest.mark.parametrize(
    ("data", "variant"),
    [
        (box(b"ftyp") + box(b"moov") + box(b"moof"), "mp4"),
        (SMALL_MP4 + box(b"raw "), "mp4"),
        (SMALL_MP4 + box(b"free", wide=True), "mp4"),
        (FLV_HEAD + tag(9, b"x" * 70_000), "flv"),
    ],
)
def test_what_is_rare_is_no_problem(data: bytes, variant: str) -> None:
    """Fragments alone, a name with a space, an empty wide box, a large tag."""
    assert problem(data, variant) is None


@pytest.mark.parametrize(("data", "variant"), [(SMALL_MP4, "mp4"), (SMALL_FLV, "flv")])
def test_a_walk_asks_for_nothing_beyond_the_end(data: bytes, variant: str) -> None:
    """It knows how large the file is."""

    def read(offset: int, length: int) -> bytes:
        assert offset + length <= len(data)
        return data[offset : offset + length]

    assert drive(walk(variant, len(data)), read) is None


def test_an_index_behind_many_boxes_is_found() -> None:
    """Each box begins where the one before it ends."""
    data = box(b"ftyp") + box(b"free", b"x") + box(b"wide") + box(b"moov", b"m")
    found = drive(moov_extent(len(data)), lambda at, count: data[at : at + count])
    assert found == Extent(25, 9)


@pytest.mark.parametrize(
    ("first_bytes", "text"),
    [(b"  <\x00\x01", True), (b"{\x00\x01", True), (b"[\x00\x01", True), (b"word", True),
     (b"wor", False), (b"a\tb\r\nc", True), (b"abc\x7f", False), (b"abc\x1f", False)],
)  # fmt: skip
def test_a_page_or_a_message_is_told_from_a_video(first_bytes: bytes, text: bool) -> None:
    """What begins like markup, or is at least one printable word."""
    assert container.is_text(first_bytes) is text


def test_a_box_that_is_open_to_the_end_proves_no_end() -> None:
    """Where nobody told the length, a connection that was cut would pass for a whole file."""
    data = box(b"ftyp") + box(b"moov") + box(b"mdat", b"to the end", size=0)
    steps = walk("mp4", len(data), open_end=False)
    found = drive(steps, lambda at, count: data[at : at + count])
    assert found == "nothing tells where the box mdat at 16 ends"
