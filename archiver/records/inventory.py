"""The inventory: one line a stored version of a video, for people and their spreadsheets.

Rule: it says what the ledger says and nothing of the night, so that nights without news leave it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Collection
from dataclasses import dataclass

from archiver.core.model import Holding, Video, VideoId
from archiver.core.sheet import BYTE_ORDER_MARK, Exact, Moment, row
from archiver.records.info import PAGE_URL

COLUMNS = (
    "id", "title", "channel_id", "channel", "created_utc", "added_utc", "length_s", "bytes",
    "sha256", "captions", "labels", "address", "path", "version", "archived_utc", "vendor",
)  # fmt: skip
UNLISTED_KEY = "unlisted"  # the numbers of archived videos that the vendor no longer lists
_CHUNK_LINES = 500


@dataclass(frozen=True, slots=True)
class Inventoried:
    """A stored version of a video, and what belongs to the video.

    Attributes:
        length_s: what the vendor said of this version; the video's own is the last listing's.
        captions: the languages of its caption tracks.
        is_gone: the vendor answered that it no longer has the video.
    """

    video: Video
    holding: Holding
    length_s: float | None = None
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    is_gone: bool = False


async def inventory(
    stored: AsyncIterable[Inventoried], unlisted: Collection[VideoId]
) -> AsyncIterator[str]:
    """The text of the inventory in chunks.

    Args:
        unlisted: videos that the vendor's last whole listing did not name.
    """
    lines = [BYTE_ORDER_MARK, row(COLUMNS)]
    async for each in stored:
        lines.append(_line(each, is_listed=not each.is_gone and each.video.id not in unlisted))
        if len(lines) >= _CHUNK_LINES:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _line(each: Inventoried, *, is_listed: bool) -> str:
    video, held = each.video, each.holding
    length_s = each.length_s
    if length_s is not None and not abs(length_s) < float("inf"):
        length_s = None
    state = Exact("listed" if is_listed else "not listed")
    return row(
        (
            Exact(video.id), video.title, Exact(video.channel_id or ""),
            video.channel_title, Moment.of(video.created_at), Moment.of(video.added_at), length_s,
            held.bytes, Exact(held.sha256), " ".join(each.captions), "; ".join(each.labels),
            Exact(f"{PAGE_URL}{video.id}"), Exact(held.path), held.version,
            Moment.of(held.stored_at), state,
        )
    )  # fmt: skip
