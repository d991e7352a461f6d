"""What one call of the API promises, and what all of them together do."""

from __future__ import annotations

import asyncio
import tracemalloc
import zlib
from typing import Any

import pytest
from aiohttp import web

from archiver.account import Account, Secret
from archiver.adapters.http import BODY_MOST, open_sessions
from archiver.adapters.vendor.client import VendorClient
from archiver.core.model import JobKey, Readiness, VideoId
from archiver.errors import (
    AuthError,
    BadAnswerError,
    DeniedError,
    Misfortune,
    NotFoundError,
    WeatherError,
)
from tests.wire.door import SECRET, Clock, Door, reply, visit

KEY = JobKey(VideoId(7))
PENDING = {"downloadable": {"status": "pending", "download_url": None}}
READY = {
    "downloadable": {
        "status": "available",
        "download_url": "https://cdn.example/x?sig=1",
        "expires_at": 1_800_000_000,
    }
}


async def outcome(answer: web.Response) -> Misfortune:
    async with Door(lambda _: answer).open() as door, visit(door, Clock()) as client:
        with pytest.raises(Misfortune) as caught:
            await client.status(KEY)
        return caught.value


def test_request_and_status_are_one_call_each() -> None:
    """POST asks, GET looks; both at the documented path, without parameters."""

    async def story() -> None:
        async with Door(lambda _: reply(READY)).open() as door, visit(door, Clock()) as client:
            found = await client.request(KEY)
            assert found.status is Readiness.AVAILABLE
            assert (await client.status(JobKey(VideoId(8), variant="flv"))) == found
            assert [(one.method, one.path) for one in door.calls()] == [
                ("POST", "/videos/7/downloadable/mp4.json"),
                ("GET", "/videos/8/downloadable/flv.json"),
            ]
            assert all(not one.query for one in door.calls())
            counted = (client.calls.request, client.calls.poll, client.calls.token)
            assert counted == (1, 1, 1)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: reply({"error": "not_found"}, 404), NotFoundError),
        (lambda: reply("", 404), NotFoundError),
        (lambda: reply("<html>not here</html>", 404), WeatherError),
        (lambda: reply({"error": "lack_of_ownership"}, 403), DeniedError),
        (lambda: reply({"error": "payment"}, 402), DeniedError),
        (lambda: reply("<html>blocked</html>", 403), WeatherError),
        (lambda: reply({"error": "too_many_requests"}, 429), WeatherError),
        (lambda: reply({}, 500), WeatherError),
        (lambda: reply({}, 503), WeatherError),
        (lambda: reply({}, 408), WeatherError),
        (lambda: reply({}, 400), BadAnswerError),
        (lambda: reply("\n <html>maintenance</html>"), WeatherError),
        (lambda: reply("<html>log in</html>", 401), WeatherError),
        (lambda: reply('{"downloadable": {"status": "avai'), BadAnswerError),
        (lambda: reply({"downloadable": []}), BadAnswerError),
        (lambda: web.Response(body=b"x" * (16 * 1024 * 1024 + 1)), BadAnswerError),
    ],
)
def test_each_misfortune_has_its_name(answer: Any, kind: type[Misfortune]) -> None:
    """Who is to blame is decided once: the file, the answer, the account or the weather."""

    async def story() -> None:
        found = await outcome(answer())
        assert type(found) is kind
        assert SECRET not in str(found)

    asyncio.run(story())


def test_a_bomb_is_no_answer() -> None:
    """D20: 200 MB of blanks in 200 kB; a few of them are unpacked, and no more."""
    bomb = zlib.compressobj(wbits=31)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(200)) + bomb.flush()
    assert len(packed) < 300_000
    answer = web.Response(body=packed, headers={"Content-Encoding": "gzip"})
    tracemalloc.start()
    try:
        assert isinstance(asyncio.run(outcome(answer)), BadAnswerError)
        assert tracemalloc.get_traced_memory()[1] < 3 * BODY_MOST
    finally:
        tracemalloc.stop()


def test_a_redirect_is_never_followed() -> None:
    """A login page that redirects is weather; the token goes to no other address."""

    async def story() -> None:
        async with Door(lambda _: reply(READY)).open() as elsewhere:
            answer = web.Response(status=302, headers={"Location": f"{elsewhere.url}/x"})
            assert type(await outcome(answer)) is WeatherError
            assert not elsewhere.asked

    asyncio.run(story())


def test_nobody_at_the_door_is_weather() -> None:
    """A refused connection closes the host's gate; the next call is not even tried."""

    async def story() -> None:
        async with Door(lambda _: reply(READY)).open() as door:
            account = door.account()
        account = Account(account.api_url, account.token_url, access_token=Secret("ready"))
        clock = Clock()
        async with visit(door, clock, account) as client:
            for _ in range(3):
                with pytest.raises(WeatherError) as caught:
                    await client.status(KEY)
                assert caught.value.host == account.api_url
                assert not caught.value.sent
            assert not client.weather.is_open(account.api_url)
            left = client.allowance()
            assert left.calls == 0
            assert left.more_at == clock.now() + 1
            clock.at += 1
            assert client.allowance().calls == 1
            assert client.calls.poll == 0

    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (lambda: reply({}, 429), False),
        (lambda: reply({}, 503), False),
        (lambda: web.Response(status=302), False),
        (lambda: reply({}, 500), True),
        (lambda: reply({}, 504), True),
    ],
)
def test_weather_says_whether_the_request_may_have_had_an_effect(answer: Any, sent: bool) -> None:
    """A POST that was refused may be posted again; one that was lost is asked after first."""

    async def story() -> None:
        async with Door(lambda _: answer()).open() as door, visit(door, Clock()) as client:
            with pytest.raises(WeatherError) as caught:
                await client.request(KEY)
            assert caught.value.sent is sent
            with pytest.raises(WeatherError) as caught:
                await client.request(KEY)
            assert caught.value.sent is False
            assert len(door.calls()) == 1

    asyncio.run(story())


def test_an_answer_that_was_lost_had_an_effect() -> None:
    """The connection dies after the request left: the POST may have been taken."""

    async def story() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        account = Account(url, url, access_token=Secret("ready"))
        async with open_sessions(account) as sessions:
            client = VendorClient(sessions.api, account, Clock())
            with pytest.raises(WeatherError) as caught:
                await client.request(KEY)
            assert caught.value.sent
        server.close()
        await server.wait_closed()

    asyncio.run(story())


def test_an_outage_is_probed_not_hammered() -> None:
    """Ten minutes of 503 for eager callers cost few calls, and success opens at once."""

    async def story() -> None:
        clock, up = Clock(), False
        flaky = Door(lambda _: reply(READY if up else {}, 200 if up else 503))
        async with flaky.open() as door, visit(door, clock) as client:
            for _ in range(600):
                with pytest.raises(WeatherError):
                    await client.status(KEY)
                clock.at += 1
            assert len(door.calls()) <= 25
            up = True
            clock.at += 30
            await client.status(KEY)
            assert client.weather.is_open(door.url)

    asyncio.run(story())


def test_a_401_is_replayed_once_and_then_the_persons_turn() -> None:
    """One renewal and one replay; a second 401 in a row is an AuthError."""

    async def story() -> None:
        async with Door(lambda _: reply({}, 401)).open() as door, visit(door, Clock()) as client:
            with pytest.raises(AuthError):
                await client.status(KEY)
            assert len(door.calls()) == 2
            assert len(door.grants) == 2

    asyncio.run(story())


def test_every_answers_date_reaches_the_clock() -> None:
    """Token and API answers both tell the time."""

    async def story() -> None:
        clock = Clock()
        async with Door(lambda _: reply(PENDING)).open() as door, visit(door, clock) as client:
            await client.status(KEY)
            assert len(clock.heard_dates) == 2
            assert all(date.endswith("GMT") for date in clock.heard_dates)

    asyncio.run(story())


def test_a_get_that_is_sent_again_is_counted_twice() -> None:
    """aiohttp repeats a GET by itself after a reset; the count is what the server saw."""

    async def story() -> None:
        seen = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal seen
            try:
                for turn in range(9):
                    await reader.readuntil(b"\r\n\r\n")
                    seen += 1
                    if turn == 1 and seen == 2:
                        break  # the kept connection dies under the second call
                    body = b'{"downloadable":{"status":"pending"}}'
                    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                    writer.write(head + body)
            except asyncio.IncompleteReadError:
                pass
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        account = Account(url, url, access_token=Secret("ready"))
        async with open_sessions(account) as sessions:
            client = VendorClient(sessions.api, account, Clock())
            await client.status(KEY)
            await client.status(KEY)
            assert client.calls.poll == seen == 3
        server.close()
        await server.wait_closed()

    asyncio.run(story())


def test_what_calls_wait_for_can_be_asked_at_any_time() -> None:
    """A host in trouble with its reason and next try; a rate limit that is used up; or nothing."""

    async def story() -> None:
        clock, status = Clock(), 503
        answers = Door(lambda _: reply(READY, status, remaining=0, reset=int(clock.at) + 60))
        async with answers.open() as door, visit(door, clock) as client:
            assert client.troubles() == []
            for _ in range(2):
                clock.at += 120
                with pytest.raises(WeatherError):
                    await client.status(KEY)
            [trouble] = client.troubles()
            assert (trouble.place, trouble.reason) == (door.url, "it answered 503")
            assert trouble.until > clock.now()
            clock.at += 120
            status = 200
            await client.status(KEY)
            [trouble] = client.troubles()
            assert (trouble.place, trouble.reason) == ("the API's rate limit", "")
            assert clock.now() + 50 < trouble.until < clock.now() + 70

    asyncio.run(story())
