"""Downloads as a run does them: archive, ledger, engine, SHA-256, sync and publication.

Only the vendor is a stand-in, without a limit: whatever is asked for is ready at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from archiver.account import Account
from archiver.adapters.download import HttpSource
from archiver.adapters.http import tls_context
from archiver.connecting import byte_workers
from archiver.core.events import Event
from archiver.core.learning import Learnt
from archiver.core.model import (
    DAY_S,
    ChannelId,
    Downloadable,
    Instant,
    Job,
    JobKey,
    Link,
    Readiness,
    Video,
    VideoId,
)
from archiver.core.steps import Policy
from archiver.core.weather import Weather
from archiver.engine import Ending, Engine, Limits, World
from archiver.opening import HeldArchive, changing
from archiver.perform import Hands
from archiver.ports import Allowance, Clock, Source
from archiver.records.tag_files import write_tag_files
from archiver.tally import Tally
from bench.downloads.ours import command

PAGE = 1_000


class Ready:
    """A vendor who has prepared every video: what a run asks of ``ports.Vendor``."""

    def __init__(self, addresses: Mapping[VideoId, str], clock: Clock) -> None:
        self._addresses, self._clock = addresses, clock

    async def request(self, key: JobKey) -> Downloadable:
        """The address, for a day."""
        ends_at = Instant(self._clock.now() + DAY_S)
        return Downloadable(Readiness.AVAILABLE, Link(self._addresses[key.video_id], ends_at))

    async def status(self, key: JobKey) -> Downloadable:
        """The same."""
        return await self.request(key)

    def allowance(self) -> Allowance:
        """More than anybody needs."""
        return Allowance(PAGE, self._clock.now())


class Unseen:
    """Nobody watches."""

    def began(self, step: str, job: Job, title: str = "") -> None:
        """Nothing."""

    def received(self, job: Job, count: int) -> None:
        """Nothing."""

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        """Nothing."""

    def said(self, text: str, *, warning: bool = False) -> None:
        """Show it: whoever looks into the log of a failure wants to know."""
        print("warning:" if warning else "", text)


async def as_in_run(urls: list[str], out: Path, account: Account, downloads: int) -> None:
    """Archive all of *urls* in *out*, so many at a time."""
    addresses = {VideoId(number): url for number, url in enumerate(urls, 1)}
    async with changing(str(out), create=True) as archive:
        await _listed(archive, addresses)
        learnt = Learnt(downloads)
        make = partial(HttpSource, account=account, clock=archive.clock, seen=learnt)
        async with byte_workers(account, tls_context(account.ca_file), downloads, make) as source:
            ending = await _engine(archive, addresses, source, learnt, downloads).run()
        await write_tag_files(archive.vault, archive.ledger, archive.clock.now())
    if ending is not Ending.DONE:
        raise SystemExit(f"the run ended otherwise: {ending}")


async def _listed(archive: HeldArchive, addresses: Mapping[VideoId, str]) -> None:
    now, ids = archive.clock.now(), list(addresses)
    long_ago = Instant(now - 30 * DAY_S)  # a young video might still be growing
    videos = [
        Video(number, f"Video {number}", ChannelId(1), "Channel", long_ago, long_ago)
        for number in ids
    ]
    for first in range(0, len(videos), PAGE):
        await archive.ledger.reconcile(videos[first : first + PAGE], now, "mp4")
    await archive.ledger.select(ids)


def _engine(
    archive: HeldArchive,
    addresses: Mapping[VideoId, str],
    source: Source,
    learnt: Learnt,
    downloads: int,
) -> Engine:
    vendor: Any = Ready(addresses, archive.clock)  # an engine never asks for a listing
    weather, tally, policy = Weather(), Tally(Unseen()), Policy()
    vault, ledger, clock = archive.vault, archive.ledger, archive.clock
    world = World(vendor, vault, ledger, clock, weather, tally)
    hands = Hands(vendor, source, vault, ledger, clock, learnt, weather, tally, policy)
    limits = Limits(downloads=downloads, max_wait_s=60.0, started_at=clock.now())
    return Engine(world, hands, learnt, policy, limits)


if __name__ == "__main__":
    command(as_in_run)
