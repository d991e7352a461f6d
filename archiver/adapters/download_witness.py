"""What the part itself says: which stretches to compare, and whether its container closes.

Rule: headers are read, a few bytes at a time; bytes of a host are never looked at here.
"""

from __future__ import annotations

from typing import TypeVar

from archiver.core import container
from archiver.core.answer import strong
from archiver.core.container import Walk
from archiver.core.model import Saved
from archiver.core.resume import MOOV_MOST_BYTES, WITNESS_BYTES
from archiver.ports import Part

T = TypeVar("T")


async def witness_spans(part: Part, saved: Saved, source: str) -> list[tuple[int, int]]:
    """What to compare beside the last stretch; nothing where it cannot be enough.

    The index of an MP4 must be saved whole: an index of one generation beside the pictures of
    another is the one damage that no later check would see.  FLV has no index.  At the address
    that the bytes came from, without an ETag that says otherwise, the date is enough.

    Args:
        source: fingerprint of the address that is asked now.
    """
    spans = [(0, WITNESS_BYTES)]
    if await _variant(part) == "flv":
        return spans
    moov = await _walked(container.moov_extent(saved.bytes), part)
    if moov is None or moov.end > saved.bytes or moov.size > MOOV_MOST_BYTES:
        is_dated = saved.last_modified is not None and strong(saved.etag) is None
        return spans if is_dated and saved.source == source else []
    return spans if moov.end <= WITNESS_BYTES else [*spans, (moov.offset, moov.end)]


async def closes(part: Part) -> bool:
    """The container in *part* ends exactly where the part does, by its own account."""
    steps = container.walk(await _variant(part), part.offset, open_end=False)
    return await _walked(steps, part) is None


async def _variant(part: Part) -> str:
    return "flv" if await part.read(0, 3) == b"FLV" else "mp4"


async def _walked(steps: Walk[T], part: Part) -> T:
    """Run a walk over what the part holds."""
    try:
        wish = next(steps)
        while True:
            wish = steps.send(await part.read(*wish))
    except StopIteration as stop:
        result: T = stop.value
        return result
