"""One run, from the first listing call to the bag: the nightly work."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import anyio

from archiver.account import Account
from archiver.adapters.descriptors import fitting
from archiver.adapters.download import HttpSource
from archiver.adapters.http import ConnectorFactory, check_way
from archiver.adapters.small_download import SmallDownloads
from archiver.adapters.throttle import Throttle
from archiver.care.recover import publish_fetched
from archiver.care.waiting import fates, glance
from archiver.channels import Channels
from archiver.connecting import Connection, connected
from archiver.core.learning import Learnt
from archiver.core.model import NEVER, Instant
from archiver.core.steps import Policy
from archiver.core.summary import ApiCalls, Summary
from archiver.engine import Ending, Engine, Limits, World
from archiver.errors import ArchiverError, DestinationError, ListingError, WeatherError
from archiver.gathering import Gatherer
from archiver.growing import Growth
from archiver.met import met
from archiver.opening import HeldArchive, changing
from archiver.perform import Hands
from archiver.ports import Observer, Source
from archiver.purse import Purse
from archiver.records.tag_files import keep_contact, write_tag_files
from archiver.run_options import RunOptions
from archiver.stating import state
from archiver.stocktaking import Stocktaking
from archiver.surroundings import REAL, Surroundings
from archiver.tally import Tally, close, reason_of

_FAILURES_MOST = 1000  # in a report; `archiver status` has the rest


async def run(
    dest: str,
    account: Account,
    options: RunOptions,
    observer: Observer,
    stop: anyio.Event,
    surroundings: Surroundings = REAL,
) -> Summary:
    """Archive what *options* select into *dest*; safe to repeat, to stop and to kill.

    Raises:
        ArchiverError: nothing was begun.  What happens later is told by the summary.
    """
    account.checked().require_credentials()
    check_way(account)
    downloads, requests = fitting(options.downloads, options.requests)
    if (downloads, requests) != (options.downloads, options.requests):
        observer.said(
            f"few files may be open at a time (ulimit -n): {downloads} downloads and "
            f"{requests} calls at a time"
        )
        options = replace(options, downloads=downloads, requests=requests)
    say = partial(observer.said, warning=True)
    opening = changing(dest, create=True, name=options.name, say=say, surroundings=surroundings)
    async with opening as archive:
        night = _Night(dest, archive, account, options, observer, surroundings.connector)
        return await night.spend(stop)


class _Night:
    """The state of one run."""

    def __init__(
        self,
        dest: str,
        archive: HeldArchive,
        account: Account,
        options: RunOptions,
        observer: Observer,
        connector: ConnectorFactory | None,
    ) -> None:
        self._dest, self._connector = dest, connector
        self._archive, self._account, self._options = archive, account, options
        self._clock, self._ledger = archive.clock, archive.ledger
        self._tally = Tally(observer)
        self._calls = ApiCalls()
        self._began_at = self._clock.now() - self._clock.skew_s
        self._stock = Stocktaking(dest, archive, options, self._tally)
        self._is_listed = False
        self._learnt = Learnt(options.downloads)

    @property
    def _started_at(self) -> Instant:
        """When the run began, by what is known of the server's clock by now."""
        return Instant(self._began_at + self._clock.skew_s)

    @property
    def _ends_at(self) -> Instant:
        limit_s = self._options.max_duration_s
        return NEVER if limit_s is None else Instant(self._started_at + limit_s)

    async def spend(self, stop: anyio.Event) -> Summary:
        """Work until the end, or until *stop*; write down how it went."""
        if not await self._ledger.last_run_ended():
            met("L22")
            self._tally.said("the last run was cut off; this one goes on where it was")
        await keep_contact(self._archive.vault, self._ledger, self._options.contact)
        run_id = await self._ledger.begin_run(os.getpid(), self._started_at)
        kept = await self._ledger.meta_get("learnt")
        if kept is not None:
            self._learnt.remember(json.loads(kept))
        ending = Ending.STOPPED
        error: ArchiverError | None = None
        try:
            ending = await _unless(stop, self._work)
        except WeatherError as weather:
            error = ListingError(
                f"The vendor cannot be reached ({weather}).",
                "Nothing is lost; try again later.",
            )
        except ArchiverError as refused:
            error = refused
        was_stopped = ending is Ending.STOPPED and error is None
        if not was_stopped and not isinstance(error, DestinationError):
            vault, ledger = self._archive.vault, self._ledger
            await publish_fetched(vault, ledger, self._clock, all_of_them=True)
        return await self._end(run_id, ending, error)

    async def _work(self) -> Ending:
        options = self._options
        style = await self._ledger.meta_get("secret style")
        connection = connected(
            self._account, self._clock, requests=options.requests, downloads=options.downloads,
            max_wait_s=options.max_wait_s, style=style, connector=self._connector,
            is_metered=options.limit_rate is not None,
        )  # fmt: skip
        await self._look_around()
        lost = await self._ledger.losses()
        async with connection as vendor:
            self._calls = vendor.calls
            self._tally.watch(vendor.vendor.troubles)
            try:
                with anyio.move_on_after(self._ends_at - self._clock.now()):
                    await self._stock.take(vendor.vendor)
                    self._is_listed = True
                if not self._is_listed:
                    return Ending.TIME_UP
                ending = await self._spend_calls(vendor)
                for text in fates(lost, await self._ledger.losses()):
                    self._tally.said(text)
                return ending
            finally:
                if vendor.vendor.tokens.style != style:
                    with anyio.CancelScope(shield=True):
                        await self._ledger.meta_set("secret style", vendor.vendor.tokens.style)

    async def _spend_calls(self, to: Connection) -> Ending:
        options, vault = self._options, self._archive.vault
        purse = Purse(to.calls, options.extras_calls) if options.extras else None
        throttle = Throttle(options.limit_rate, self._clock)
        make = partial(
            HttpSource, account=self._account, clock=self._clock, throttle=throttle,
            seen=self._learnt,
        )  # fmt: skip
        async with to.workers(make) as source:
            ending = await self._engine(to, source, throttle, purse).run()
        if purse is not None and ending in (Ending.DONE, Ending.WAITED):
            purse.gives_way = False
            channels = Channels(
                to.vendor.extras, vault, self._ledger, self._clock, purse, self._tally
            )
            with anyio.move_on_after(self._ends_at - self._clock.now()):
                await channels.gather(refresh=options.refresh)
        return ending

    def _engine(
        self, to: Connection, source: Source, throttle: Throttle, purse: Purse | None
    ) -> Engine:
        options, clock, vault = self._options, self._clock, self._archive.vault
        limits = Limits(
            variant=options.variant, downloads=options.downloads, requests=options.requests,
            max_wait_s=options.max_wait_s, started_at=self._started_at,
            ends_at=self._ends_at, extras=purse,
        )  # fmt: skip
        world = World(to.vendor, vault, self._ledger, clock, to.weather, self._tally)
        gatherer = None
        if purse is not None:
            pictures = SmallDownloads(to.downloads, self._account, clock, to.weather, throttle)
            gatherer = Gatherer(to.vendor.extras, pictures, vault, self._ledger, clock, purse)
        hands = Hands(
            to.vendor, source, vault, self._ledger, clock, self._learnt, to.weather,
            self._tally, Policy(), gatherer, Growth(to.vendor.extras, self._ledger, clock).is_seen,
        )  # fmt: skip
        return Engine(world, hands, self._learnt, Policy(), limits)

    async def _look_around(self) -> None:
        """Say what is not as it was stored: files may have changed behind our back."""
        seen = await glance(self._dest, self._ledger)
        if seen.count:
            self._tally.said(
                f"{seen.count} stored files are missing or of another size, as {seen.first}: "
                f"`archiver verify {self._dest} --repair` writes them anew or has the next "
                "run fetch them again",
                warning=True,
            )

    async def _end(self, run_id: int, ending: Ending, error: ArchiverError | None) -> Summary:
        ledger, clock = self._ledger, self._clock
        counts = dict(await ledger.counts(self._options.variant))
        failures = await ledger.failures(_FAILURES_MOST, selected=self._options.variant)
        failures = [replace(failure, reason=reason_of(failure)) for failure in failures]
        summary = self._tally.summary(
            self._started_at, clock.now(), self._calls, self._stock.selected, counts, failures
        )
        summary.deletion = await ledger.deletion(self._options.variant, clock.now())
        close(summary, ending, error, is_listed=self._is_listed)
        if self._options.extras:
            summary.extras_missing = await ledger.extras_missing(self._options.variant)
        if self._stock.lister is not None and self._stock.lister.listed:
            await state(
                ledger, self._archive.vault.archive_id, summary, self._stock.lister,
                self._options.filter, self._options.variant, is_listed=self._is_listed,
            )  # fmt: skip
        await write_tag_files(self._archive.vault, ledger, clock.now())
        await ledger.meta_set("learnt", json.dumps(self._learnt.as_json()))
        await ledger.end_run(run_id, json.dumps(summary.as_json()), clock.now())
        return summary


async def _unless(stop: anyio.Event, work: Callable[[], Awaitable[Ending]]) -> Ending:
    """Do *work* until it ends; cancel it when *stop* is set."""
    ending, error = Ending.STOPPED, None
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            await stop.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        try:
            ending = await work()
        except (ArchiverError, WeatherError) as expected:
            error = expected  # raised below: a task group would wrap it
        tasks.cancel_scope.cancel()
    if error is not None:
        raise error
    return ending
