"""The vendor's listings: two dialects of paging, filters, and pages that lie or move.

Rule: a parameter of the wrong dialect is ignored, not refused, as the real service does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from archiver.emulator import answers
from archiver.emulator.account import Channel, Video
from archiver.emulator.answers import Json
from archiver.emulator.world import World

Item = TypeVar("Item")
CHANNELS_MOST, PLAYLISTS_MOST, MEMBERS_MOST = 100, 50, 200
ODD_IDS: tuple[Any, ...] = (
    "../../etc/passwd",
    "9" * 10_000,
    "",
    "-1",
    "12 ; rm",
    None,
    [],
    1.5,
    True,
)


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    try:
        return max(1, int(query.get(name, default)))
    except ValueError:
        return default


class Listings:
    """Every listing of the API as JSON.

    Args:
        world: whose.
        api_url: of the ``next`` links.
        download_url: of the thumbnails.
    """

    def __init__(self, world: World, api_url: str, download_url: str) -> None:
        self._world, self._api, self._downloads = world, api_url, download_url

    def video(self, video: Video) -> Json:
        """A listed video."""
        size = self._world.content(video.id, "mp4").size
        if self._world.faults.strikes("size-lies", str(video.id)):
            size = size * 13 // 10 + 1
        return answers.listed_video(video, size, self._api, self._downloads)

    def channels(self, path: str, query: Mapping[str, str]) -> Json:
        """Channels: ``p``, an object keyed by id, ``next`` an object."""
        channels = list(self._world.account.channels.values())
        page, shown, more = self._page(path, query, "p", channels, CHANNELS_MOST)
        listed = {str(one.id): answers.channel(one, self._api) for one in shown}
        paging: Json = {"actual": {"href": self._link(path, query, "p", page)}}
        if more is not None:
            paging["next"] = {"href": self._link(path, query, "p", more)}
        return {"channels": listed or [], "paging": paging}

    def channel_videos(self, path: str, query: Mapping[str, str], channel: Channel) -> Json:
        """A channel's videos: public ones alone unless ``filter[protect]`` says otherwise."""
        self._move(path, query, channel.id)
        videos = [
            video
            for video in self._world.account.videos.values()
            if video.channel_id == channel.id or channel.id in video.also_in
        ]
        return self._videos(path, query, videos, "public")

    def own_videos(self, path: str, query: Mapping[str, str]) -> Json:
        """All videos of the account itself, of every protection."""
        self._move(path, query, None)
        channels = self._world.account.channels
        videos = [
            video
            for video in self._world.account.videos.values()
            if video.channel_id is None or channels[video.channel_id].own
        ]
        return self._videos(path, query, videos, "public,private")

    def playlists(self, path: str, query: Mapping[str, str], channel_id: int) -> Json:
        """A channel's playlists, with counts and without a ``next``."""
        mine = [p for p in self._world.account.playlists.values() if p.channel_id == channel_id]
        size = min(_number(query, "pagesize", PLAYLISTS_MOST), PLAYLISTS_MOST)
        _, shown, _ = self._page(path, query, "page", mine, PLAYLISTS_MOST)
        paging = {"page_count": -(-len(mine) // size), "item_count": len(mine)}
        return {"playlists": [answers.playlist(one) for one in shown], "paging": paging}

    def playlist_videos(self, path: str, query: Mapping[str, str], members: Sequence[int]) -> Json:
        """A playlist's videos, in the owner's order."""
        known = self._world.account.videos
        videos = [known[member] for member in members if member in known]
        return self._videos_page(path, query, videos, MEMBERS_MOST)

    def _videos(
        self, path: str, query: Mapping[str, str], videos: list[Video], protect: str
    ) -> Json:
        wanted = query.get("filter[protect]", protect).split(",")
        since = _number(query, "filter[fromdate]", 1)
        until = _number(query, "filter[todate]", 1 << 62)
        chosen = [
            video
            for video in videos
            if video.protect in wanted and since <= video.created_at <= until
        ]
        chosen.sort(key=lambda video: (-video.rank, video.id))
        return self._videos_page(path, query, chosen, self._world.config.page_videos)

    def _videos_page(
        self, path: str, query: Mapping[str, str], videos: Sequence[Video], most: int
    ) -> Json:
        page, shown, more = self._page(path, query, "page", videos, most)
        paging: Json = {"actual": self._link(path, query, "page", page)}
        if more is not None:
            paging["next"] = self._link(path, query, "page", more)
        listed = [self.video(video) for video in shown]
        if listed and self._world.faults.strikes("odd-ids", path):
            listed += [{**listed[0], "id": odd} for odd in ODD_IDS]
        return {"videos": listed, "paging": paging}

    def _page(
        self, path: str, query: Mapping[str, str], word: str, items: Sequence[Item], most: int
    ) -> tuple[int, Sequence[Item], int | None]:
        """The page asked for, what it shows, and which comes next."""
        page, size = _number(query, word, 1), min(_number(query, "pagesize", most), most)
        more = page + 1 if page * size < len(items) else None
        faults, begin = self._world.faults, (page - 1) * size
        if page > 1 and faults.strikes("repeat-page", path):
            begin = 0
        shown = items[begin : begin + size]
        if more is not None and faults.strikes("empty-page", path):
            shown = ()
        if (more is not None or page > 1) and faults.strikes("next-loop", path):
            more = page
        return page, shown, more

    def _link(self, path: str, query: Mapping[str, str], word: str, page: int) -> str:
        return f"{self._api}{path}?{urlencode({**query, word: str(page)})}"

    def _move(self, path: str, query: Mapping[str, str], channel_id: int | None) -> None:
        """Something happens to the account just before a later page is read."""
        if _number(query, "page", 1) == 1:
            return
        if self._world.faults.strikes("moving-page", path):
            self._world.add_video(title="Added while you read", channel_id=channel_id)
        if self._world.faults.strikes("shrinking-page", path):
            mine: list[Any] = [
                video
                for video in self._world.account.videos.values()
                if channel_id is None or video.channel_id == channel_id
            ]
            if mine:
                self._world.delete_video(max(mine, key=lambda video: video.rank).id)
