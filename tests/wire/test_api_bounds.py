"""Nothing that the API says can keep us for ever, fill the memory, or reach the wrong question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from archiver.account import Account, Secret
from archiver.adapters.http import BODY_MOST, open_sessions
from archiver.adapters.vendor import listing as pages
from archiver.adapters.vendor import wire
from archiver.adapters.vendor.client import VendorClient
from archiver.core import pacing
from archiver.core.model import Instant, JobKey, VideoId
from archiver.core.pacing import Rate
from archiver.errors import BadAnswerError, WeatherError
from tests.hasty import hastily
from tests.wire.door import START, Asked, Clock, Door, numbered, reply, token, visit
from tests.wire.test_listing import listing

KEY = JobKey(VideoId(7))
PENDING = {"downloadable": {"status": "pending", "download_url": None}}
T0 = Instant(START)

# Every way in which a server was seen to write a time, for a number of seconds from now.
ENCODINGS: dict[str, Callable[[float], str]] = {
    "seconds": lambda wait_s: str(int(START + wait_s)),
    "fraction": lambda wait_s: f"{START + wait_s:.3f}",
    "milliseconds": lambda wait_s: str(int((START + wait_s) * 1e3)),
    "microseconds": lambda wait_s: str(int((START + wait_s) * 1e6)),
    "delta": lambda wait_s: str(int(wait_s)),
    "date": lambda wait_s: formatdate(START + wait_s, usegmt=True),
    "text": lambda wait_s: f"in {wait_s} s",
}


@asynccontextmanager
async def speaking(serve: Any, clock: Any = None) -> Any:
    """A client whose API is a bare socket."""
    tasks: set[asyncio.Task[None]] = set()

    async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(kept, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    account = Account(url, url, access_token=Secret("ready"))
    async with open_sessions(account) as sessions:
        yield VendorClient(sessions.api, account, clock or Clock())
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def framed(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("name", ["X-RateLimit-Reset", "Retry-After"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@given(wait_s=st.floats(-1e8, 1e8), in_flight=st.integers(0, 8))
def test_no_429_makes_anybody_wait_longer_than_a_quarter_of_an_hour(
    name: str, encoding: str, wait_s: float, in_flight: int
) -> None:
    """Nor call again at once where it has passed; else the wait that was asked for."""
    said = pacing.news({name: ENCODINGS[encoding](wait_s)}, T0)
    rate = pacing.refused(Rate(), said, T0, T0, 5.0)
    assert pacing.calls(rate, 0, T0) == 0
    at = pacing.may_send_at(rate, in_flight, T0)
    assert at is not None
    assert at > T0
    assert at >= T0 + 1 or wait_s > 0
    assert at <= T0 + pacing.LONGEST_WAIT_S + 1
    if encoding != "text" and 2 <= wait_s <= 890:
        assert wait_s - 1 <= at - T0 <= wait_s + 2
    assert pacing.calls(rate, 0, at) == 1
    assert pacing.calls(rate, 1, at) == 0  # one probe


@given(
    headers=st.dictionaries(
        st.sampled_from(["X-RateLimit-Reset", "X-RateLimit-Remaining", "Retry-After"]),
        st.text(max_size=30) | st.floats().map(str) | st.integers().map(str),
    )
)
def test_no_answer_at_all_holds_calls_back_for_longer(headers: dict[str, str]) -> None:
    """With a 200 as with a 429, whatever its headers say."""
    said = pacing.news(headers, T0)
    for rate in (pacing.answered(Rate(), said, T0), pacing.refused(Rate(), said, T0, T0, 5.0)):
        at = pacing.may_send_at(rate, 0, T0)
        assert at is not None
        assert at <= T0 + pacing.LONGEST_WAIT_S + 1


@pytest.mark.parametrize("life", ["86400", 3600.0, 20, 1, 0.5, 1e-9, 0, -1, None, [], "x", 1e400])
def test_no_life_of_a_token_makes_a_loop_of_renewals(life: object) -> None:
    """A life of a second or more is believed, anything else is an hour."""

    async def story() -> None:
        clock = Clock()
        grant = Door(lambda _: reply(PENDING), lambda _: token("t", expires_in=life))
        async with grant.open() as door, visit(door, clock) as client:
            for _ in range(60):
                await client.status(KEY)
                clock.at += 30
            believed = life in (20, 1)
            assert len(door.grants) <= (60 if believed else 2)

    asyncio.run(story())


def test_tokens_that_are_good_for_one_call_make_no_loop_either() -> None:
    """A 401 leads to one renewal a minute; the other calls wait, and nothing is blamed on them."""

    async def story() -> None:
        clock, used, answered = Clock(), set[str](), 0

        def answer(asked: Asked) -> web.Response:
            once = asked.bearer not in used
            used.add(asked.bearer)
            return reply(PENDING) if once else reply({}, 401)

        async with Door(answer, numbered()).open() as door, visit(door, clock) as client:
            for _ in range(600):
                try:
                    await client.status(KEY)
                    answered += 1
                except WeatherError:
                    clock.at += 1
            assert answered >= 600 / 60
            assert len(door.grants) <= 600 / 60 + 2

    asyncio.run(story())


def test_a_token_that_ends_in_the_queue_is_renewed_before_the_call_goes_out() -> None:
    """The rate holds a call for 200 s, the token lives for 100: it is looked at last."""

    async def story() -> None:
        def answer(asked: Asked) -> web.Response:
            first = len(door.calls()) == 1
            said = {"remaining": 0, "reset": int(clock.at) + 200} if first else {}
            return reply({"video": {"id": "7"}}, **said)

        clock, grant = Clock(), numbered()
        short = Door(answer, lambda asked: _living(grant(asked), 100))
        async with short.open() as door, visit(door, clock) as client:
            await client.video(VideoId(7))
            await client.video(VideoId(7))
            assert [one.bearer for one in door.calls()] == ["t1", "t2"]
            assert clock.at >= START + 200

    asyncio.run(story())


def _living(granted: web.Response, life_s: int) -> web.Response:
    granted.text = (granted.text or "").replace("86400", str(life_s))
    return granted


def test_an_endless_body_is_left_after_16_mib() -> None:
    """What the API sends is read in pieces and dropped at the limit, with its connection."""
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 209715200\r\n\r\n")
        try:
            for _ in range(200):
                writer.write(b" " * 1_048_576)
                await writer.drain()
                written += 1_048_576
        except ConnectionError:
            pass
        writer.close()

    async def story() -> None:
        async with speaking(serve) as client:
            with pytest.raises(BadAnswerError, match="16 MiB"):
                await client.status(KEY)

    asyncio.run(story())
    assert written + 4 * 1_048_576 >= BODY_MOST
    assert written < 3 * BODY_MOST


@pytest.mark.parametrize("piece_s", [9.0, 1e9])
def test_a_call_that_trickles_or_says_nothing_ends_within_a_minute(piece_s: float) -> None:
    """A byte every nine seconds meets the limit of the whole, silence that of a pause."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        try:
            while True:
                await asyncio.sleep(piece_s)
                writer.write(b" ")
                await writer.drain()
        except ConnectionError:
            pass

    async def story() -> float:
        loop = asyncio.get_running_loop()
        async with speaking(serve) as client:
            began = loop.time()
            with pytest.raises(WeatherError, match="in time") as caught:
                await client.status(KEY)
            assert caught.value.sent
            return loop.time() - began

    took_s = hastily(story())
    assert took_s == pytest.approx(60.0 if piece_s < 20 else 20.0, abs=2)


def test_pages_without_an_end_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page has something new and names another: so many, and it is not believed."""
    monkeypatch.setattr(pages, "MOST_PAGES", 20)

    def answer(asked: Asked) -> web.Response:
        page = int(asked.query.get("page", 1))
        if "channels" in asked.path:
            return reply({"channels": {}, "paging": {}})
        paging = {"next": f"/x?page={page + 1}", "item_count": 3}
        return reply({"videos": [{"id": page}], "paging": paging})

    ids, complete, calls = listing(answer)
    assert ids == list(range(1, 21))
    assert not complete
    assert len(calls) <= pages.WALKS * 20 + 3


def test_a_whole_number_of_any_length_spoils_no_page() -> None:
    """Python refuses to read more than 4,300 digits; the rest of the page is there all the same."""
    long = b"9" * 10_000
    page = wire.listed(
        b'{"videos": [{"id": "1", "views": %s}, {"id": %s}]}' % (long, long), "videos"
    )
    assert [wire.video(found) is not None for found in page.objects] == [True, False]


def test_an_answer_that_nobody_asked_for_is_nobodys_answer() -> None:
    """A host answers video 1 twice, the second time late: video 2 must not get that address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                number = head.split(b"/")[2].decode()
                writer.write(framed(address(number)))
                if number == "1":
                    await heard.wait()
                    writer.write(framed(address(number)))
                    twice.set()
        except asyncio.IncompleteReadError:
            writer.close()

    def address(number: str) -> bytes:
        url = f"https://cdn.example/{number}"
        return b'{"downloadable": {"status": "available", "download_url": "%s"}}' % url.encode()

    async def story() -> None:
        async with speaking(serve) as client:
            for number in (1, 2, 3):
                found = await client.status(JobKey(VideoId(number)))
                assert found.link is not None
                assert found.link.url == f"https://cdn.example/{number}"
                if number == 1:
                    heard.set()
                    await twice.wait()
                    await asyncio.sleep(0.05)  # until it lies in the idle connection

    heard, twice = asyncio.Event(), asyncio.Event()
    asyncio.run(story())


def test_a_cancelled_calls_answer_goes_to_nobody() -> None:
    """Cancelled after any number of turns of the loop: the next call gets its own answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                number = head.split(b"/")[2].partition(b".")[0]
                body = b'{"video": {"id": "%s"}}' % number
                writer.write(framed(body)[:50])
                await asyncio.sleep(0)
                writer.write(framed(body)[50:])
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def story() -> int:
        cancelled = 0
        async with speaking(serve) as client:
            await client.video(VideoId(1))
            for turns in range(60):
                call = asyncio.create_task(client.video(VideoId(100 + turns)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
                cancelled += call.cancelled()
                assert (await client.video(VideoId(7))).id == 7
        return cancelled

    assert asyncio.run(story()) > 5


def test_the_clock_of_these_tests_does_not_wait() -> None:
    """The waits above are seconds of another clock."""
    began = time.monotonic()
    hastily(asyncio.sleep(3600))
    assert time.monotonic() - began < 60
