"""What a picture is by its bytes, and whether it is all there."""

from __future__ import annotations

import pytest

from archiver.core import picture

JPG = b"\xff\xd8\xff\xe0" + bytes(5_000) + b"\xff\xd9"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(5_000) + b"\x00\x00\x00\x00IEND\xaeB\x60\x82"
WEBP = b"RIFF" + (5_004).to_bytes(4, "little") + b"WEBP" + bytes(5_000)


@pytest.mark.parametrize(("kind", "content"), [("jpg", JPG), ("png", PNG), ("webp", WEBP)])
def test_a_picture_is_known_by_its_first_bytes_and_whole_by_its_last(
    kind: str, content: bytes
) -> None:
    """Half of one is of the same kind, and not whole."""
    assert kind in picture.KINDS
    assert picture.kind(content) == kind
    assert picture.is_whole(content)
    assert picture.is_whole(content + b"\x00\x00")
    assert picture.kind(content[:3_000]) == kind
    assert not picture.is_whole(content[:3_000])
    assert not picture.is_whole(content[:-1])


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xd8", b"GIF89a" + bytes(50), b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html>not found</html>", b"%PDF-1.7", b"\x89PNG\n", b"RIFF\x00\x00\x00\x00WAVE",
        b" " + JPG, b'{"error": "not_found"}', b"MZ\x90\x00",
    ],
)  # fmt: skip
def test_everything_else_is_none(content: bytes) -> None:
    """Drawings with scripts, pages, sounds, programs."""
    assert picture.kind(content) is None
    assert not picture.is_whole(content)


def test_an_end_in_the_middle_is_no_end() -> None:
    """A small picture inside of a large one ends, too."""
    assert not picture.is_whole(JPG + bytes(5_000))
    assert not picture.is_whole(PNG + bytes(5_000))
