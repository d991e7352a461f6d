"""The listing of a run: from what the user named to batches of videos, each video once.

Rule 1: a listing that cannot be believed stops the run with a reason; it never takes anything away.
Rule 2: what is asked of the vendor is listing calls alone, and no page of them twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from archiver.core.model import Channel, ChannelId, Instant, Video, VideoId
from archiver.core.selection import (
    AccountSource,
    ChannelSource,
    Filter,
    PlaylistSource,
    Source,
    VideoSource,
)
from archiver.core.summary import Listed, Reading
from archiver.errors import BadAnswerError, DeniedError, ListingError, NotFoundError
from archiver.met import met
from archiver.ports import Clock, Observer, Page, Vendor

T = TypeVar("T")

_SHRUNK_SHARE = 0.5  # a listing that lost more than half is not believed
_SHRUNK_LEAST = 4  # of a handful, half is soon lost


class Memory(Protocol):
    """What earlier listings had."""

    async def last_listing(self, source: str) -> int | None:
        """How many videos the last full listing of *source* had."""
        ...

    async def note_listing(self, source: str, count: int, now: Instant) -> None:
        """Keep that for the next run."""
        ...


class Lister:
    """Reads the sources of one run.

    Attributes:
        channels: every channel met so far; their titles name folders.
        listed: how many videos were listed, before the filter.
        wanted: those that the filter let pass, as far as they were asked for.
        asked_for: the sources, as a person names them.
        read: what each source listed, of those that were begun.
    """

    def __init__(
        self, vendor: Vendor, memory: Memory | None, clock: Clock, observer: Observer
    ) -> None:
        self._vendor, self._memory = vendor, memory
        self._clock, self._observer = clock, observer
        self.channels: dict[ChannelId, Channel] = {}
        self.listed = 0
        self.wanted: set[VideoId] = set()
        self.asked_for: tuple[str, ...] = ()
        self.read: list[Listed] = []
        self._seen: set[VideoId] = set()
        self._home: ChannelId | None = None  # of the source that is read
        self._whole: set[ChannelId | None] = set()  # channels read to the end; None: the account

    async def videos(
        self, sources: Sequence[Source], wanted: Filter, *, accept_shrunk: bool = False
    ) -> AsyncIterator[list[Video]]:
        """Every wanted video of *sources*, in batches of a page; ``channels`` is complete for them.

        Raises:
            ListingError: nothing is listed, or suddenly half of what it was.
            WeatherError, AuthError: as the vendor's calls.
        """
        left, self.asked_for = wanted.limit, tuple(str(source) for source in sources)
        for source in sources:
            before, complete = self.listed, False
            self.read.append(Listed(str(source), 0, Reading.CUT))
            async for page in self._pages(source):
                complete = page.complete
                batch = self._fresh(page, wanted)[:left]
                self.read[-1] = Listed(str(source), self.listed - before, Reading.CUT)
                await self._name_channels(batch)
                self.wanted.update(video.id for video in batch)
                if batch:
                    yield [self._titled(video) for video in batch]
                left = None if left is None else left - len(batch)
                if left == 0:
                    return
            if complete:
                await self._believe(source, self.listed - before, accept_shrunk=accept_shrunk)
                self.read[-1] = replace(self.read[-1], reading=Reading.WHOLE)
                self._read_whole(source)
            else:
                self._observer.said(
                    f"{source}: the listing changed or broke while it was read; "
                    "what it missed comes with the next run",
                    warning=True,
                )
        if self.listed == 0:
            met("O04")
            raise ListingError(
                "The vendor lists no videos at all.",
                "Check the source, and that the credentials' role sees its channels: "
                "`archiver doctor` tells.",
            )

    def has_listed(self, number: VideoId) -> bool:
        """The vendor named this video, whether the filter let it pass or not."""
        return number in self._seen

    @property
    def has_whole(self) -> bool:
        """A source that names more than one video was read to its end."""
        return bool(self._whole)

    def covers(self, channel: ChannelId | None) -> bool:
        """The sources that were read to their end name each video of *channel* that there is."""
        return None in self._whole or (channel or 0) in self._whole

    def _read_whole(self, source: Source) -> None:
        if isinstance(source, AccountSource):
            self._whole.add(None)
        elif isinstance(source, ChannelSource) and self._home is not None:
            self._whole.add(self._home)

    def _fresh(self, page: Page, wanted: Filter) -> list[Video]:
        self.listed += len(page.videos)
        fresh = []
        for video in page.videos:
            if video.id not in self._seen:
                self._seen.add(video.id)
                if wanted.admits(video):
                    fresh.append(video)
        return fresh

    async def _believe(self, source: Source, count: int, *, accept_shrunk: bool) -> None:
        if isinstance(source, VideoSource):
            return
        if count == 0:
            self._observer.said(f"{source}: no videos are listed", warning=True)
        if self._memory is None:
            return
        before = await self._memory.last_listing(str(source)) or 0
        if before >= _SHRUNK_LEAST and count < before * _SHRUNK_SHARE and not accept_shrunk:
            met("O04")
            raise ListingError(
                f"The listing of {source} has {count} videos; the last one had {before}.",
                "Check the credentials' role at the vendor; if the videos were really deleted, "
                "run once with --accept-shrunk.  Nothing was marked as gone.",
            )
        await self._memory.note_listing(str(source), count, self._clock.now())

    async def _pages(self, source: Source) -> AsyncIterator[Page]:
        pages: AsyncIterator[Page]
        home: ChannelId | None = None
        match source:
            case AccountSource():
                async for channel in _found(self._vendor.channels(), source):
                    self.channels[channel.id] = channel
                pages = self._vendor.account_videos()
            case ChannelSource(name):
                channel = await self._channel(str(name))
                home = self._home = channel.id
                pages = self._vendor.channel_videos(home)
            case PlaylistSource(number):
                pages = self._vendor.playlist_videos(number)
            case VideoSource():
                pages = self._one(source.video)
        async for page in _found(pages, source):
            yield page if home is None else _at_home(page, home)

    async def _channel(self, name: str) -> Channel:
        try:
            channel = await self._vendor.channel(name)
        except (NotFoundError, DeniedError, BadAnswerError) as error:
            raise ListingError(
                f"The vendor knows no channel {name!r}, or does not show it to these credentials.",
                "Check the number or name on the channel's page, and the credentials' role.",
            ) from error
        self.channels[channel.id] = channel
        return channel

    async def _one(self, number: VideoId) -> AsyncIterator[Page]:
        """The video's own page; where there is none, its request tells what it is about."""
        try:
            video = await self._vendor.video(number)
        except (NotFoundError, DeniedError, BadAnswerError):
            video = Video(number, "")
        yield Page((video,), complete=True)

    def _titled(self, video: Video) -> Video:
        """An account's listing names each video's channel by its number alone."""
        channel = None if video.channel_id is None else self.channels.get(video.channel_id)
        if channel is None or video.channel_title or not channel.title:
            return video
        return replace(video, channel_title=channel.title)

    async def _name_channels(self, batch: Sequence[Video]) -> None:
        """Learn the titles of channels that no listing of channels named."""
        for video in batch:
            number = video.channel_id
            if number is None or number in self.channels:
                continue
            title = video.channel_title
            if title is None:
                try:
                    self.channels[number] = await self._vendor.channel(str(number))
                    continue
                except (NotFoundError, DeniedError, BadAnswerError):
                    title = ""
            self.channels[number] = Channel(number, title)


async def _found(listing: AsyncIterator[T], source: Source) -> AsyncIterator[T]:
    try:
        async for each in listing:
            yield each
    except (NotFoundError, DeniedError) as error:
        raise ListingError(
            f"The vendor does not list {source}: it is not there, or not for these credentials.",
            "Check the source, and the credentials' role with `archiver doctor`.",
        ) from error


def _at_home(page: Page, channel: ChannelId) -> Page:
    """A channel's listing need not repeat in each video which channel it is of."""
    videos = (replace(v, channel_id=v.channel_id or channel) for v in page.videos)
    return Page(tuple(videos), page.complete)
