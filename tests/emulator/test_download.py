"""The download host: signed addresses, ranges by the book, one line for all."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from archiver.emulator.ranges import Part, wanted
from tests.emulator.visitor import visit

TAG, DATE = '"a"', "Sun, 24 Aug 2025 01:46:40 GMT"


@pytest.mark.parametrize(
    ("headers", "part"),
    [
        ({}, Part(0, 100)),
        ({"Range": "bytes=0-"}, Part(0, 100, whole=False)),
        ({"Range": "bytes=10-19"}, Part(10, 20, whole=False)),
        ({"Range": "bytes=90-500"}, Part(90, 100, whole=False)),
        ({"Range": "bytes=-7"}, Part(93, 100, whole=False)),
        ({"Range": "bytes=100-"}, None),
        ({"Range": "bytes=-0"}, None),
        ({"Range": "bytes=9-3"}, Part(0, 100)),
        ({"Range": "bytes=0-1,4-5"}, Part(0, 100)),
        ({"Range": "bytes=-"}, Part(0, 100)),
        ({"Range": "bytes=5-", "If-Range": TAG}, Part(5, 100, whole=False)),
        ({"Range": "bytes=5-", "If-Range": '"b"'}, Part(0, 100)),
        ({"Range": "bytes=5-", "If-Range": 'W/"a"'}, Part(0, 100)),
        ({"Range": "bytes=5-", "If-Range": DATE}, Part(5, 100, whole=False)),
        ({"Range": "bytes=5-", "If-Range": "Sun, 24 Aug 2025 01:46:41 GMT"}, Part(0, 100)),
    ],
)
def test_a_range_is_read_as_the_standard_says(headers: dict[str, str], part: Part | None) -> None:
    assert wanted(headers, 100, TAG, DATE) == part


def test_whole_and_part_and_head_agree() -> None:
    async def story() -> None:
        async with visit() as visitor:
            url, truth = await visitor.address(), visitor.truth()
            got = await visitor.fetch(url)
            assert (got.status, got.body) == (200, truth)
            assert got.headers["Content-Type"] == "video/mp4"
            assert got.headers["Accept-Ranges"] == "bytes"
            part = await visitor.fetch(url, Range="bytes=1000-", If_Range=got.headers["ETag"])
            assert (part.status, part.body) == (206, truth[1000:])
            assert part.headers["Content-Range"] == f"bytes 1000-{len(truth) - 1}/{len(truth)}"
            beyond = await visitor.fetch(url, Range=f"bytes={len(truth)}-")
            assert (beyond.status, beyond.headers["Content-Range"]) == (
                416,
                f"bytes */{len(truth)}",
            )
            async with visitor.session.head(url) as head:
                assert head.headers["Content-Length"] == str(len(truth))
            flv = await visitor.fetch(await visitor.address(kind="flv"))
            assert flv.headers["Content-Type"] == "video/x-flv"
            assert flv.body.startswith(b"FLV")

    asyncio.run(story())


def test_a_false_signature_and_a_deleted_video_are_refused() -> None:
    async def story() -> None:
        async with visit() as visitor:
            url = await visitor.address()
            assert (await visitor.fetch(url[:-1] + ("0" if url[-1] != "0" else "1"))).status == 403
            assert (await visitor.fetch(url.replace("e=", "e=9"))).status == 403
            visitor.emulator.world.delete_video(visitor.video_id)
            assert (await visitor.fetch(url)).status == 403

    asyncio.run(story())


def test_a_credential_at_the_download_host_is_counted() -> None:
    async def story() -> None:
        async with visit() as visitor:
            url = await visitor.address()
            await visitor.fetch(url)
            assert visitor.emulator.stats["credential_leaks"] == 0
            await visitor.fetch(url, Authorization="Bearer x")
            await visitor.fetch(url, Cookie="a=b")
            await visitor.fetch(f"{url}&access_token=x")
            assert visitor.emulator.stats["credential_leaks"] == 3

    asyncio.run(story())


def test_all_downloads_share_one_line_fairly() -> None:
    async def story() -> None:
        async with visit(line_bytes_s=400_000.0, size=(60_000, 60_000)) as visitor:
            videos = list(visitor.emulator.world.account.videos)[:3]
            urls = [await visitor.address(video) for video in videos]
            began, ends = time.perf_counter(), []

            async def one(url: str) -> None:
                await visitor.fetch(url)
                ends.append(time.perf_counter() - began)

            await asyncio.gather(*map(one, urls))
            # 180,000 bytes at 400,000 a second; the first ends hardly before the last.
            assert 0.4 <= max(ends) < 3
            assert min(ends) > 0.6 * max(ends)

    asyncio.run(story())


def test_the_emulator_leaves_at_once_though_a_download_hangs() -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            async with visit(faults=("stall",)) as visitor:
                response = await session.get(await visitor.address())
                began = time.perf_counter()
            assert time.perf_counter() - began < 2
            response.close()

    asyncio.run(story())
