"""Thumbnails from a host that nobody vouches for."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver

from archiver.account import Account
from archiver.adapters.address_policy import AddressPolicy, GuardedResolver
from archiver.adapters.clock import SystemClock
from archiver.adapters.download_body import Limits
from archiver.adapters.http import open_sessions
from archiver.adapters.small_download import PICTURE_MOST, SmallDownloads
from archiver.core.weather import Weather
from archiver.emulator.media import sample
from archiver.errors import BadAnswerError, Misfortune, NotFoundError, WeatherError
from tests.core.test_picture import JPG, PNG, WEBP
from tests.wire.download_bench import LOCAL
from tests.wire.raw_server import Handler, RawServer, Reply, chunked, cut, in_turn, reply
from tests.wire.test_address_policy import Names

Story = Callable[[RawServer, SmallDownloads], Awaitable[Any]]
QUERY = "signature=s3cr"
QUICK = Limits(stall_s=0.2)


@asynccontextmanager
async def getting(
    account: Account = LOCAL, names: AbstractResolver | None = None, limits: Limits = QUICK
) -> AsyncIterator[SmallDownloads]:
    resolver = GuardedResolver(AddressPolicy.of(account), names)
    async with open_sessions(account, download_resolver=resolver) as sessions:
        yield SmallDownloads(sessions.downloads, account, SystemClock(), Weather(), limits=limits)


def bench(handler: Handler, story: Story) -> Any:
    async def main() -> Any:
        async with RawServer(handler) as server, getting() as small:
            return await story(server, small)

    return asyncio.run(main())


async def fate(server: RawServer, small: SmallDownloads) -> Misfortune:
    with pytest.raises(Misfortune) as caught:
        await small.picture(server.url)
    shown = "".join(traceback.format_exception(caught.value))
    assert QUERY not in shown
    return caught.value


@pytest.mark.parametrize(
    ("kind", "content"), [("jpg", JPG), ("png", PNG), ("webp", WEBP), ("jpg", sample("sample.jpg"))]
)
@pytest.mark.parametrize("said", ["image/jpeg", "image/svg+xml", "text/html", "video/mp4", ""])
def test_a_picture_is_what_its_bytes_say(kind: str, content: bytes, said: str) -> None:
    """S07: neither a header nor an address decides how the file will end."""

    async def story(server: RawServer, small: SmallDownloads) -> None:
        found = await small.picture(server.url)
        assert (found.content, found.kind) == (content, kind)
        [request] = server.requests
        assert set(request.headers) - {""} <= {"host", "accept", "accept-encoding", "user-agent"}

    bench(lambda _: reply(200, content, f"Content-Type: {said}"), story)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<svg onload='alert(1)'/>", b"<!DOCTYPE html><html>sign in</html>", b"GIF89a;",
        b'{"error": "expired"}', b"%PDF-1.7 \xff\xd8\xff", b"\xff\xd8", b"MZ" + bytes(500),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_not_taken(body: bytes) -> None:
    """S07: a page, a drawing with a script, a program, an error with 200."""
    error = bench(lambda _: reply(200, body, "Content-Type: image/jpeg"), fate)
    assert isinstance(error, BadAnswerError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, NotFoundError) for status in (401, 402, 403, 404, 410)),
        *((status, WeatherError) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
        *((status, BadAnswerError) for status in (204, 206, 304, 400, 405, 416, 451)),
    ],
)
def test_every_status_says_whose_turn_it_is(status: int, kind: type[Misfortune]) -> None:
    """Not there, later, or nonsense."""
    assert type(bench(lambda _: reply(status, b""), fate)) is kind


@pytest.mark.parametrize(
    "answer",
    [
        cut(reply(200, JPG), 1_000),
        cut(reply(200, JPG), 1_000, "close"),
        cut(reply(200, JPG), 1_000, "stall"),
        cut(reply(200, JPG), -5),
        cut(reply(200, JPG), -5, "stall"),
        chunked(200, JPG[:1_000], end=False),
        chunked(200, JPG[:1_000]),
        reply(200, JPG[:1_000], length=None, then="close"),
        reply(200, JPG, "Content-Encoding: gzip"),
    ],
)
def test_half_a_picture_is_weather(answer: Reply) -> None:
    """An end is believed where a length or the picture itself confirms it."""
    error = bench(lambda _: answer, fate)
    assert isinstance(error, WeatherError)


@pytest.mark.parametrize(
    "answer",
    [
        chunked(200, JPG[:1_000], JPG[1_000:]),
        reply(200, JPG, length=None, then="close"),
    ],
)
def test_a_picture_without_a_length_is_whole_by_its_own_mark(answer: Reply) -> None:
    """Some hosts say no length."""

    async def story(server: RawServer, small: SmallDownloads) -> None:
        assert (await small.picture(server.url)).content == JPG

    bench(lambda _: answer, story)


@pytest.mark.parametrize("length", [-1, None])
def test_a_picture_without_end_is_not_read_to_its_end(length: int | None) -> None:
    """Twenty MiB are enough for any."""
    large = JPG + bytes(PICTURE_MOST + 1)
    error = bench(lambda _: reply(200, large, length=length, then="close"), fate)
    assert isinstance(error, BadAnswerError)
    assert "20 MiB" in str(error)


def test_more_than_was_announced_is_no_picture() -> None:
    """The bytes of another answer never become part of it."""
    error = bench(lambda _: Reply(reply(200, JPG).raw + JPG, "close"), fate)
    assert isinstance(error, BadAnswerError | WeatherError)


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/x.jpg",
        "https://[::ffff:10.0.0.1]/x.jpg",
        "https://printer/x.jpg",
        "https://2130706433/x.jpg",
        "http://pictures.example/x.jpg",
        "https://user:word@pictures.example/x.jpg",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://[",
        "https://pictures.example:99999/x.jpg",
        "",
    ],
)
def test_no_picture_is_got_from_a_private_place(address: str) -> None:
    """Private addresses, other schemes, passwords: nothing is sent."""

    async def story(_: RawServer, small: SmallDownloads) -> None:
        with pytest.raises(BadAnswerError):
            await small.picture(address)

    bench(in_turn(), story)


def test_a_name_that_leads_inside_is_refused_when_connecting() -> None:
    """The policy's resolver is asked, whatever the name looks like."""

    async def main() -> None:
        async with getting(Account(), Names("10.0.0.7")) as small:
            with pytest.raises(BadAnswerError, match="private"):
                await small.picture(f"https://pictures.example/x.jpg?{QUERY}")

    asyncio.run(main())


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://169.254.169.254/", "ftp://a.example/", ""]
)
def test_redirects_are_followed_within_the_policy_alone(location: str) -> None:
    """One hop is taken; a way to another kind of place is not."""
    moved = reply(302, b"", f"Location: {location}")

    async def story(server: RawServer, small: SmallDownloads) -> None:
        assert (await small.picture(server.url)).kind == "png"

    bench(in_turn(reply(302, b"", "Location: /other.png"), reply(200, PNG)), story)
    assert isinstance(bench(in_turn(moved), fate), BadAnswerError | WeatherError)


def test_a_host_of_pictures_in_trouble_is_left_alone_and_videos_are_not() -> None:
    """After a failure nobody asks for the next second; the host's own gate stays open."""

    async def story(server: RawServer, small: SmallDownloads) -> None:
        assert isinstance(await fate(server, small), WeatherError)
        error = await fate(server, small)
        assert isinstance(error, WeatherError)
        assert not error.sent
        assert len(server.requests) == 1
        origin = server.url.partition("/file")[0]
        assert small._weather.is_open(origin)
        assert not small._weather.is_open(f"{origin} (pictures)")

    bench(lambda _: reply(503, b""), story)


def test_a_missing_picture_says_nothing_against_the_host() -> None:
    """One that is not there does not hold back the next."""

    async def story(server: RawServer, small: SmallDownloads) -> None:
        assert isinstance(await fate(server, small), NotFoundError)
        assert (await small.picture(server.url)).kind == "jpg"

    bench(in_turn(reply(404, b""), reply(200, JPG)), story)
