"""What a run would do, found out without touching anything: not even DEST is made."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from archiver.account import Account
from archiver.adapters.clock import SystemClock
from archiver.adapters.ledger import SqliteLedger
from archiver.connecting import connected
from archiver.core.extras import may_be_deleted
from archiver.core.learning import Learnt
from archiver.core.listing import Change, Known, listed, looks_replaced
from archiver.core.model import NEVER, Instant, Job, JobState, Video, VideoId
from archiver.core.naming import TEMPLATE, Names, file_name
from archiver.core.summary import SCHEMA, ApiCalls, iso
from archiver.deletion import ask, deleted_at
from archiver.errors import ListingError, WeatherError
from archiver.lister import Lister
from archiver.observing import Observer, Watches
from archiver.opening import template_of
from archiver.reading import has_ledger, reading, standing
from archiver.run_options import RunOptions

_RATE_GUESSED = 12.5e6  # 100 Mbit/s: what to say before any run has measured the line
_NAMES_MOST = 5
_PAGE = 1_000  # videos in memory at a time
_CALLS_A_VIDEO = 2  # one request and, with what is learnt, about one poll


@dataclass(slots=True)
class PlanReport:
    """What a run would do.  Bytes are what the listing says; unknown sizes are guessed."""

    selected: int = 0
    new: int = 0
    changed: int = 0
    archived: int = 0
    parked: int = 0
    bytes_to_fetch: int = 0
    api_calls_expected: int = 0
    seconds_expected: float = 0.0
    disk_free: int | None = None
    first_to_be_deleted: dict[str, Any] | None = None
    names: list[str] = field(default_factory=list)
    wanted: dict[VideoId, Video] = field(default_factory=dict)  # what is to be archived

    def as_json(self) -> dict[str, Any]:
        """The object of ``plan --json``."""
        return {
            "schema": SCHEMA,
            "videos": {
                "selected": self.selected, "new": self.new, "changed": self.changed,
                "archived": self.archived, "parked": self.parked,
            },
            "bytes_to_fetch": self.bytes_to_fetch,
            "api_calls_expected": self.api_calls_expected,
            "seconds_expected": self.seconds_expected,
            "disk": {"free": self.disk_free, "needed": self.bytes_to_fetch},
            "first_to_be_deleted": self.first_to_be_deleted,
            "names_preview": self.names,
        }  # fmt: skip

    def take(self, change: Change, before: Known | None, video: Video, typical_bytes: int) -> None:
        """Count one listed video in, by what a run would make of it."""
        job = change.job or (before.job if before else None)
        if job is not None:
            self.add(change.word, job, video, typical_bytes)

    def add(self, word: str, job: Job, video: Video, typical_bytes: int) -> None:
        """Count one selected video in."""
        self.selected += 1
        if word == "changed":
            self.changed += 1
        elif job.state is JobState.ARCHIVED:
            self.archived += 1
            return
        elif job.state in (JobState.GONE, JobState.SKIPPED):
            return
        elif job.state is JobState.PARKED:
            self.parked += 1
        else:
            self.new += 1
        size = typical_bytes if job.size_bytes is None else job.size_bytes
        self.bytes_to_fetch += max(0, size - job.saved.bytes)
        self.wanted[video.id] = video
        self.date(video.id, job.delete_at)

    def date(self, number: VideoId, at: Instant) -> None:
        """The vendor deletes a video that is not archived yet."""
        known = self.first_to_be_deleted
        if at != NEVER and (known is None or str(iso(at)) < str(known["at"])):
            title = self.wanted[number].title
            self.first_to_be_deleted = {"video": str(number), "title": title, "at": iso(at)}

    def undated(self, now: Instant) -> list[VideoId]:
        """What is to be archived and may have a date of deletion, oldest first."""
        young = [video for video in self.wanted.values() if may_be_deleted(video, now)]
        young.sort(key=lambda video: video.added_at or video.created_at or NEVER)
        return [video.id for video in young]

    def expect_calls(self, made: ApiCalls) -> None:
        """A run makes the calls that were made for the plan, and those for each file."""
        files = self.new + self.changed + self.parked
        self.api_calls_expected = made.list + made.extras + _CALLS_A_VIDEO * files


async def plan(dest: str, account: Account, options: RunOptions, observer: Observer) -> PlanReport:
    """List what *options* select and compare it with the archive in *dest*.

    Raises:
        ArchiverError: the listing cannot be had, or cannot be believed.
    """
    clock, learnt, report = SystemClock(), Learnt(options.downloads), PlanReport()
    async with (
        _known(dest) as ledger,
        connected(account, clock, requests=options.requests) as to,
    ):
        kept = await ledger.meta_get("learnt") if ledger else None
        if kept is not None:
            learnt.remember(json.loads(kept))
        if isinstance(observer, Watches):
            observer.watch(to.vendor.troubles)
        lister = Lister(to.vendor, ledger, clock, observer, options.variant, takes_notes=False)
        batches = lister.videos(
            options.sources, options.filter,
            accept_shrunk=options.accept_shrunk, whole=options.full_listing,
        )  # fmt: skip
        preview = await _Preview.of(ledger, options)
        try:
            async for batch in batches:
                known = await ledger.known([v.id for v in batch], options.variant) if ledger else {}
                for video in batch:
                    before = known.get(video.id)
                    change = listed(before, video, clock.now(), options.variant)
                    report.take(change, before, video, learnt.typical_bytes)
                await preview.add(report.names, [v for v in batch if v.id not in known])
            if ledger is not None:
                await _remember(report, lister.remembered, ledger, options, learnt)
        except WeatherError as weather:
            raise ListingError(
                f"The vendor cannot be reached ({weather}).", "Try again later."
            ) from weather
        undated = report.undated(clock.now())
        for number, raw in (await ask(to.vendor.extras, undated, options.requests)).items():
            report.date(number, deleted_at(raw))
        report.expect_calls(to.calls)
    _doubt(report, options, observer)
    report.disk_free = _free_bytes(dest)
    rate = learnt.meter.rate_bytes_s or _RATE_GUESSED
    report.seconds_expected = round(report.bytes_to_fetch / rate, 1)
    return report


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


async def _remember(
    report: PlanReport, ids: Sequence[VideoId], ledger: SqliteLedger, options: RunOptions,
    learnt: Learnt,
) -> None:  # fmt: skip
    """Count in what no page named, since the listings were left before."""
    for first in range(0, len(ids), _PAGE):
        page = await ledger.known(ids[first : first + _PAGE], options.variant)
        for known in page.values():
            report.add("same", known.job, known.video, learnt.typical_bytes)


def _doubt(report: PlanReport, options: RunOptions, observer: Observer) -> None:
    stored = report.archived + report.changed
    if looks_replaced(report.changed, stored) and not options.accept_replaced:
        observer.said(
            f"{report.changed} of {stored} archived videos look replaced: "
            "a run leaves them, unless with --accept-replaced", warning=True,
        )  # fmt: skip


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
