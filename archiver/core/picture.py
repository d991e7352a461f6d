"""What kind of picture the bytes are, whatever anybody calls them, and whether they are all there.

Rule: only kinds that show a picture and nothing else: a page or a drawing with scripts is none.
"""

from __future__ import annotations

KINDS = ("jpg", "png", "webp")
_TAIL = 1024  # some cameras and editors leave a little after the end


def kind(content: bytes) -> str | None:
    """The picture's kind, which is also its ending in the archive; None for anything else."""
    if content.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    return "webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def is_whole(content: bytes) -> bool:
    """The picture ends where its own marks say so: for one whose length nobody announced."""
    match kind(content):
        case "jpg":
            return b"\xff\xd9" in content[-_TAIL:]
        case "png":
            return b"IEND\xaeB\x60\x82" in content[-_TAIL:]
        case "webp":
            return len(content) >= 8 + int.from_bytes(content[4:8], "little")
        case _:
            return False
