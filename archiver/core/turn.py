"""Which files a sample reads: another slice every night, so that each has its turn."""

from __future__ import annotations

from zlib import crc32


def slices_of(sample: float | None) -> int:
    """Into how many slices the files fall, of which one is read; *sample* is the share of one."""
    return max(1, round(1 / sample)) if sample else 1


def turn_of(path: str, slices: int) -> int:
    """In which of *slices* nights a file is read."""
    return crc32(path.encode()) % slices
