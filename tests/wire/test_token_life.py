"""What the token source promises over a token's life."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from archiver.core.model import JobKey, VideoId
from archiver.errors import WeatherError
from tests.wire.door import Asked, Clock, Door, numbered, reply, token, visit

KEY = JobKey(VideoId(7))
PENDING = {"downloadable": {"status": "pending", "download_url": None}}


def test_a_token_is_renewed_before_its_end() -> None:
    """At nine tenths of its life the next call asks for a new one; not before."""

    async def story() -> None:
        clock = Clock()
        always = Door(lambda _: reply(PENDING), numbered())
        async with always.open() as door, visit(door, clock) as client:
            await client.status(KEY)
            clock.at += 0.89 * 86_400
            await client.status(KEY)
            assert len(door.grants) == 1
            clock.at += 0.02 * 86_400
            await client.status(KEY)
            assert [one.bearer for one in door.calls()] == ["t1", "t1", "t2"]

    asyncio.run(story())


def test_the_last_tenth_of_a_life_bridges_bad_weather() -> None:
    """While the token address is down, a token that is still valid goes on working."""

    async def story() -> None:
        clock, up = Clock(), True
        grant = numbered()
        async with Door(
            lambda _: reply(PENDING), lambda asked: grant(asked) if up else reply("down", 503)
        ).open() as door:
            # Another origin for the token, so that its weather is not the API's.
            other = door.account(token_url=door.url.replace("127.0.0.1", "localhost") + "/token")
            async with visit(door, clock, other) as client:
                await client.status(KEY)
                up = False
                clock.at += 0.95 * 86_400
                await client.status(KEY)
                clock.at += 0.06 * 86_400
                with pytest.raises(WeatherError):
                    await client.status(KEY)

    asyncio.run(story())


@pytest.mark.parametrize("life", [None, 0, -1, "soon", [], "NaN"])
def test_a_life_that_makes_no_sense_makes_no_loop(life: object) -> None:
    """Without a sensible ``expires_in`` an hour is assumed, and one renewal a minute the most."""

    async def story() -> None:
        clock, known = Clock(), {"t1"}
        given = iter(f"t{number}" for number in range(1, 99))
        async with (
            Door(
                lambda asked: reply(PENDING) if asked.bearer in known else reply({}, 401),
                lambda _: token(next(given), expires_in=life),
            ).open() as door,
            visit(door, clock) as client,
        ):
            await client.status(KEY)
            clock.at += 0.8 * 3_600
            await client.status(KEY)
            assert len(door.grants) == 1
            known.clear()
            known.add("t2")
            await client.status(KEY)
            known.clear()
            for _ in range(30):
                with pytest.raises(WeatherError):
                    await client.status(KEY)
            assert len(door.grants) == 2

    asyncio.run(story())


def test_a_late_401_for_an_old_token_uses_the_new_one() -> None:
    """A refusal that comes after the renewal of another call asks for nothing again."""

    async def story() -> None:
        late = asyncio.Event()

        async def answer(asked: Asked) -> web.Response:
            if asked.bearer == "t2" or not warm:
                return reply(PENDING)
            if "/8/" in asked.path:
                await late.wait()
            return reply({}, 401)

        warm = False
        async with Door(answer, numbered()).open() as door, visit(door, Clock()) as client:
            for _ in range(3):
                await client.status(KEY)
            warm = True
            slow = asyncio.create_task(client.request(JobKey(VideoId(8))))
            while not door.calls("/8/"):
                await asyncio.sleep(0)
            await client.request(KEY)
            late.set()
            await slow
            assert len(door.grants) == 2

    asyncio.run(story())
