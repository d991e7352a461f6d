"""What a run does before its first request: list, compare with the ledger, choose tonight's work.

Rule 1: each listed video is taken in and selected once, whatever sources name it.
Rule 2: what looks wrong as a whole (a shrunk listing, an archive that looks replaced) is left as
it stands and said loudly; nothing is taken away.
"""

from __future__ import annotations

from archiver.adapters.clock import SKEW_MOST_S
from archiver.adapters.vendor.client import VendorClient
from archiver.care.rebuild import take_in
from archiver.care.waiting import waiting
from archiver.core.extras import EXPIRATION, RECENT_S
from archiver.core.listing import looks_replaced
from archiver.core.model import Instant, JobState
from archiver.deletion import Answers, ask, deleted_at
from archiver.lister import Lister
from archiver.met import met
from archiver.opening import HeldArchive
from archiver.run_options import RunOptions
from archiver.tally import Tally


class Stocktaking:
    """The stock of one run.

    Attributes:
        selected: how many videos belong to the run.
        held: how many of them look replaced and are left for ``--accept-replaced``.
        lister: what it learned while it listed; None before that.
    """

    def __init__(self, dest: str, archive: HeldArchive, options: RunOptions, to: Tally) -> None:
        self._dest, self._vault = dest, archive.vault
        self._ledger, self._clock = archive.ledger, archive.clock
        self._options, self._to = options, to
        self.selected = 0
        self.held = 0
        self.lister: Lister | None = None

    async def take(self, vendor: VendorClient) -> None:
        """List what the options name, and bring ledger and selection up to date.

        Raises:
            ListingError, WeatherError, AuthError: as ``Lister.videos``.
        """
        options, ledger = self._options, self._ledger
        lister = self.lister = Lister(vendor, ledger, self._clock, self._to, options.variant)
        await self._list(lister)
        now = self._clock.now()
        if there := await take_in(self._dest, self._vault, ledger, options.variant, now):
            self._to.said(
                f"{there} videos that stand there already were taken in: the ledger is older",
                warning=True,
            )
        await self._take_up_repairs(lister)
        await ledger.reopen_parked(None, self._clock.now(), "a new run")
        await self._judge_replacements()
        if options.extras:
            await ledger.want_extras(options.variant, self._clock.now(), refresh=options.refresh)
        await self._ask_for_dates(vendor.extras)
        wanted_bytes = await ledger.wanted_bytes(options.variant)
        self._to.expect(await ledger.counts(options.variant), wanted_bytes)
        if abs(skew_s := self._clock.skew_s) > SKEW_MOST_S:
            met("L24")
            self._to.said(
                f"this machine's clock is {-skew_s:+.0f} s from the vendor's, which is gone by; "
                "set it (NTP)", warning=True,
            )  # fmt: skip
        self._to.said(f"{self.selected} of {lister.listed} listed videos are selected")

    async def _list(self, lister: Lister) -> None:
        options, ledger = self._options, self._ledger
        named: set[int] = set()
        batches = lister.videos(
            options.sources,
            options.filter,
            accept_shrunk=options.accept_shrunk,
            whole=options.full_listing,
        )
        async for batch in batches:
            fresh = [c for number, c in lister.channels.items() if number not in named]
            if fresh:
                await ledger.add_channels(fresh)
                named.update(channel.id for channel in fresh)
            await ledger.reconcile(batch, self._clock.now(), options.variant)
            await ledger.select([video.id for video in batch])
            self.selected += len(batch)  # the lister tells each video once
            self._to.expect(await ledger.counts(options.variant))
        await ledger.select(lister.remembered)
        self.selected += len(lister.remembered)

    async def _take_up_repairs(self, lister: Lister) -> None:
        """Damaged videos that the vendor lists no more belong to this run too, if it asks for all.

        Only so it is found out whether they can be had.
        """
        options = self._options
        own, others = await waiting(self._ledger, lister, options.filter, options.variant)
        await self._ledger.select(own)
        self.selected += len(own)
        if own:
            self._to.said(f"{len(own)} damaged, no longer listed: the vendor is asked for them")
        if others:
            self._to.said(
                f"{others} damaged, not selected: they wait for a run that selects them",
                warning=True,
            )

    async def _judge_replacements(self) -> None:
        """A listing that went wrong may call half an archive replaced: then a person decides."""
        variant, now = self._options.variant, self._clock.now()
        replaced = await self._ledger.unasked_replacements(variant)
        if self._options.accept_replaced:
            await self._ledger.accept_replacements(replaced, now)
            return
        counts = await self._ledger.all_counts(variant) if looks_replaced(len(replaced)) else {}
        stored = counts.get(JobState.ARCHIVED, 0) + len(replaced)
        if not looks_replaced(len(replaced), stored):
            return
        self.held = len(replaced)
        await self._ledger.hold_replacements(replaced, now)
        self._to.said(
            f"{self.held} of {stored} archived videos look replaced: too many to be true. They "
            "are left as they are. If they really were replaced, run once with "
            "--accept-replaced: then they are archived again beside the old ones",
            warning=True,
        )

    async def _ask_for_dates(self, to: Answers) -> None:
        """What the vendor is going to delete goes first."""
        ledger, variant, now = self._ledger, self._options.variant, self._clock.now()
        undated = await ledger.undated(variant, Instant(now - RECENT_S))
        answers = await ask(to, undated, self._options.requests)
        dates = {number: deleted_at(raw) for number, raw in answers.items()}
        await ledger.date(dates, variant)
        await ledger.keep_answers(answers, EXPIRATION, self._clock.now())
        count = len((await ledger.deletion(variant, now)).not_safe)
        if count:
            self._to.said(f"the vendor is going to delete {count} of the missing: they go first")
