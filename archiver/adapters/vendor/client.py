"""The vendor's API as the engine knows it: `ports.Vendor`, spoken over HTTP.

Rule 1: ``request`` and ``status`` are one call each and raise what went wrong; the plan decides.
Rule 2: listings are nobody's step: they wait out the weather themselves.
Source of the calls: the vendor's reference; a listing asks for private videos too.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

import aiohttp

from archiver.account import Account
from archiver.adapters.clock import WaitingClock
from archiver.adapters.vendor import values, wire
from archiver.adapters.vendor.call import Caller
from archiver.adapters.vendor.extras import ExtrasClient
from archiver.adapters.vendor.listing import MAX_WAIT_S, Lister, Query
from archiver.adapters.vendor.pace import Pace
from archiver.adapters.vendor.token import SecretStyle, TokenSource
from archiver.core.model import Channel, ChannelId, Downloadable, Instant, JobKey, Video, VideoId
from archiver.core.recency import Enough
from archiver.core.summary import ApiCalls
from archiver.core.weather import Trouble, Weather
from archiver.errors import BadAnswerError, DeniedError, ListingError, NotFoundError
from archiver.ports import Allowance, Page

log = logging.getLogger("archiver.vendor")

VIDEOS, PLAYLIST, CHANNELS = 50, 200, 100  # the largest pages the vendor gives
ALL_LEVELS = (("filter[protect]", "public,private"),)  # channels show public videos only otherwise
NEWEST_FIRST = (("sort", "recent"),)  # what is added under way shows as an overlap of two pages
CHANNEL_QUERY = Query("/users/self/channels.json", "channels", wire.channel, CHANNELS, page="p")

CHANNELS_LIFE_S = 600.0  # who listed the channels a moment ago need not do it again


@dataclass(frozen=True, slots=True)
class _Channels:
    """The channels as last listed, whether to the end, and when."""

    channels: tuple[Channel, ...]
    believed: bool
    at: Instant


class VendorClient:
    """`ports.Vendor` over one API session.

    Args:
        session: the API's session of `adapters.http`.
        requests: calls in flight at most; half of them may be polls.
        calls: counted when their heads are sent.
        style: how the client secret travelled last time; ``learnt`` is told of a change.
        max_wait_s: how long a listing waits for better weather.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        account: Account,
        clock: WaitingClock,
        *,
        weather: Weather | None = None,
        calls: ApiCalls | None = None,
        requests: int = 8,
        style: SecretStyle = "body",
        learnt: Callable[[SecretStyle], None] | None = None,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self.weather = Weather() if weather is None else weather
        self.calls = ApiCalls() if calls is None else calls
        self.tokens = TokenSource(
            session, account, clock, self.weather, self.calls, style=style, learnt=learnt
        )
        self._clock = clock
        self._listed: _Channels | None = None
        pace = Pace(clock, self.calls, salt=account.client_id)
        self._caller = Caller(session, account, self.tokens, pace, self.weather, clock, requests)
        self._lister = Lister(self._caller, max_wait_s)
        self.extras = ExtrasClient(self._caller)

    async def close(self) -> None:
        """End what runs in the background; the session is its owner's to close."""
        await self.tokens.close()

    async def request(self, key: JobKey) -> Downloadable:
        """POST: ask for the file to be prepared."""
        return wire.downloadable(await self._caller.call("POST", _path(key), "request"))

    async def status(self, key: JobKey) -> Downloadable:
        """GET: how the file is doing."""
        return wire.downloadable(await self._caller.call("GET", _path(key), "poll"))

    def allowance(self) -> Allowance:
        """What the rate limit, the weather and ``--requests`` leave right now."""
        return self._caller.allowance()

    def troubles(self) -> list[Trouble]:
        """The hosts that are in trouble, downloads' too, and a rate limit that is used up."""
        return self._caller.troubles()

    async def channels(self) -> AsyncIterator[Channel]:
        """Every channel the credentials see, own and shared."""
        found: list[Channel] = []
        believed = True
        async for batch in self._lister.batches(CHANNEL_QUERY):
            for channel in batch.items:
                found.append(channel)
                yield channel
            believed = batch.complete
        self._listed = _Channels(tuple(found), believed, self._clock.now())

    async def channel(self, name: str) -> Channel:
        """A channel by its ID, its title or the name in its page's address.

        Raises:
            NotFoundError: there is none.
            ListingError: several have that name.
        """
        channel_id = values.identifier(name)
        if channel_id is not None:
            return await self._channel(channel_id)
        wanted = name.strip().casefold()
        found = [channel async for channel in self.channels() if wanted in wire.names(channel)]
        if not found:  # the list need not hold every channel, nor say what a page is called
            return await self._channel(name.strip())
        if len(found) > 1:
            raise ListingError(f"Several channels are called {name!r}.", "Name one by its ID.")
        return found[0]

    async def video(self, video_id: VideoId) -> Video:
        """One video's own page."""

        def read(body: bytes) -> Video:
            answer = values.parsed(body)
            found = wire.video(answer.get("video", answer))
            if found is None or found.id != video_id:
                raise BadAnswerError("the API's answer is not about that video")
            return found

        return await self._lister.patient(f"/videos/{video_id}.json", None, read)

    async def account_videos(self, enough: Enough = None) -> AsyncIterator[Page]:
        """Every video of the account: its own, then those of channels shared with it."""
        told: set[int] = set()
        held, believed = Page(()), True
        async for listing in self._account_listings(enough):
            complete = False
            async for page in listing:
                if held.videos:
                    yield held
                held = Page(tuple(video for video in page.videos if video.id not in told))
                told.update(video.id for video in page.videos)
                complete = page.complete
            believed = believed and complete
        yield replace(held, complete=believed)

    async def _account_listings(self, enough: Enough) -> AsyncIterator[AsyncIterator[Page]]:
        own = Query("/users/self/videos.json", "videos", wire.video, VIDEOS, params=NEWEST_FIRST)
        yield self._pages(own, enough)
        known = self._listed
        if known is None or self._clock.now() - known.at > CHANNELS_LIFE_S:
            async for _ in self.channels():
                pass
            known = self._listed
        for channel in filter(wire.is_shared, known.channels if known else ()):
            yield self._shared_pages(channel, enough)
        if known is None or not known.believed:
            yield _one_page(Page(()))

    async def _shared_pages(self, channel: Channel, enough: Enough) -> AsyncIterator[Page]:
        try:
            async for page in self.channel_videos(channel.id, enough):
                yield page
        except (NotFoundError, DeniedError) as error:
            # Another account's channel that is refused must not stop the archive of our own.
            log.warning("a shared channel was left out: %s", error)
            yield Page(())

    async def channel_videos(
        self, channel_id: ChannelId, enough: Enough = None
    ) -> AsyncIterator[Page]:
        """Every video of a channel, public and private."""
        params = (*ALL_LEVELS, *NEWEST_FIRST)
        path = f"/channels/{channel_id}/videos.json"
        query = Query(path, "videos", wire.video, VIDEOS, params=params)
        async for page in self._pages(query, enough):
            yield page

    async def playlist_videos(self, playlist_id: int) -> AsyncIterator[Page]:
        """Every video of a playlist."""
        query = Query(f"/playlists/{playlist_id}/videos.json", "videos", wire.video, PLAYLIST)
        async for page in self._pages(query):
            yield page

    async def _channel(self, asked: int | str) -> Channel:
        def read(body: bytes) -> Channel:
            answer = values.parsed(body)
            found = wire.channel(answer.get("channel", answer))
            if found is None or (isinstance(asked, int) and found.id != asked):
                raise BadAnswerError("the API's answer is not about that channel")
            return found

        path = f"/channels/{quote(str(asked), safe='')}.json"
        return await self._lister.patient(path, None, read)

    async def _pages(self, query: Query[Video], enough: Enough = None) -> AsyncIterator[Page]:
        async for batch in self._lister.batches(query, enough):
            yield Page(batch.items, batch.complete)


async def _one_page(page: Page) -> AsyncIterator[Page]:
    yield page


def _path(key: JobKey) -> str:
    return f"/videos/{key.video_id}/downloadable/{key.variant}.json"
