"""The archive for programs: the work of the commands, with typed events, inside ``async with``.

Rule 1: nothing outlives the ``async with``: a run still going on is stopped there, in order.
Rule 2: no error is lost: a run that was refused raises where it is listened to or waited for, and
at the end of the ``async with`` where neither was done.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import AsyncGenerator, Callable
from types import TracebackType

import anyio

from archiver import archive, settings
from archiver.account import Account, Secret
from archiver.archive import CatalogueRow, Check, PlanReport, RunOptions, StatusReport, VerifyReport
from archiver.core.bag import Contact
from archiver.core.events import Event
from archiver.core.model import NOW, ChannelId, Holding, Instant, Job, JobState, VideoId
from archiver.core.selection import Filter, Source, parse_source, unique
from archiver.core.summary import Summary
from archiver.errors import (
    ArchiverError,
    AuthError,
    DestinationError,
    ListingError,
    SettingsError,
)
from archiver.events import RunEvent
from archiver.live_run import Hearing, Run
from archiver.records.history import Happening
from archiver.surroundings import REAL, Surroundings

__all__ = [
    "Account", "Archive", "ArchiverError", "AuthError", "Contact", "DestinationError", "Filter",
    "Instant", "ListingError", "Run", "RunEvent", "RunOptions", "Secret", "SettingsError",
    "Summary", "load_account",
]  # fmt: skip
log = logging.getLogger(__name__)
_ALL = RunOptions()


def load_account(config: str | None = None) -> Account:
    """The account that the ``ARCHIVER_…`` variables and the settings file describe.

    Args:
        config: the settings file; None for the user's own.

    Raises:
        SettingsError: it cannot be read, or something in it cannot be used.
    """
    file = settings.load(config or os.environ.get(f"{settings.PREFIX}CONFIG"))
    proxy, ca_file = (
        os.environ.get(settings.PREFIX + key.upper()) or file.flags.get(key)
        for key in ("proxy", "ca_file")
    )
    account, warnings = settings.account(file, os.environ, proxy=proxy, ca_file=ca_file)
    for warning in warnings:
        log.warning("%s", warning)
    return account


class Archive:
    """The archive in a folder, and the account that its videos come from.

    ``async with Archive.open(folder, account=account) as archive: ...``.  Questions need no lock
    and may be asked while a run goes on; ``run``, ``retry`` and a repair need it, one at a time.
    Each method raises ``ArchiverError`` where a person must act.
    """

    def __init__(self, dest: str, account: Account, surroundings: Surroundings) -> None:
        self._dest, self._account, self._surroundings = dest, account, surroundings
        self._runs: list[Run] = []
        self._is_open = False

    @classmethod
    def open(
        cls,
        dest: str | os.PathLike[str],
        *,
        account: Account | None = None,
        surroundings: Surroundings = REAL,
    ) -> Archive:
        """The archive in *dest*, which the first run makes.

        Args:
            account: whose videos, and how to reach them; questions about what is here need none.
            surroundings: what a test puts in the place of the clock, the network and the disk.
        """
        return cls(os.fspath(dest), account or Account(), surroundings)

    async def __aenter__(self) -> Archive:
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._is_open = False
        for run in self._runs:
            run.stop()
        try:
            for run in self._runs:
                await run.ended()
        finally:  # of no effect, unless somebody had no time to wait for the end in order
            for run in self._runs:
                await run.cancel()
        unheard = [each for run in self._runs if (each := run.unheard()) is not None]
        if unheard and error is None:
            raise unheard[0]

    def run(self, *sources: str | Source, options: RunOptions = _ALL) -> Run:
        """Begin to archive what is missing; safe to repeat, to stop and to kill.

        Args:
            sources: as on the command line (``"channel:23711860"``); else those of *options*.
            options: everything else that a run can be told.

        Raises:
            SettingsError: a source that is none.  What else stands in the way is raised where the
                run is listened to.
            RuntimeError: this is outside of the ``async with``, where nobody would end the run.
        """
        if not self._is_open:
            raise RuntimeError("a run belongs inside of `async with Archive.open(...)`")
        wanted = _options(sources, options)
        hearing, stop = Hearing(), anyio.Event()
        work = archive.run(self._dest, self._account, wanted, hearing, stop, self._surroundings)
        run = Run(work, hearing, stop)
        self._runs.append(run)
        return run

    async def plan(self, *sources: str | Source, options: RunOptions = _ALL) -> PlanReport:
        """What ``run`` would do; touches nothing."""
        wanted = _options(sources, options)
        return await archive.plan(self._dest, self._account, wanted, _Logging())

    async def status(self) -> StatusReport:
        """Where every video stands."""
        return await archive.status(self._dest)

    def videos(
        self,
        *,
        channel: int | None = None,
        state: JobState | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
        text: str | None = None,
    ) -> AsyncGenerator[CatalogueRow, None]:
        """The catalogue, by video and version; what is None does not filter."""
        number = None if channel is None else ChannelId(channel)
        return archive.catalogue(
            self._dest, channel=number, state=state, since=since, until=until, text=text
        )

    def history(self, *, since: Instant = NOW) -> AsyncGenerator[Happening, None]:
        """What happened to each file, oldest first: what is recorded is never changed."""
        return archive.history(self._dest, since=since)

    async def verify(
        self,
        *,
        sample: float | None = None,
        repair: bool = False,
        progress: Callable[[Holding], None] | None = None,
    ) -> VerifyReport:
        """Read the files again and compare them with the records.

        Args:
            sample: the share of the files to read, from 0 to 1; None for all.
            repair: have the next run fetch again what is damaged.
            progress: told of each file that was looked at.
        """
        if repair:
            return await archive.repair(
                self._dest, sample=sample, progress=progress, say=_warn,
                surroundings=self._surroundings,
            )  # fmt: skip
        return await archive.verify(self._dest, sample=sample, progress=progress)

    async def retry(self, *videos: int) -> int:
        """Put parked videos back in the queue, all or those named; how many there were."""
        ids = [VideoId(number) for number in videos]
        return await archive.retry(self._dest, ids or None, say=_warn)

    async def doctor(self) -> list[Check]:
        """What stands in the way of a run, and what to do about it."""
        return await archive.doctor(self._dest, self._account)


class _Logging:
    """Passes on to the log what a plan has to say; an ``Observer``."""

    def began(self, step: str, job: Job, title: str = "") -> None: ...

    def received(self, job: Job, count: int) -> None: ...

    def recorded(self, before: Job, event: Event, after: Job) -> None: ...

    def said(self, text: str, *, warning: bool = False) -> None:
        log.log(logging.WARNING if warning else logging.INFO, "%s", text)


def _warn(text: str) -> None:
    log.warning("%s", text)


def _options(sources: tuple[str | Source, ...], options: RunOptions) -> RunOptions:
    """*options* with the sources that were named, each once."""
    if not sources:
        return options
    try:
        found = [parse_source(each) if isinstance(each, str) else each for each in sources]
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return dataclasses.replace(options, sources=unique(found))
