"""What the token source promises: one request for all, one origin for each secret."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from archiver.account import Account, Secret
from archiver.core.model import JobKey, VideoId
from archiver.errors import AuthError, WeatherError
from tests.wire.door import SECRET, STYLES, Asked, Clock, Door, numbered, reply, token, visit

KEY = JobKey(VideoId(7))
PENDING = {"downloadable": {"status": "pending", "download_url": None}}


def refused(_: Asked) -> web.Response:
    return reply({"error": "invalid_client"}, 401)


def only(bearer: str) -> Any:
    """An API that knows one token."""

    def answer(asked: Asked) -> web.Response:
        return reply(PENDING) if asked.bearer == bearer else reply({"error": "invalid"}, 401)

    return answer


def test_fifty_calls_that_meet_a_401_together_renew_once() -> None:
    """Fifty tasks are refused at the same instant: exactly one token request follows."""

    async def story() -> None:
        gate, waiting = asyncio.Event(), 0

        async def answer(asked: Asked) -> web.Response:
            nonlocal waiting
            if asked.bearer == "t2":
                return reply(PENDING)
            if asked.path.endswith("/1/downloadable/mp4.json"):
                return reply(PENDING)  # the slow start: silent answers make room for fifty
            waiting += 1
            if waiting == 50:
                gate.set()
            await gate.wait()
            return reply({"error": "invalid"}, 401)

        everybody = Door(answer, numbered())
        async with everybody.open() as door, visit(door, Clock(), requests=100) as client:
            for _ in range(50):
                await client.request(JobKey(VideoId(1)))
            assert len(door.grants) == 1
            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(client.request(JobKey(VideoId(100 + number))))
            assert len(door.grants) == 2
            assert client.calls.token == 2

    asyncio.run(story())


@pytest.mark.parametrize("style", ["body", "raw-basic", "basic"])
def test_the_secret_finds_the_way_that_works_and_keeps_it(style: str) -> None:
    """Body, raw Basic, standard Basic are tried in turn; what worked is told and tried first."""

    async def story() -> None:
        def grant(asked: Asked) -> web.Response:
            assert asked.form["grant_type"] == "client_credentials"
            assert asked.form["client_id"] == "c" * 40
            assert asked.form["device_name"]
            return token() if STYLES[style](asked) else refused(asked)

        learnt: list[str] = []
        async with Door(only("t1"), grant).open() as door:
            async with visit(door, Clock(), learnt=learnt.append) as client:
                await client.status(KEY)
                assert client.tokens.style == style
            assert learnt == ([] if style == "body" else [style])
            assert len(door.grants) == list(STYLES).index(style) + 1
            async with visit(door, Clock(), style=style) as client:
                await client.status(KEY)
            assert len(door.grants) == list(STYLES).index(style) + 2

    asyncio.run(story())


def test_refused_credentials_are_the_persons_turn() -> None:
    """When no way works it is an AuthError that quotes no secret."""

    async def story() -> None:
        async with Door(only("t1"), refused).open() as door, visit(door, Clock()) as client:
            with pytest.raises(AuthError) as caught:
                await client.status(KEY)
            assert SECRET not in repr(caught.value) + str(caught.value) + caught.value.hint
            assert len(door.grants) == 3
            assert not door.calls()

    asyncio.run(story())


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: reply("<html>login</html>"),
        lambda _: reply("<html>error</html>", 401),
        lambda _: reply("down", 503),
        lambda _: web.Response(status=302, headers={"Location": "https://portal.example/"}),
        lambda _: reply({"token": "none"}),
    ],
)
def test_trouble_at_the_token_address_is_weather(answer: Any) -> None:
    """503, a login page or a redirect says nothing about the secret, and nobody stampedes."""

    async def story() -> None:
        async with Door(only("t1"), answer).open() as door, visit(door, Clock()) as client:
            for _ in range(20):
                with pytest.raises(WeatherError) as caught:
                    await client.status(KEY)
                assert SECRET not in str(caught.value)
            assert len(door.grants) == 1
            assert client.allowance().calls == 0
            assert client.allowance().more_at > 0

    asyncio.run(story())


def test_who_stops_waiting_stops_nobody_else() -> None:
    """The call that began the token request is cancelled; the others get their token."""

    async def story() -> None:
        let = asyncio.Event()

        async def grant(_: Asked) -> web.Response:
            await let.wait()
            return token()

        async with Door(only("t1"), grant).open() as door, visit(door, Clock()) as client:
            url = f"{door.url}/videos/1.json"
            first = asyncio.create_task(client.tokens.authorize(url))
            others = [asyncio.create_task(client.tokens.authorize(url)) for _ in range(5)]
            while not door.grants:
                await asyncio.sleep(0)
            first.cancel()
            let.set()
            assert await asyncio.gather(*others) == [{"Authorization": "Bearer t1"}] * 5
            assert len(door.grants) == 1

    asyncio.run(story())


def test_closing_ends_a_renewal_under_way() -> None:
    """A client that is closed leaves no task behind."""

    async def story() -> None:
        async def grant(_: Asked) -> web.Response:
            await asyncio.Event().wait()
            return token()

        async with Door(only("t1"), grant).open() as door:
            async with visit(door, Clock()) as client:
                call = asyncio.create_task(client.status(KEY))
                while not door.grants:
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
            names = {task.get_coro().__name__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]
            assert "_renew" not in names

    asyncio.run(story())


def test_the_bearer_goes_to_the_apis_origin_alone() -> None:
    """No other host, scheme or port gets a header, and the secret stays out of API calls."""

    async def story() -> None:
        async with Door(only("t1")).open() as door, visit(door, Clock()) as client:
            port = door.url.rpartition(":")[2]
            for url in (
                f"https://127.0.0.1:{port}/x", f"http://127.0.0.1.example:{port}/x", "http://127.0.0.1/x",
                f"http://127.0.0.1:{port}@evil.example/x", "//127.0.0.1/x", "http://[", "",
            ):  # fmt: skip
                with pytest.raises(ValueError, match="origin"):
                    await client.tokens.authorize(url)
            await client.status(KEY)
            for asked in door.calls():
                assert SECRET not in str(asked)
            for asked in door.grants:
                assert "t1" not in str(asked.head)

    asyncio.run(story())


def test_a_ready_token_that_is_refused_is_the_persons_turn() -> None:
    """Nobody can renew a token that came from outside: 401 is an AuthError at once."""

    async def story() -> None:
        async with Door(only("ready")).open() as door:
            account = Account(door.url, f"{door.url}/token", access_token=Secret("ready"))
            async with visit(door, Clock(), account) as client:
                await client.status(KEY)
            account = Account(door.url, f"{door.url}/token", access_token=Secret("other"))
            async with visit(door, Clock(), account) as client:
                with pytest.raises(AuthError, match="access token") as caught:
                    await client.status(KEY)
                assert "other" not in str(caught.value)
            assert not door.grants

    asyncio.run(story())


def test_without_credentials_nothing_is_sent() -> None:
    """No credentials are an AuthError before any call."""

    async def story() -> None:
        async with Door(only("t1")).open() as door:
            account = Account(door.url, f"{door.url}/token")
            async with visit(door, Clock(), account) as client:
                with pytest.raises(AuthError, match="no credentials"):
                    await client.status(KEY)
            assert not door.asked

    asyncio.run(story())
