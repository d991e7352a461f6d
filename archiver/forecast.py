"""What a run would do, found out without touching anything: not even DEST is made."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from archiver.account import Account
from archiver.adapters.clock import SystemClock
from archiver.adapters.ledger import SqliteLedger
from archiver.connecting import connected
from archiver.core.learning import Learnt
from archiver.core.listing import Known, is_unasked_replacement, listed
from archiver.core.model import Job, JobState, Video, VideoId
from archiver.core.naming import TEMPLATE, Names, file_name
from archiver.deletion import ask, deleted_at
from archiver.errors import ListingError, WeatherError
from archiver.expectation import PlanReport
from archiver.lister import Lister
from archiver.observing import Observer, Watches
from archiver.opening import template_of
from archiver.ports import Clock
from archiver.reading import has_ledger, reading, standing
from archiver.run_options import RunOptions

_RATE_GUESSED = 12.5e6  # 100 Mbit/s: what to say before any run has measured the line
_NAMES_MOST = 5
_PAGE = 1_000  # videos in memory at a time


async def plan(dest: str, account: Account, options: RunOptions, observer: Observer) -> PlanReport:
    """List what *options* select and compare it with the archive in *dest*.

    Raises:
        ArchiverError: the listing cannot be had, or cannot be believed.
    """
    clock = SystemClock()
    async with (
        _known(dest) as ledger,
        connected(account, clock, requests=options.requests) as to,
    ):
        if isinstance(observer, Watches):
            observer.watch(to.vendor.troubles)
        lister = Lister(to.vendor, ledger, clock, observer, options.variant, takes_notes=False)
        batches = lister.videos(
            options.sources, options.filter,
            accept_shrunk=options.accept_shrunk, whole=options.full_listing,
        )  # fmt: skip
        planning = await _Planning.of(ledger, options, clock)
        try:
            async for batch in batches:
                await planning.take(batch)
            await planning.remember(lister.remembered)
        except WeatherError as weather:
            raise ListingError(
                f"The vendor cannot be reached ({weather}).", "Try again later."
            ) from weather
        await planning.doubt(observer)
        report = planning.report
        undated = report.undated(clock.now())
        for number, raw in (await ask(to.vendor.extras, undated, options.requests)).items():
            report.date(number, deleted_at(raw))
        report.expect_calls(to.calls, options, clock.now())
    report.disk_free = _free_bytes(dest)
    rate = planning.learnt.meter.rate_bytes_s or _RATE_GUESSED
    report.seconds_expected = round(report.bytes_to_fetch / rate, 1)
    return report


class _Planning:
    """Compares what is listed with the ledger, which it only reads."""

    def __init__(
        self, ledger: SqliteLedger | None, options: RunOptions, clock: Clock, preview: _Preview
    ) -> None:
        self._ledger, self._options, self._clock = ledger, options, clock
        self._preview = preview
        self.learnt, self.report = Learnt(options.downloads), PlanReport()
        self._recorded = 0  # replaced videos that an earlier run found

    @classmethod
    async def of(cls, ledger: SqliteLedger | None, options: RunOptions, clock: Clock) -> _Planning:
        """Begin, with what earlier runs learnt.

        Raises:
            SettingsError: the archive's videos are called by another template already.
        """
        planning = cls(ledger, options, clock, await _Preview.of(ledger, options))
        kept = await ledger.meta_get("learnt") if ledger else None
        if kept is not None:
            planning.learnt.remember(json.loads(kept))
        return planning

    async def take(self, batch: Sequence[Video]) -> None:
        """Count listed videos in, by what a run would make of them."""
        known, now = await self._known([video.id for video in batch]), self._clock.now()
        fresh, stored = [], []
        for video in batch:
            before = known.get(video.id)
            change = listed(before, video, now, self._options.variant)
            job = change.job or (before.job if before else None)
            if job is None:
                continue
            if change.word == "new":  # one that is still being recorded is left for another night
                fresh.append(video)
            if job.state is JobState.ARCHIVED:
                stored.append(video)
            self._add(job, video, before)
        await self._preview.add(self.report.names, fresh)
        await self._expect_rounds(stored)

    async def remember(self, ids: Sequence[VideoId]) -> None:
        """Count in what no page named, since the listings were left before."""
        for first in range(0, len(ids), _PAGE):
            page = (await self._known(ids[first : first + _PAGE])).values()
            for known in page:
                self._add(known.job, known.video, known)
            await self._expect_rounds(
                [known.video for known in page if known.job.state is JobState.ARCHIVED]
            )

    async def doubt(self, observer: Observer) -> None:
        """Leave what looks replaced as a run does, where it is too much to be true; say so."""
        if self._ledger is None or self._options.accept_replaced:
            return
        counts = await self._ledger.all_counts(self._options.variant)
        archived = counts.get(JobState.ARCHIVED, 0) + self._recorded
        if self.report.doubt(archived):
            observer.said(
                f"{self.report.held} of {archived} archived videos look replaced: "
                "a run leaves them, unless with --accept-replaced", warning=True,
            )  # fmt: skip

    async def _known(self, ids: Sequence[VideoId]) -> Mapping[VideoId, Known]:
        return await self._ledger.known(ids, self._options.variant) if self._ledger else {}

    def _add(self, job: Job, video: Video, before: Known | None) -> None:
        if before is not None and before.job.key == job.key and is_unasked_replacement(job):
            self._recorded += 1
        self.report.add(job, video, self.learnt.typical_bytes)

    async def _expect_rounds(self, stored: Sequence[Video]) -> None:
        if self._ledger is not None and self._options.extras:
            jobs = await self._ledger.extras_jobs([video.id for video in stored])
            refresh = self._options.refresh
            self.report.expect_rounds(stored, jobs, self._clock.now(), refresh=refresh)


@dataclass(frozen=True, slots=True)
class _Preview:
    """What new videos would be called."""

    ledger: SqliteLedger | None
    names: Names
    variant: str

    @classmethod
    async def of(cls, ledger: SqliteLedger | None, options: RunOptions) -> _Preview:
        """Names as a run with *options* would choose them.

        Raises:
            SettingsError: the archive's videos are called by another template already.
        """
        wanted = options.name
        template = wanted or TEMPLATE if ledger is None else await template_of(ledger, wanted)
        return cls(ledger, Names(template), options.variant)

    async def add(self, names: list[str], fresh: Sequence[Video]) -> None:
        """Add the paths of the first few *fresh* videos to *names*."""
        names += [await self.path(video) for video in fresh[: _NAMES_MOST - len(names)]]

    async def path(self, video: Video) -> str:
        """Where a new video's file would stand, below DEST."""
        number, kept = video.channel_id, None
        if self.ledger is not None and number is not None:
            kept = await self.ledger.channel_folder(number)
        folder = kept or self.names.channel_folder(number, video.channel_title)
        place = self.names.place_for(video, folder)
        return f"{place.folder}/{file_name(place.stem, 'video', self.variant, 1)}"


@asynccontextmanager
async def _known(dest: str) -> AsyncIterator[SqliteLedger | None]:
    if not has_ledger(dest):
        yield None
        return
    async with reading(dest) as ledger:
        yield ledger


def _free_bytes(dest: str) -> int | None:
    """Free space where *dest* is, or would be."""
    try:
        return shutil.disk_usage(standing(dest)).free
    except OSError:
        return None
