"""An address that runs out before its file is whole: nothing more is asked of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from archiver.adapters.clock import SystemClock
from archiver.adapters.download import HttpSource
from archiver.core import events
from archiver.core.events import Event
from archiver.core.lifecycle import apply
from archiver.core.model import Instant, Job, Link
from archiver.core.steps import Fetch
from archiver.errors import LinkRefusedError
from tests.wire.download_bench import LOCAL, SIZE, Bench, bench, video
from tests.wire.hand_bench import KEY, START, hands_at
from tests.wire.raw_server import RawServer, Reply, Request, reply

ENDS_AT = Instant(1_790_000_000.0)


def test_a_transfer_of_several_questions_stops_at_the_end(tmp_path: Path) -> None:
    """A resumed download may need another question; by then the time may be over."""
    at = ENDS_AT - 1.0

    def late(_: Request) -> Reply:
        nonlocal at
        at = ENDS_AT
        return reply(412)

    async def body(b: Bench) -> None:
        clock = SystemClock(wall=lambda: at, elapsed=lambda: at)
        source = HttpSource(b.source._wire.session, LOCAL, clock)
        link, saved = Link(b.server.url, ENDS_AT), b.saved(video()[:200_000], total=SIZE)
        with pytest.raises(LinkRefusedError, match="ran out"):
            await source.fetch(link, saved, b.part, b.told)
        assert len(b.server.requests) == 1
        assert b.part.offset == 200_000

    bench(tmp_path, late, body, before=video()[:200_000])


def test_an_address_that_ran_out_while_the_part_was_opened_is_not_visited(tmp_path: Path) -> None:
    """It is the version's end, as if it had been seen in time: a new one is asked for."""

    async def story() -> None:
        async with (
            RawServer(lambda _: reply(200, b"x")) as server,
            hands_at(tmp_path / "a") as hands,
        ):
            job = replace(START, link=Link(server.url, Instant(ENDS_AT - 1e9)))

            async def record(event: Event) -> Job:
                return apply(job, event)

            assert isinstance(await hands.perform(Fetch(KEY), job, record), events.RanOut)
            assert server.requests == []

    asyncio.run(story())
