"""What one call of the API promises, and what all of them together do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from archiver.account import Account, Secret
from archiver.adapters.http import open_sessions
from archiver.adapters.vendor.client import VendorClient
from archiver.core.model import Instant, JobKey, Readiness, VideoId
from archiver.errors import (
    AuthError,
    BadAnswerError,
    DeniedError,
    Misfortune,
    NotFoundError,
    SettingsError,
    WeatherError,
)
from tests.wire.door import SECRET, START, Asked, Clock, Door, reply, visit

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
        (lambda: reply("<html>not here</html>", 404), BadAnswerError),
        (lambda: reply({"error": "lack_of_ownership"}, 403), DeniedError),
        (lambda: reply({"error": "payment"}, 402), DeniedError),
        (lambda: reply("<html>blocked</html>", 403), BadAnswerError),
        (lambda: reply({"error": "too_many_requests"}, 429), WeatherError),
        (lambda: reply({}, 500), WeatherError),
        (lambda: reply({}, 503), WeatherError),
        (lambda: reply({}, 408), WeatherError),
        (lambda: reply({}, 400), BadAnswerError),
        (lambda: reply("<html>maintenance</html>"), BadAnswerError),
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


@pytest.mark.parametrize("headers", [True, False], ids=["on every answer", "on videos only"])
def test_a_burst_of_two_hundred_meets_no_429(headers: bool) -> None:
    """A limit of 20 a period, 200 calls, 40 in flight: the server never has to refuse."""

    async def story() -> None:
        used: dict[int, int] = {}
        clock, refusals = Clock(), 0
        period_s = 60.0

        async def answer(asked: Asked) -> web.Response:
            nonlocal refusals
            if not headers and "/free" in asked.path:
                return reply({})
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
                    await client.extra("/free")
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


def test_the_sessions_carry_nothing_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """No cookie, netrc or proxy variable of the surroundings reaches a server."""

    async def story() -> None:
        def answer(asked: Asked) -> web.Response:
            response = reply(PENDING)
            response.set_cookie("session", "1")
            return response

        async with Door(answer).open() as door, visit(door, Clock()) as client:
            await client.status(KEY)
            await client.status(KEY)
            async with open_sessions(door.account()) as sessions:
                for session in (sessions.api, sessions.downloads):
                    async with session.get(f"{door.url}/plain"):
                        pass
            for asked in door.calls("plain"):
                assert "Authorization" not in asked.head
                assert asked.head["User-Agent"].startswith("archiver/")
            assert all("Cookie" not in asked.head for asked in door.asked)
            assert door.calls("plain")[1].head["Accept-Encoding"] == "identity"

    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    asyncio.run(story())


@pytest.mark.parametrize("content", [None, "no certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_bad_authority_file_is_a_setting_to_mend(content: str | None, tmp_path: Any) -> None:
    """A missing or empty CA file is refused before anything is sent."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)

    async def story() -> None:
        with pytest.raises(SettingsError, match="CA file"):
            async with open_sessions(Account(ca_file=str(path))):
                pass
        with pytest.raises(SettingsError, match="PROXY") as caught:
            async with open_sessions(Account(proxy="socks5://me:pass@host")):
                pass
        assert "pass" not in str(caught.value)

    asyncio.run(story())
