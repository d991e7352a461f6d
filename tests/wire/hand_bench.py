"""A hand at one file: a host on a real socket, the real source, a real archive, no engine."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from archiver.adapters.address_policy import download_resolver
from archiver.adapters.clock import SystemClock
from archiver.adapters.download import HttpSource
from archiver.adapters.download_body import Limits
from archiver.adapters.http import open_sessions
from archiver.adapters.publish import LocalVault
from archiver.core import events
from archiver.core.events import Event
from archiver.core.learning import Learnt
from archiver.core.lifecycle import apply
from archiver.core.model import Holding, Job, JobKey, JobState, Link, VideoId
from archiver.core.steps import Fetch, Policy, Publish
from archiver.core.weather import Weather
from archiver.perform import Hands
from archiver.ports import Shelf
from tests.hasty import Watcher
from tests.ports.disk_world import shelf_of
from tests.wire.download_bench import LOCAL
from tests.wire.raw_server import Handler, RawServer, Request

KEY = JobKey(VideoId(5))
START = Job(KEY, JobState.AVAILABLE)


class OneShelf:
    """All that a hand asks of a ledger."""

    async def shelf(self, _video_id: VideoId) -> Shelf:
        return shelf_of()


@dataclass
class Story:
    """What became of a file."""

    job: Job
    dest: Path
    events: list[Event] = field(default_factory=list)
    requests: Sequence[Request] = ()
    holdings: tuple[Holding, ...] = ()

    @property
    def kinds(self) -> list[type]:
        """How each attempt ended."""
        return [type(event) for event in self.events]

    @property
    def stored(self) -> bytes:
        """The archived file, which must be what its record says."""
        held = self.holdings[0]
        content = (self.dest / held.path).read_bytes()
        assert (held.bytes, held.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        return content


def story(
    tmp_path: Path, handler: Handler, most: int, start: Job = START, stall_s: float = 5.0
) -> Story:
    """Fetch until the file is whole, at most so often, then publish it."""

    async def main() -> Story:
        dest = tmp_path / "archive"
        async with RawServer(handler) as server, hands_at(dest, stall_s) as hands:
            told = Story(replace(start, link=Link(server.url)), dest)
            await _lived(told, hands, server, most)
            told.requests = server.requests
            return told

    return asyncio.run(main())


@asynccontextmanager
async def hands_at(dest: Path, stall_s: float = 5.0) -> AsyncIterator[Hands]:
    """Hands over a real source and a real archive in *dest*."""
    async with open_sessions(LOCAL, download_resolver=download_resolver(LOCAL)) as sessions:
        with LocalVault.open(dest, create=True) as vault:
            limits = Limits(stall_s=stall_s)
            source = HttpSource(sessions.downloads, LOCAL, SystemClock(), limits=limits)
            vendor: Any = None
            ledger: Any = OneShelf()
            yield Hands(
                vendor, source, vault, ledger, SystemClock(), Learnt(1), Weather(), Watcher(),
                Policy(),
            )  # fmt: skip


async def _lived(told: Story, hands: Hands, server: RawServer, most: int) -> None:
    async def record(event: Event) -> Job:
        told.job = apply(told.job, event)
        return told.job

    while told.job.state is not JobState.FETCHED and len(told.events) < most:
        told.events.append(await hands.perform(Fetch(KEY), told.job, record))
        await record(told.events[-1])
        if told.job.state is JobState.REQUESTED:  # asked again, the vendor gives a new address
            url = f"{server.url}&again={len(told.events)}"
            await record(events.Available(told.events[-1].at, Link(url)))  # type: ignore[union-attr]
    if told.job.state is JobState.FETCHED:
        stored = await hands.perform(Publish(KEY), told.job, record)
        assert isinstance(stored, events.Stored), stored
        told.holdings = stored.holdings
