"""Answers that are no file: refused, and nothing saved is lost for them."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import ResolveResult

from archiver.adapters.clock import SystemClock
from archiver.adapters.download_body import Limits
from archiver.core.resume import OVERLAP_BYTES
from archiver.errors import (
    BrokenError,
    CorruptError,
    LinkRefusedError,
    WeatherError,
)
from tests.wire.download_bench import LOCAL, SIZE, Bench, bench, video
from tests.wire.raw_server import File, Reply, Then, chunked, cut, in_turn, reply
from tests.wire.test_address_policy import Names


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, video(), length=SIZE + 5, then="close"),  # too large
        reply(200, video(), f"Content-Length: {SIZE - 1}", then="close"),  # two of them
        Reply(b"SSH-2.0-OpenSSH_9.9\r\n", "close"),
        reply(204),
        reply(304),
        reply(206, video(), f"Content-Range: bytes 0-{SIZE - 1}/{SIZE}"),  # nobody asked
        reply(302),
    ],
)
def test_an_answer_that_contradicts_itself_is_never_a_file(tmp_path: Path, answer: Reply) -> None:
    """D07: lengths that do not fit, no HTTP, a part of nothing."""

    async def body(b: Bench) -> None:
        with pytest.raises((BrokenError, CorruptError)):
            await b.fetch()

    bench(tmp_path, lambda r: answer, body)


@pytest.mark.parametrize("then", ["keep", "close"])
@pytest.mark.parametrize("size", [1000, SIZE])
def test_more_bytes_than_were_announced_are_refused(tmp_path: Path, size: int, then: Then) -> None:
    """D07, D29: too small a length is a contradiction, whatever the bytes before it look like."""
    content = video(size, moov_bytes=500)

    async def body(b: Bench) -> None:
        with pytest.raises((BrokenError, CorruptError)):
            await b.fetch()

    bench(tmp_path, lambda r: reply(200, content, length=size - 7, then=then), body)


def test_a_body_without_an_end_has_one(tmp_path: Path) -> None:
    """D05: no video is larger than the limit, announced or not; a host cannot fill the disk."""
    endless = reply(200, video(), then="close", length=None)

    async def body(b: Bench) -> None:
        for _ in range(2):
            with pytest.raises(CorruptError, match="more than the 100000 bytes"):
                await b.fetch()
            assert b.part.offset <= 100_000

    handler = in_turn(endless, reply(200, video()))
    bench(tmp_path, handler, body, limits=Limits(file_bytes=100_000))


def test_more_bytes_than_the_file_has_are_refused(tmp_path: Path) -> None:
    """D29: the announced total is the end."""
    content = video()
    before = content[:100_000]
    start = 100_000 - OVERLAP_BYTES
    more = chunked(206, content[start:] + b"x")
    span = f'ETag: "one"\r\nContent-Range: bytes {start}-{SIZE - 1}/{SIZE}\r\n'.encode()
    raw = more.raw.replace(b"Transfer", span + b"Transfer", 1)

    async def body(b: Bench) -> None:
        with pytest.raises(CorruptError):
            await b.fetch(b.saved(before, total=SIZE))

    bench(tmp_path, in_turn(Reply(raw)), body, before=before)


def test_an_empty_file_is_no_video(tmp_path: Path) -> None:
    """D27: however its emptiness is said."""

    async def body(b: Bench) -> None:
        with pytest.raises(CorruptError):
            await b.fetch()

    for answer in (reply(200), reply(200, then="close", length=None), chunked(200)):
        bench(tmp_path, in_turn(answer, answer), body)


@pytest.mark.parametrize(
    "answer",
    [
        *(reply(status, b"no") for status in (400, 401, 403, 404, 410, 451)),
        reply(200, b"<!DOCTYPE html><html>Please log in</html>", "Content-Type: text/html"),
        reply(200, b"\n  <html>Please log in</html>", "Content-Type: video/mp4"),
        reply(200, b"<?xml version='1.0'?><Error><Code>AccessDenied", "Content-Type: video/mp4"),
        reply(200, b'{"error": "expired"}', "Content-Type: application/json; charset=utf-8"),
        reply(200, b"link expired", "Content-Type: application/octet-stream"),
        reply(302, b"", "Location: file:///etc/passwd"),
        reply(302, b"", "Location: ftp://127.0.0.1/x"),
        reply(302, b"", "Location: data:video/mp4;base64,AAAA"),
        reply(302, b"", "Location: http://u:p@127.0.0.1/x"),
        reply(302, b"", "Location: http://[::1"),
        reply(302, b"", "Location: http://169.254.169.254/latest/meta-data"),
        reply(302, b"", "Location: https://10.0.0.1/x"),
        reply(302, b"", "Location: https://2130706433/x"),
    ],
)
def test_a_dead_address_is_refused_and_what_was_saved_stays(tmp_path: Path, answer: Reply) -> None:
    """D16 to D18, D23, D24: no page is ever taken for a video, no strange place visited."""
    before = video()[:200_000]

    async def body(b: Bench) -> None:
        with pytest.raises(LinkRefusedError) as caught:
            await b.fetch(b.saved(before, total=SIZE))
        assert "s3cr" not in f"{caught.value!r} {caught.value}"
        assert b.content == before
        assert b.told.reported == []

    bench(tmp_path, lambda r: answer, body, before=before)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_host_in_trouble_is_weather(tmp_path: Path, status: int) -> None:
    """D31: the host is left alone, until when it says."""

    async def body(b: Bench) -> None:
        with pytest.raises(WeatherError) as caught:
            await b.fetch()
        assert caught.value.host == f"http://127.0.0.1:{b.server.port}"
        assert caught.value.retry_at is not None
        assert 0 < caught.value.retry_at - SystemClock().now() <= 120

    bench(tmp_path, lambda r: reply(status, b"", "Retry-After: 120"), body)


def test_a_host_that_is_not_there_is_weather(tmp_path: Path) -> None:
    """Refused connections and unknown names are nobody's fault."""

    async def body(b: Bench) -> None:
        for host in ("127.0.0.1:1", "nowhere.invalid"):
            with pytest.raises(WeatherError) as caught:
                await b.fetch(url=f"http://{host}/x?signature=s3cr")
            assert caught.value.host == f"http://{host}"
            assert "s3cr" not in str(caught.value)

    bench(tmp_path, File(video()), body, account=replace(LOCAL, allow_insecure_http=True))


def test_an_encoded_body_is_asked_for_once_more(tmp_path: Path) -> None:
    """D19: identity was asked; a host that understands it then is not taken at its first word."""
    content = video()
    encoded = reply(200, b"\x1f\x8b" * 50, "Content-Encoding: gzip")

    async def body(b: Bench) -> None:
        await b.fetch()
        assert b.content == content
        assert b.server.connections == 1

    bench(tmp_path, in_turn(encoded, File(content)), body)


def _encoded(content: bytes, *headers: str) -> Reply:
    return reply(200, gzip.compress(content), "Content-Encoding: gzip", 'ETag: "gz"', *headers)


def test_a_host_that_always_encodes_is_decoded(tmp_path: Path) -> None:
    """D19: the file's own bytes are stored, from 0, and nothing of them is ever gone on with."""
    content = video(3_000_000)
    answer = _encoded(content)
    cut_short = cut(answer, 2_000_000, "close")

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError):
            await b.fetch()
        kept = b.last
        assert (kept.source, kept.etag, kept.total) == ("", None, None)
        saved = await b.fetch(kept)
        assert b.content == content
        assert (saved.total, saved.measured) == (len(content), True)
        assert all("range" not in r.headers for r in b.server.requests[:-1])

    handler = in_turn(answer, cut_short, answer, answer, answer)
    bench(tmp_path, handler, body, limits=Limits(sync_bytes=500_000))


def test_what_was_saved_is_kept_until_the_decoded_file_comes(tmp_path: Path) -> None:
    """D19: the rest of an encoded file says nothing about the rest of the file."""
    content, before = video(), video()[:200_000]
    answer = _encoded(content)

    async def body(b: Bench) -> None:
        await b.fetch(b.saved(before, total=SIZE))
        assert b.content == content
        starts = [r.start for r in b.server.requests]
        assert starts == [200_000 - OVERLAP_BYTES] * 2 + [None, 0]

    bench(tmp_path, lambda r: answer, body, before=before)


@pytest.mark.parametrize(
    ("answer", "fault", "why"),
    [
        (_encoded(bytes(30_000_000)), CorruptError, "beyond measure"),
        (_encoded(b"<html>" + bytes(3000)), LinkRefusedError, "page of text"),
        (reply(200, b"no gzip", "Content-Encoding: gzip"), BrokenError, "damaged"),
        (reply(200, b"\x1f\x8b" * 50, "Content-Encoding: br"), BrokenError, "encodes"),
        (
            reply(200, gzip.compress(video())[:-1], "Content-Encoding: gzip"),
            BrokenError, "too early",
        ),
        (
            reply(200, gzip.compress(video()) + b"more", "Content-Encoding: gzip"),
            CorruptError, "more follows",
        ),
    ],
)  # fmt: skip
def test_an_encoded_body_that_is_no_file_is_refused(
    tmp_path: Path, answer: Reply, fault: type[Exception], why: str
) -> None:
    """D19, D20: a bomb of 1,000 to 1 ends within 4 MB of disk and one piece of memory."""

    async def body(b: Bench) -> None:
        with pytest.raises(fault, match=why):
            await b.fetch()
        assert b.part.offset <= 4_000_000

    bench(tmp_path, lambda r: answer, body)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_with_nothing_but_the_range(tmp_path: Path, status: int) -> None:
    """D22: relative or absolute, the query as given, no referer, no cookie."""
    content = video()
    before = content[:200_000]
    there = reply(status, b"moved", "Location: /b/%7Ex?sig=a%2Fb", "Set-Cookie: id=1")

    async def body(b: Bench) -> None:
        await b.fetch(b.saved(before, total=SIZE))
        assert b.content == content
        assert b.server.targets()[1] == "/b/%7Ex?sig=a%2Fb"
        assert b.server.connections == 1
        assert not {"referer", "cookie", "authorization"} & set(b.server.requests[1].headers)
        assert b.server.requests[1].start == 200_000 - OVERLAP_BYTES

    bench(tmp_path, in_turn(there, File(content)), body, before=before)


def test_redirects_come_to_an_end(tmp_path: Path) -> None:
    """D25: five hops and no more."""

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError, match="redirects"):
            await b.fetch()
        assert len(b.server.requests) == 6

    bench(tmp_path, lambda r: reply(302, b"", "Location: /again"), body)


ENDLESS_HEAD = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000))


@pytest.mark.parametrize(
    "raw",
    [
        ENDLESS_HEAD,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000,
        b"HTTP/1.1 " + b"200" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        b"HTTP/1.1 200 OK\r\nETag: one",
    ],
)
def test_a_head_without_an_end_is_not_read_for_ever(tmp_path: Path, raw: bytes) -> None:
    """Its fields are few and short, and it has the time of one silence in all."""

    async def body(b: Bench) -> None:
        with pytest.raises((BrokenError, WeatherError)):
            await b.fetch()

    bench(tmp_path, lambda r: Reply(raw, "stall"), body, limits=Limits(stall_s=0.3))


@pytest.mark.parametrize("length", [None, 10, 10**15])
def test_the_body_of_a_redirect_is_not_waited_for(tmp_path: Path, length: int | None) -> None:
    """Whatever it promises: nobody wants it."""
    content = video()
    there = reply(302, b"moved", "Location: /there", then="stall", length=length)

    async def body(b: Bench) -> None:
        await b.fetch()
        assert b.content == content

    bench(tmp_path, in_turn(there, File(content)), body, limits=Limits(stall_s=0.3))


def test_a_name_that_takes_for_ever_to_resolve_is_weather(tmp_path: Path) -> None:
    """The way to the host counts as waiting for it."""

    class Hanging(Names):
        async def resolve(self, host: str, port: int = 0, *_: Any) -> list[ResolveResult]:
            await asyncio.Event().wait()
            return []

    async def body(b: Bench) -> None:
        with pytest.raises(WeatherError, match="in time"):
            await b.fetch(url="http://cdn.example/x")

    bench(
        tmp_path, in_turn(), body, limits=Limits(stall_s=0.1), names=Hanging(),
        account=replace(LOCAL, allow_insecure_http=True),
    )  # fmt: skip
