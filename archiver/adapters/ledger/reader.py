"""The questions to a ledger, each answered between two commits."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Self, TypeVar

from archiver.adapters.ledger import (
    catalogue,
    deleting,
    extras,
    intake,
    listings,
    losses,
    recorded,
    replacing,
    selection,
    standing,
)
from archiver.adapters.ledger.asked import Asked
from archiver.adapters.ledger.catalogue import Entry, Filter
from archiver.adapters.ledger.standing import Standing
from archiver.core.listing import Known
from archiver.core.model import (
    NOW,
    ChannelId,
    Holding,
    Instant,
    Job,
    JobKey,
    JobState,
    Video,
    VideoId,
)
from archiver.core.recency import LastListing
from archiver.core.rounds import Answer
from archiver.core.summary import Deletion, Failure
from archiver.errors import LedgerLostError
from archiver.ports import Shelf, Window
from archiver.records.history import Happening
from archiver.records.inventory import Inventoried

K = TypeVar("K", str, int, VideoId, JobKey)


class Reader:
    """What may be asked of a ledger that was opened for writing, or for reading alone.

    Every method may raise DestinationError: the file is damaged or cannot be read.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    async def close(self) -> None:
        """Finish what was asked, then let go of the file."""
        await self._asked.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def is_damaged(self) -> bool:
        """An answer showed damage that the opening did not see: it has to be rebuilt."""
        return self._asked.is_damaged

    async def window(self, now: Instant, variant: str, limit: int) -> Window:
        """See ``ports.Ledger``.  A due time further off than 26 hours counts as due."""
        return await self._asked.read(
            partial(selection.window, now=now, variant=variant, limit=limit)
        )

    async def known(self, ids: Sequence[VideoId], variant: str) -> Mapping[VideoId, Known]:
        """What is known of the videos of one page of a listing; the others are left out."""

        def look(db: sqlite3.Connection) -> Mapping[VideoId, Known]:
            found = {each: intake.known(db, each, variant) for each in ids}
            return {each: known for each, known in found.items() if known is not None}

        return await self._asked.read(look)

    async def parked_ids(self) -> list[VideoId]:
        """Every parked video of the archive."""
        parked = partial(catalogue.jobs_in, state=JobState.PARKED)
        return [job.key.video_id for job in await self._asked.read(parked)]

    async def shelf(self, video_id: VideoId) -> Shelf:
        """See ``ports.Ledger``."""
        return await self._asked.read(partial(catalogue.shelf, video_id=video_id))

    async def counts(self, variant: str) -> Mapping[JobState, int]:
        """See ``ports.Ledger``; a state without a video is left out."""
        return await self._asked.read(partial(selection.counts, variant=variant))

    async def wanted_bytes(self, variant: str) -> int | None:
        """How large the selected videos are that a run has to fetch; None where nobody knows."""
        return await self._asked.read(partial(selection.wanted_bytes, variant=variant))

    async def unasked_replacements(self, variant: str) -> list[Job]:
        """The selected videos' next versions for which nothing was done yet."""
        return await self._asked.read(partial(replacing.unasked, variant=variant))

    async def undated(self, variant: str, since: Instant) -> list[VideoId]:
        """The selected videos that are not safe yet and were added after *since*, oldest first."""
        return await self._asked.read(partial(deleting.undated, variant=variant, since=since))

    async def deletion(self, variant: str, now: Instant) -> Deletion:
        """Which selected videos the vendor deletes soon, as far as it was asked."""
        return await self._asked.read(partial(deleting.deletion, variant=variant, now=now))

    async def all_counts(self, variant: str | None = None) -> Mapping[JobState, int]:
        """How many videos of the whole archive stand in each state."""
        return await self._asked.read(partial(catalogue.state_counts, variant=variant))

    async def rows(self, wanted: Filter = catalogue.ALL) -> AsyncGenerator[Entry, None]:
        """The catalogue by video, variant and version: each stored version, or the job for it."""
        after = catalogue.START
        while page := await self._asked.read(
            partial(catalogue.entries, wanted=wanted, after=after)
        ):
            for entry in page:
                yield entry
            after = _onward(after, page[-1].job.key)

    async def holdings(self) -> AsyncIterator[Holding]:
        """Every stored file, by path; read in pages, so it may take hours without harm."""
        after = ""
        while page := await self._asked.read(partial(catalogue.holdings, after=after)):
            for holding in page:
                yield holding
            after = _onward(after, page[-1].path)

    async def inventory(self) -> AsyncIterator[Inventoried]:
        """Every stored version of a video, by path, with what belongs to the video."""
        after = ""
        while page := await self._asked.read(partial(recorded.inventory, after=after)):
            for each in page:
                yield each
            after = _onward(after, page[-1].holding.path)

    async def holdings_count_bytes(self) -> tuple[int, int]:
        """How many files are stored, and their bytes: BagIt's Payload-Oxum, swapped."""
        return await self._asked.read(catalogue.holdings_count_bytes)

    async def failures(self, limit: int, *, selected: str | None = None) -> list[Failure]:
        """Videos that are not archived and why, the parked ones first."""
        return await self._asked.read(partial(catalogue.failures, limit=limit, selected=selected))

    async def happenings(self, since: Instant = NOW) -> AsyncGenerator[Happening, None]:
        """The event log, oldest first."""
        after = 0
        while page := await self._asked.read(
            partial(recorded.happenings, after=after, since=since)
        ):
            for each in page:
                yield each
            after = _onward(after, page[-1].number)

    async def left(self, limit: int, variant: str) -> list[Failure]:
        """Selected videos that are not archived, whatever the reason, by their numbers."""
        return await self._asked.read(partial(recorded.left, limit=limit, variant=variant))

    async def stored_videos(self) -> AsyncIterator[tuple[VideoId, ChannelId | None]]:
        """Every video of which a version is stored, with its channel, by number."""
        after = VideoId(-1)
        while page := await self._asked.read(partial(recorded.stored_videos, after=after)):
            for each in page:
                yield each
            after = _onward(after, page[-1][0])

    async def channel_folder(self, channel_id: ChannelId) -> str | None:
        """What a channel's folder is called, which is kept; None for one that is not known."""
        found = await self._one("SELECT folder FROM channel WHERE id = ?", channel_id)
        return None if found is None else str(found)

    async def title(self, video_id: VideoId) -> str:
        """What the last listing called the video; nothing for one that is not known."""
        return str(await self._one("SELECT title FROM video WHERE id = ?", video_id) or "")

    async def next_deadline(self) -> Instant:
        """When the first address not yet fetched expires; NEVER where none is known to."""
        return await self._asked.read(catalogue.next_deadline)

    async def last_runs(self, count: int) -> list[dict[str, Any]]:
        """The reports of the last runs that ended, newest first."""
        return await self._asked.read(partial(catalogue.last_runs, count=count))

    async def last_well_at(self) -> Instant | None:
        """When the last run ended that ended well (code 0) or was stopped (5).

        Where there was none, when the first one began; None before that.
        """
        return await self._asked.read(catalogue.last_well_at)

    async def last_run_ended(self) -> bool:
        """The last run came to its end; False while one goes on, and after a kill."""
        return await self._asked.read(catalogue.last_run_ended)

    async def last_listing(self, source: str) -> LastListing | None:
        """The last listings of *source*; None before the first whole one."""
        return await self._asked.read(partial(listings.last, source=source))

    async def is_covered(self, source: str, variant: str) -> bool:
        """Every video that the last whole listing of *source* had is known in *variant*."""
        look = partial(listings.is_covered, source=source, variant=variant)
        return await self._asked.read(look)

    async def unfinished(self, source: str, variant: str, now: Instant) -> set[VideoId]:
        """The young videos of *source* that were still being recorded when they were listed."""
        look = partial(listings.unfinished, source=source, variant=variant, now=now)
        return await self._asked.read(look)

    async def members(self, source: str) -> AsyncGenerator[list[Video], None]:
        """Every video that *source* had, as last described, page by page."""
        after = VideoId(-1)
        while page := await self._asked.read(partial(listings.members, source=source, after=after)):
            yield page
            after = _onward(after, page[-1].id)

    async def meta_get(self, key: str) -> str | None:
        """A note of ours by its key."""
        found = await self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if found is None else str(found)

    async def standing(self, paths: Sequence[str]) -> Mapping[str, Standing]:
        """What is known of the files at *paths*; those that nobody recorded are left out."""
        return await self._asked.read(partial(standing.standing, paths=paths))

    async def repairs(self) -> list[tuple[Job, Holding]]:
        """Every job that is to mend a stored file, with what it has to bring back."""
        return await self._asked.read(standing.repairs)

    async def lost(self, number: int | None = None) -> list[Holding]:
        """Small files that are asked for again or given up; of one video or channel, or all."""
        return await self._asked.read(partial(losses.lost, number=number))

    async def losses(self) -> Mapping[str, str]:
        """The paths of all lost small files, with why each cannot be had; "" where it may be."""
        return await self._asked.read(losses.losses)

    async def awaited(self) -> list[VideoId]:
        """The videos of which a lost small file is asked for again."""
        return await self._asked.read(losses.awaited)

    async def text(self, path: str) -> bytes | None:
        """What the description at *path* said when it was recorded, if that was kept."""
        return await self._asked.read(partial(losses.text_of, path=path))

    async def unlike(self, lines: Sequence[tuple[str, str]]) -> list[tuple[str, bool]]:
        """Which paths of *lines* no holding has with that hash; True where with another one."""
        return await self._asked.read(partial(standing.unlike, lines=lines))

    async def places(self, variant: str) -> list[tuple[str, str, str, int]]:
        """Folder, stem, variant and version of every selected video that was never stored."""
        return await self._asked.read(partial(standing.places, variant=variant))

    async def sizes(self, after: str, limit: int) -> list[tuple[str, int]]:
        """The next *limit* stored files behind the path *after*, and how large each has to be."""
        return await self._asked.read(partial(standing.sizes, after=after, limit=limit))

    async def answers(self, video_id: int) -> Mapping[str, Answer]:
        """What was answered about the extras of a video, or about a channel, by name."""
        return await self._asked.read(partial(extras.answers, video_id=video_id))

    async def extra_files(self, video_id: int) -> list[Holding]:
        """Every stored file of a video, or of a channel, beside the video itself; oldest first."""
        return await self._asked.read(partial(extras.files, video_id=video_id))

    async def are_extras_open(self, key: JobKey) -> bool:
        """The extras of this version of a video are still to be asked for."""
        return await self._asked.read(partial(extras.are_open, key=key))

    async def extras_missing(self, variant: str) -> int:
        """Of how many archived videos of the selection extras are still to be asked for."""
        return await self._asked.read(partial(extras.missing, variant=variant))

    async def channels_due(self, *, refresh: bool) -> list[tuple[int, str]]:
        """Number and folder of the selection's channels that got something since asked about."""
        return await self._asked.read(partial(extras.channels, refresh=refresh))

    async def _one(self, query: str, value: str | int) -> Any:
        def look(db: sqlite3.Connection) -> Any:
            found = db.execute(query, (value,)).fetchone()
            return None if found is None else found[0]

        return await self._asked.read(look)


def _onward(after: K, last: K) -> K:
    """Where the next page begins.  An index that was damaged could lead round in a circle."""
    if last > after:
        return last
    raise LedgerLostError("The ledger is damaged: its index is out of order.")
