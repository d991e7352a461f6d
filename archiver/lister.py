"""The listing of a run: from what the user named to batches of videos, each video once.

Rule 1: a listing that cannot be believed stops the run with a reason; it never takes anything away.
Rule 2: what is asked of the vendor is listing calls alone, and no page of them twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TypeVar

from archiver.core.model import Channel, ChannelId, Video, VideoId
from archiver.core.recency import is_long
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
from archiver.recent_pages import Memory, RecentPages

T = TypeVar("T")

_SHRUNK_SHARE = 0.5  # a listing that lost more than half is not believed
_SHRUNK_LEAST = 4  # of a handful, half is soon lost


class Lister:
    """Reads the sources of one run.

    Args:
        memory: what earlier listings had; None where there is no archive yet.
        variant: of the files that are wanted.
        takes_notes: keep what is listed for the next run.

    Attributes:
        channels: every channel met so far; their titles name folders.
        listed: how many videos were listed, before the filter.
        wanted: those that the filter let pass, as far as they were asked for.
        asked_for: the sources, as a person names them.
        read: what each source listed, of those that were begun.
        remembered: wanted videos that no page named, as the listings were left before: known from
            the last whole listing, and unchanged as far as anybody can tell.
    """

    def __init__(
        self,
        vendor: Vendor,
        memory: Memory | None,
        clock: Clock,
        observer: Observer,
        variant: str = "mp4",
        *,
        takes_notes: bool = True,
    ) -> None:
        self._vendor, self._memory, self._variant = vendor, memory, variant
        self._clock, self._observer, self._takes_notes = clock, observer, takes_notes
        self.channels: dict[ChannelId, Channel] = {}
        self.listed = 0
        self.wanted: set[VideoId] = set()
        self.asked_for: tuple[str, ...] = ()
        self.read: list[Listed] = []
        self.remembered: list[VideoId] = []
        self._seen: set[VideoId] = set()
        self._home: ChannelId | None = None  # of the source that is read
        self._whole: set[ChannelId | None] = set()  # channels read to the end; None: the account

    async def videos(
        self,
        sources: Sequence[Source],
        wanted: Filter,
        *,
        accept_shrunk: bool = False,
        whole: bool = False,
    ) -> AsyncIterator[list[Video]]:
        """Every wanted video of *sources*, in batches of a page; ``channels`` is complete for them.

        Args:
            accept_shrunk: believe a listing that lost half of what it had.
            whole: read every listing to its end.

        Raises:
            ListingError: nothing is listed, or suddenly half of what it was.
            WeatherError, AuthError: as the vendor's calls.
        """
        left, self.asked_for = wanted.limit, tuple(str(source) for source in sources)
        for source in sources:
            recent = None if whole or left is not None else await self._recent(source)
            ids, complete = list[VideoId](), False
            self.read.append(Listed(str(source), 0, Reading.CUT))
            async for page in self._pages(source, recent):
                complete = page.complete
                ids += (video.id for video in page.videos)
                batch = self._fresh(page, wanted)[:left]
                self.read[-1] = Listed(str(source), len(ids), Reading.CUT)
                await self._name_channels(batch)
                self.wanted.update(video.id for video in batch)
                if batch:
                    yield [self._titled(video) for video in batch]
                left = None if left is None else left - len(batch)
                if left == 0:
                    return
            if complete and recent is not None and recent.stopped:
                await self._remember(source, ids, wanted)
            elif complete:
                await self._believe(source, ids, accept_shrunk=accept_shrunk)
            else:
                self._doubt(source)
        if self.listed == 0:
            met("O04")
            raise ListingError(
                "The vendor lists no videos at all.",
                "Check the source, and that the credentials' role sees its channels: "
                "`archiver doctor` tells.",
            )

    def _doubt(self, source: Source) -> None:
        self._observer.said(
            f"{source}: the listing changed or broke while it was read; "
            "what it missed comes with the next run",
            warning=True,
        )

    async def _recent(self, source: Source) -> RecentPages | None:
        if self._memory is None or not isinstance(source, AccountSource | ChannelSource):
            return None
        return await RecentPages.of(self._memory, str(source), self._variant, self._clock.now())

    async def _remember(self, source: Source, ids: list[VideoId], wanted: Filter) -> None:
        """The rest of the listing is what it was."""
        assert self._memory is not None  # else the listing was read to its end
        named, count = set(ids), len(ids)
        async for page in self._memory.members(str(source)):
            rest = tuple(video for video in page if video.id not in named)
            count += len(rest)
            fresh = [video.id for video in self._fresh(Page(rest), wanted)]
            self.wanted.update(fresh)
            self.remembered += fresh
        if self._takes_notes:
            await self._memory.note_recent(str(source), self._clock.now(), ids)
        self.read[-1] = Listed(str(source), count, Reading.RECENT)
        self._covers(source)

    def has_listed(self, number: VideoId) -> bool:
        """The vendor named this video, whether the filter let it pass or not.

        Of a listing that was left early, what the last whole one named counts as named.
        """
        return number in self._seen

    @property
    def has_whole(self) -> bool:
        """A source that names more than one video was read to its end."""
        return bool(self._whole)

    def covers(self, channel: ChannelId | None) -> bool:
        """The sources that were read name each video of *channel* that there is."""
        return None in self._whole or (channel or 0) in self._whole

    def _covers(self, source: Source) -> None:
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

    async def _believe(
        self, source: Source, ids: Sequence[VideoId], *, accept_shrunk: bool
    ) -> None:
        """The listing was read to its end: keep what it had, unless it lost too much."""
        if not isinstance(source, VideoSource):
            if not ids:
                self._observer.said(f"{source}: no videos are listed", warning=True)
            await self._compare(source, ids, accept_shrunk=accept_shrunk)
        self.read[-1] = replace(self.read[-1], reading=Reading.WHOLE)
        self._covers(source)

    async def _compare(
        self, source: Source, ids: Sequence[VideoId], *, accept_shrunk: bool
    ) -> None:
        """Compare with what the last whole listing had, and keep what this one had."""
        if self._memory is None:
            return
        count = len(ids)
        last = await self._memory.last_listing(str(source))
        before = 0 if last is None else last.videos
        if before >= _SHRUNK_LEAST and count < before * _SHRUNK_SHARE and not accept_shrunk:
            met("O04")
            raise ListingError(
                f"The listing of {source} has {count} videos; the last one had {before}.",
                "Check the credentials' role at the vendor; if the videos were really deleted, "
                "run once with --accept-shrunk.  Nothing was marked as gone.",
            )
        if not self._takes_notes:
            return
        keeps = is_long(count) and isinstance(source, AccountSource | ChannelSource)
        await self._memory.note_listing(str(source), count, self._clock.now(), ids if keeps else ())

    async def _pages(self, source: Source, recent: RecentPages | None) -> AsyncIterator[Page]:
        enough = None if recent is None else recent.enough
        pages: AsyncIterator[Page]
        home: ChannelId | None = None
        match source:
            case AccountSource():
                async for channel in _found(self._vendor.channels(), source):
                    self.channels[channel.id] = channel
                pages = self._vendor.account_videos(enough)
            case ChannelSource(name):
                channel = await self._channel(str(name))
                home = self._home = channel.id
                pages = self._vendor.channel_videos(home, enough)
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
