"""What else the vendor says of a video and of a channel: small answers, one call each.

Rule 1: a call is made once; who wants it again asks on another night.  Only an error of its own
        kind of answer is tried once more, a moment later; then it is a bad answer.
Rule 2: nothing but Misfortune and AuthError leaves, whatever the bytes (``wire_extras``).
Rule 3: a kind of answer that fails holds back its own kind alone; a video's details and channels
        fail as the whole API does, so that an outage is noticed.
Rule 4: a language is one part of a path, quoted; nothing of an answer leads to another place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote

from archiver.adapters.vendor import wire, wire_extras
from archiver.adapters.vendor.call import PATIENCE_S, Caller
from archiver.adapters.vendor.gates import PartError
from archiver.adapters.vendor.listing import Query, next_params
from archiver.core import extras
from archiver.core.extras import Playlist
from archiver.core.model import ChannelId, Video, VideoId
from archiver.errors import BadAnswerError
from archiver.met import met

MOST_PAGES = 200
PLAYLISTS, MEMBERS = 50, 200  # the largest pages the vendor gives
# name -> what follows /videos/ID, and the key under which the answer stands
ADDRESSES: Mapping[str, tuple[str, str]] = {
    extras.DETAILS: (".json", "video"),
    extras.CAPTIONS: ("/captions.json", "captions"),
    extras.CHAPTERS: ("/chapters.json", "chapters"),
    extras.LABELS: ("/labels.json", "labels"),
    extras.CUSTOM_METADATA: ("/custom-metadata.json", "metadata"),
    extras.EXPIRATION: ("/expiration.json", "expiration"),
    extras.AUDIO_TRACKS: ("/audio/tracks.json", "tracks"),
}
ItemT = TypeVar("ItemT", Playlist, Video)


class ExtrasClient:
    """Asks for extras.  Every method is counted as such, and may raise WeatherError,
    NotFoundError, DeniedError, BadAnswerError and AuthError.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def answer(self, video_id: VideoId, name: str) -> str:
        """One of the small answers about a video (``core.extras.NAMES``), as JSON."""
        rest, key = ADDRESSES[name]
        if name == extras.DETAILS:
            body = await self._get(f"/videos/{video_id}{rest}")
            return wire_extras.details(body, key, video_id)
        body = await self._get(f"/videos/{video_id}{rest}", part=name.replace("_", " "))
        return wire_extras.record(body, key)

    async def caption(self, video_id: VideoId, language: str) -> bytes:
        """The text of a caption track: WebVTT, as it came."""
        if not extras.is_language(language):
            raise BadAnswerError("a caption's language is no word")
        path = f"/videos/{video_id}/captions/{quote(language, safe='')}/vtt"
        return wire_extras.web_vtt(await self._get(path, part="caption texts"))

    async def metadata_fields(self) -> str:
        """The fields of the videos' custom metadata, as a JSON list."""
        params = {"filter[type]": "video"}
        body = await self._get("/custom-metadata-fields.json", params, "metadata fields")
        return wire_extras.fields(body)

    async def channel(self, channel_id: ChannelId) -> str:
        """A channel's details, as JSON."""
        body = await self._get(f"/channels/{channel_id}.json")
        return wire_extras.details(body, "channel", channel_id)

    async def playlists(self, channel_id: ChannelId) -> tuple[Playlist, ...]:
        """A channel's playlists, without their videos."""
        path = f"/channels/{channel_id}/playlists.json"
        return await self._listed(Query(path, "playlists", wire_extras.playlist, PLAYLISTS))

    async def playlist_videos(self, playlist_id: int) -> tuple[VideoId, ...]:
        """The videos of a playlist, in the owner's order."""
        path = f"/playlists/{playlist_id}/videos.json"
        found = await self._listed(Query(path, "videos", wire.video, MEMBERS))
        return tuple(each.id for each in found)

    async def _listed(self, query: Query[ItemT]) -> tuple[ItemT, ...]:
        """Every object of a listing once, in one walk: it is a record, and decides about nothing.

        A walk that does not come to a real end is a bad answer: half a playlist is no record.
        """
        found: dict[int, ItemT] = {}
        params = query.first()
        for _ in range(MOST_PAGES):
            page = wire.listed(await self._get(query.path, params), query.key)
            read = [item for each in page.objects if (item := query.read(each)) is not None]
            known = len(found)
            for item in read:
                found.setdefault(item.id, item)
            following = next_params(query, params, page)
            if following is None:
                return tuple(found.values())
            if following == params or len(found) == known:
                break
            params = following
        met("A31")
        raise BadAnswerError(f"the pages of {query.path} have no end")

    async def _get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        part: str = "",
        *,
        again: bool = False,
    ) -> bytes:
        caller = self._caller
        try:
            return await caller.call("GET", path, "extras", params, part=part)
        except PartError as error:
            now = caller.clock.now()
            at = caller.gates(part).closed_until(now)
            if again or at - now > PATIENCE_S:
                raise BadAnswerError(f"{error}, while the rest of it does well") from error
            await caller.clock.sleep_until(at)
        return await self._get(path, params, part, again=True)
