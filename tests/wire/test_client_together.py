"""What many calls of the API promise together: limits, places, cancellation."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from archiver.adapters.vendor.client import VendorClient
from archiver.core.model import Instant, JobKey, Readiness, VideoId
from archiver.errors import (
    WeatherError,
)
from tests.wire.door import START, Asked, Clock, Door, reply, visit

KEY = JobKey(VideoId(7))
PENDING = {"downloadable": {"status": "pending", "download_url": None}}
READY = {
    "downloadable": {
        "status": "available",
        "download_url": "https://cdn.example/x?sig=1",
        "expires_at": 1_800_000_000,
    }
}


@pytest.mark.parametrize("headers", [True, False], ids=["on every answer", "on videos only"])
def test_a_burst_of_two_hundred_meets_no_429(headers: bool) -> None:
    """A limit of 20 a period, 200 calls, 40 in flight: the server never has to refuse."""

    async def story() -> None:
        used: dict[int, int] = {}
        clock, refusals = Clock(), 0
        period_s = 60.0

        async def answer(asked: Asked) -> web.Response:
            nonlocal refusals
            if not headers and asked.method == "GET":
                return reply(PENDING)
            window = int(clock.at // period_s)
            used[window] = used.get(window, 0) + 1
            await asyncio.sleep(0)
            left, reset = 20 - used[window], int((window + 1) * period_s)
            refusals += left < 0
            return reply(PENDING, 429 if left < 0 else 200,
                         limit=20, remaining=max(0, left), reset=reset)  # fmt: skip

        async with Door(answer).open() as door, visit(door, clock, requests=40) as client:
            if not headers:
                for _ in range(15):
                    await client.status(JobKey(VideoId(0)))
            async with asyncio.TaskGroup() as group:
                for number in range(200):
                    group.create_task(patiently(client, clock, JobKey(VideoId(number))))
            assert refusals == 0
            assert sum(used.values()) == 200
            assert max(used.values()) == 20
            assert len(used) <= 11

    asyncio.run(story())


async def patiently(client: VendorClient, clock: Clock, key: JobKey) -> None:
    """Ask again when the client gives the call back, as the plan does."""
    while True:
        try:
            await client.request(key)
        except WeatherError as error:
            await clock.sleep_until(error.retry_at or clock.now())
        else:
            return


def test_a_429_is_obeyed_by_everybody() -> None:
    """After a refusal with a reset nobody calls before it, whoever was hit."""

    async def story() -> None:
        clock, refuse = Clock(), True
        reset = int(clock.at) + 40

        def answer(_: Asked) -> web.Response:
            return reply({}, 429, remaining=0, reset=reset) if refuse else reply(PENDING)

        async with Door(answer).open() as door, visit(door, clock) as client:
            with pytest.raises(WeatherError) as caught:
                await client.status(KEY)
            assert caught.value.retry_at == Instant(reset)
            for _ in range(10):
                with pytest.raises(WeatherError):
                    await client.status(KEY)
            assert len(door.calls()) == 1
            assert reset <= client.allowance().more_at <= reset + 1
            refuse = False
            clock.at = client.allowance().more_at
            await client.status(KEY)

    asyncio.run(story())


def test_polls_leave_half_of_the_places_to_requests() -> None:
    """Of four places polls take two at most; all of them are bounded by four."""

    async def story() -> None:
        inside = {"GET": 0, "POST": 0}
        most = dict(inside)
        let = asyncio.Event()

        async def answer(asked: Asked) -> web.Response:
            if not busy:
                return reply(PENDING)
            inside[asked.method] += 1
            most[asked.method] = max(most[asked.method], inside[asked.method])
            await let.wait()
            inside[asked.method] -= 1
            return reply(PENDING)

        busy = False
        async with Door(answer).open() as door, visit(door, Clock(), requests=4) as client:
            for _ in range(10):
                await client.status(KEY)
            assert client.allowance().calls == 4
            busy = True
            async with asyncio.TaskGroup() as group:
                for number in range(8):
                    group.create_task(client.status(JobKey(VideoId(number))))
                    group.create_task(client.request(JobKey(VideoId(number))))
                while sum(inside.values()) < 4:
                    await asyncio.sleep(0)
                assert inside == {"GET": 2, "POST": 2}
                assert client.allowance().calls == 0
                let.set()
            assert most["GET"] == 2
            assert client.allowance().calls == 4

    asyncio.run(story())


def test_a_cancelled_call_leaves_nothing_behind() -> None:
    """Places, pace and gate are as before; the next call gets its own answer."""

    async def story() -> None:
        async def answer(asked: Asked) -> web.Response:
            if "/666/" in asked.path:
                await asyncio.Event().wait()
            return reply(PENDING)

        async with Door(answer).open() as door, visit(door, Clock(), requests=1) as client:
            for _ in range(5):
                call = asyncio.create_task(client.status(JobKey(VideoId(666))))
                while not door.calls("/666/"):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
                door.asked.clear()
                assert client.allowance().calls == 1
            assert (await client.status(KEY)).status is Readiness.PENDING

    asyncio.run(story())


def test_a_cancelled_probe_does_not_keep_the_host_closed() -> None:
    """In bad weather the one probe is cancelled under way: the next call may probe at once."""

    async def story() -> None:
        async def answer(asked: Asked) -> web.Response:
            if "/666/" in asked.path:
                await asyncio.Event().wait()
            return reply(PENDING, 200 if up else 503)

        clock, up = Clock(), False
        async with Door(answer).open() as door, visit(door, clock) as client:
            with pytest.raises(WeatherError):
                await client.status(KEY)
            clock.at, up = clock.at + 1, True
            probe = asyncio.create_task(client.status(JobKey(VideoId(666))))
            while not door.calls("/666/"):
                await asyncio.sleep(0)
            with pytest.raises(WeatherError):
                await client.status(KEY)
            probe.cancel()
            await asyncio.wait([probe])
            await client.status(KEY)
            assert client.weather.is_open(door.url)

    asyncio.run(story())


def test_a_call_without_an_answer_is_one_call_less() -> None:
    """The server may have counted what we gave up on: it is not sent a call too many."""

    async def story() -> None:
        async def answer(asked: Asked) -> web.Response:
            if "/666/" in asked.path:
                await asyncio.Event().wait()
            return reply(PENDING, remaining=3, reset=int(START) + 60)

        async with Door(answer).open() as door, visit(door, Clock()) as client:
            await client.status(KEY)
            assert client.allowance().calls == 3
            for left in (2, 1, 0):
                call = asyncio.create_task(client.status(JobKey(VideoId(666))))
                while not door.calls("/666/"):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
                door.asked.clear()
                assert client.allowance().calls == left

    asyncio.run(story())
