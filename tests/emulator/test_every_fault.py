"""Every named fault fires, and does on the wire what its line in the table says."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
from yarl import URL

from archiver.emulator.faults import FAULTS, Faults, parse
from tests.emulator.visitor import Said, Visitor, visit

Check = Callable[[Visitor], Awaitable[None]]
CHECKS: dict[str, Check] = {}
VIDEOS = "/users/self/videos.json"
PAGES = f"{VIDEOS}?pagesize=2"
CUT = (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)


def checks(*names: str) -> Callable[[Check], Check]:
    def put(check: Check) -> Check:
        CHECKS.update(dict.fromkeys(names, check))
        return check

    return put


def answers(name: str, status: int, body: bytes) -> None:
    async def check(visitor: Visitor) -> None:
        said = await visitor.call(PAGES)
        assert said.status == status
        assert body in said.body
        assert (await visitor.call(PAGES)).status == 200, "once for each resource"

    CHECKS[name] = check


answers("throttle-bare", 429, b"too_many_requests")
answers("error-500", 500, b"server_error")
answers("error-502", 502, b"server_error")
answers("error-504", 504, b"server_error")
answers("error-503", 503, b"server_error")
answers("list-503", 503, b"server_error")
answers("unauthorized", 401, b"invalid_token")
answers("html", 200, b"<html>")
answers("list-html", 200, b"<html>")
answers("deep-json", 200, b"[[[[[[[[")


@checks("throttle")
async def throttle(visitor: Visitor) -> None:
    said = await visitor.call(VIDEOS)
    assert (said.status, said.headers["X-RateLimit-Remaining"]) == (429, "0")
    assert int(said.headers["X-RateLimit-Reset"]) > time.time() - 1


@checks("throttle-odd")
async def throttle_odd(visitor: Visitor) -> None:
    said = await visitor.call(VIDEOS)
    assert (said.status, said.headers["X-RateLimit-Remaining"]) == (429, "0")
    assert "X-RateLimit-Reset" in said.headers


@checks("huge-json")
async def huge_json(visitor: Visitor) -> None:
    assert len((await visitor.call(VIDEOS)).body) > 20_000_000


@checks("odd-json")
async def odd_json(visitor: Visitor) -> None:
    said = json.loads((await visitor.call(VIDEOS)).body)
    assert (said["odd"], said["big"]) == ("\ud800", 10**400)


@checks("expires-missing")
async def expires_missing(visitor: Visitor) -> None:
    assert set(await visitor.status("POST")) == {"status", "download_url"}


@checks("odd-ids")
async def odd_ids(visitor: Visitor) -> None:
    listed = (await visitor.json(VIDEOS))["videos"]
    assert "../../etc/passwd" in [video["id"] for video in listed]


@checks("token-zero-expiry")
async def token_zero_expiry(visitor: Visitor) -> None:
    assert (await ask_token(visitor))["expires_in"] == 0


@checks("token-lost")
async def token_lost(visitor: Visitor) -> None:
    given = len(visitor.emulator.tokens.issued)
    with pytest.raises(CUT):
        await ask_token(visitor)
    assert len(visitor.emulator.tokens.issued) == given + 2


@checks("consent-denied")
async def consent_denied(visitor: Visitor) -> None:
    query = {
        "response_type": "code", "client_id": visitor.emulator.client_id, "state": "s",
        "code_challenge": "c", "code_challenge_method": "S256", "redirect_uri": "http://127.0.0.1/",
    }  # fmt: skip
    url = URL(visitor.emulator.authorize_url).with_query(query)
    back = URL((await visitor.fetch(str(url))).headers["Location"])
    assert dict(back.query) == {"error": "access_denied", "state": "s"}


@checks("revoke-token")
async def revoke_token(visitor: Visitor) -> None:
    assert (await visitor.call(VIDEOS)).status == 401
    assert (await visitor.call(VIDEOS)).status == 401


@checks("reset")
async def reset(visitor: Visitor) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await visitor.call(f"/videos/{visitor.video_id}/downloadable/mp4.json", "POST")
    assert visitor.emulator.stats["versions"] == 0, "no effect"


@checks("lost-answer")
async def lost_answer(visitor: Visitor) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await visitor.call(f"/videos/{visitor.video_id}/downloadable/mp4.json", "POST")
    assert (await visitor.status())["status"] == "available"


@checks("slow-answer")
async def slow_answer(visitor: Visitor) -> None:
    began = time.perf_counter()
    await visitor.call(VIDEOS)
    assert time.perf_counter() - began >= 0.05


@checks("cut-json", "empty-body")
async def unreadable(visitor: Visitor) -> None:
    said = await visitor.call(VIDEOS)
    assert said.status == 200
    with pytest.raises(ValueError, match=r"line 1 column"):
        json.loads(said.body)


@checks("wrong-types")
async def wrong_types(visitor: Visitor) -> None:
    said = (await visitor.json(f"/videos/{visitor.video_id}/downloadable/mp4.json"))["downloadable"]
    assert said != {"status": "unavailable", "download_url": None, "expires_at": None}


@checks("forget")
async def forget(visitor: Visitor) -> None:
    await visitor.status("POST")
    path = f"/videos/{visitor.video_id}/downloadable/mp4.json"
    assert (await visitor.call(path)).status == 404
    assert (await visitor.status())["status"] == "unavailable"
    assert (await visitor.status("POST"))["status"] == "available"


@checks("unavailable")
async def unavailable(visitor: Visitor) -> None:
    assert (await visitor.status("POST"))["status"] == "unavailable"
    assert (await visitor.status("POST"))["status"] == "available"


@checks("unknown-status")
async def unknown_status(visitor: Visitor) -> None:
    assert (await visitor.status("POST"))["status"] == "processing"


@checks("flap")
async def flap(visitor: Visitor) -> None:
    said = [(await visitor.status("POST"))["status"] for _ in range(3)]
    assert said == ["available", "pending", "available"]


@checks("expires-null", "expires-past", "expires-string", "expires-ms")
async def expires(visitor: Visitor) -> None:
    odd, right = [(await visitor.status("POST"))["expires_at"] for _ in range(2)]
    assert isinstance(right, int)
    assert odd in (None, str(right), right * 1000) or odd < time.time()


@checks("url-null")
async def url_null(visitor: Visitor) -> None:
    said = await visitor.status("POST")
    assert (said["status"], said["download_url"]) == ("available", None)


@checks("other-address")
async def other_address(visitor: Visitor) -> None:
    one, two = [(await visitor.status("POST")) for _ in range(2)]
    assert one["download_url"] != two["download_url"]
    assert two["expires_at"] == one["expires_at"] + 1
    for said in (one, two):
        assert (await visitor.fetch(said["download_url"])).body == visitor.truth()


@checks("pending-forever")
async def pending_forever(visitor: Visitor) -> None:
    await visitor.status("POST")
    assert (await visitor.status())["status"] == "pending"
    assert visitor.emulator.world.versions[0].ready_at == float("inf")


@checks("not-found", "denied")
async def refused(visitor: Visitor) -> None:
    path = f"/videos/{visitor.video_id}/downloadable/mp4.json"
    said = [(await visitor.call(path, method)).status for method in ("POST", "GET", "POST")]
    assert said in ([404] * 3, [403] * 3)


@checks("token-503", "token-html", "token-no-expiry")
async def token(visitor: Visitor) -> None:
    broken, whole = await ask_token(visitor), await ask_token(visitor)
    assert "expires_in" not in broken
    assert "expires_in" in whole


async def ask_token(visitor: Visitor) -> dict[str, object]:
    """What the token endpoint says; nothing where that is no success in JSON."""
    form = {
        "grant_type": "client_credentials",
        "client_id": visitor.emulator.client_id,
        "client_secret": visitor.emulator.client_secret,
        "device_name": "test",
    }
    async with visitor.session.post(visitor.emulator.token_url, data=form) as response:
        if response.status != 200 or response.content_type != "application/json":
            return {}
        return dict(await response.json())


async def read_pages(visitor: Visitor) -> list[list[str]]:
    pages: list[list[str]] = []
    for page in range(1, 6):
        said = await visitor.json(f"{PAGES}&page={page}")
        pages.append([video["id"] for video in said["videos"]])
        if "next" not in said["paging"]:
            break
    return pages


@checks("repeat-page")
async def repeat_page(visitor: Visitor) -> None:
    pages = await read_pages(visitor)
    assert pages[0] == pages[1]


@checks("empty-page")
async def empty_page(visitor: Visitor) -> None:
    pages = await read_pages(visitor)
    assert pages[0] == []
    assert len(pages[1]) == 2


@checks("moving-page")
async def moving_page(visitor: Visitor) -> None:
    pages = await read_pages(visitor)
    assert pages[0][1] == pages[1][0]


@checks("shrinking-page")
async def shrinking_page(visitor: Visitor) -> None:
    pages = await read_pages(visitor)
    listed = {int(video) for page in pages for video in page}
    assert set(visitor.emulator.world.account.videos) - listed, "one was never shown"


@checks("next-loop")
async def next_loop(visitor: Visitor) -> None:
    assert (await visitor.json(PAGES))["paging"]["next"].endswith("page=1")


@checks("size-lies")
async def size_lies(visitor: Visitor) -> None:
    said = (await visitor.json(VIDEOS))["videos"][0]
    assert int(said["file_size"]) != visitor.emulator.world.content(int(said["id"]), "mp4").size


# The download host


@checks("date-skew")
async def date_skew(visitor: Visitor) -> None:
    said = await visitor.call(VIDEOS)
    assert parsedate_to_datetime(said.headers["Date"]).timestamp() > time.time() + 3600


@checks("expire-early", "link-gone")
async def dead_link(visitor: Visitor) -> None:
    url = await visitor.address()
    assert (await visitor.fetch(url)).status in (403, 410)
    assert (await visitor.fetch(url)).status == 403
    assert (await visitor.status())["status"] == "unavailable"
    assert (await visitor.fetch(await visitor.address())).body == visitor.truth()


@checks("cdn-503", "cdn-429")
async def busy(visitor: Visitor) -> None:
    url = await visitor.address()
    assert (await visitor.fetch(url)).status in (503, 429)
    assert (await visitor.fetch(url)).body == visitor.truth()


@checks("reset-before-header")
async def reset_before_header(visitor: Visitor) -> None:
    # aiohttp repeats a broken GET once by itself, and silently: the server sees two.
    assert (await visitor.fetch(await visitor.address())).body == visitor.truth()
    assert visitor.emulator.stats["downloads"] == 2


@checks("redirect")
async def redirect(visitor: Visitor) -> None:
    async with visitor.session.get(await visitor.address()) as response:
        assert len(response.history) == 1
        assert await response.read() == visitor.truth()


@checks("redirect-loop")
async def redirect_loop(visitor: Visitor) -> None:
    with pytest.raises(aiohttp.TooManyRedirects):
        await visitor.session.get(await visitor.address())


@checks("redirect-to-api")
async def redirect_to_api(visitor: Visitor) -> None:
    said = await visitor.fetch(await visitor.address())
    assert said.headers["Location"].startswith(visitor.emulator.api_url)


@checks("redirect-to-metadata", "redirect-to-file")
async def redirect_elsewhere(visitor: Visitor) -> None:
    said = await visitor.fetch(await visitor.address())
    assert said.status == 302
    assert said.headers["Location"].startswith(("http://169.254.", "file:"))


@checks("html-body", "json-body", "empty-file")
async def not_a_video(visitor: Visitor) -> None:
    url = await visitor.address()
    said = await visitor.fetch(url)
    assert said.status == 200
    assert said.body[:1] in (b"<", b"{", b"")
    assert (await visitor.fetch(url)).body == visitor.truth()


async def ranged(visitor: Visitor) -> tuple[Said, bytes]:
    """The answer to a range, checked to be right the second time."""
    url, truth = await visitor.address(), visitor.truth()
    said = await visitor.fetch(url, Range="bytes=1000-1999")
    assert (await visitor.fetch(url, Range="bytes=1000-1999")).body == truth[1000:2000]
    return said, truth


@checks("range-416")
async def range_416(visitor: Visitor) -> None:
    assert (await ranged(visitor))[0].status == 416


@checks("ignore-range")
async def ignore_range(visitor: Visitor) -> None:
    said, truth = await ranged(visitor)
    assert (said.status, said.body) == (200, truth)


@checks("wrong-range")
async def wrong_range(visitor: Visitor) -> None:
    said, truth = await ranged(visitor)
    assert said.headers["Content-Range"] == f"bytes 500-1999/{len(truth)}"
    assert said.body == truth[500:2000]


@checks("wrong-bytes")
async def wrong_bytes(visitor: Visitor) -> None:
    said, truth = await ranged(visitor)
    assert said.headers["Content-Range"] == f"bytes 1000-1999/{len(truth)}"
    assert said.body == truth[999:1999]


@checks("multipart-range")
async def multipart_range(visitor: Visitor) -> None:
    said, truth = await ranged(visitor)
    assert said.headers["Content-Type"].startswith("multipart/byteranges")
    assert truth[1000:2000] in said.body


@checks("no-range-support")
async def no_range_support(visitor: Visitor) -> None:
    for _ in range(2):
        said = await visitor.fetch(await visitor.address(), Range="bytes=1000-")
        assert (said.status, said.body) == (200, visitor.truth())
        assert "Accept-Ranges" not in said.headers


async def read_until_cut(url: str) -> bytes:
    read = bytearray()
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        try:
            async for piece in response.content.iter_any():
                read += piece
        except CUT:
            return bytes(read)
    raise AssertionError("the body came to an end")


@checks("reset-mid-body", "cut-with-length")
async def cut_body(visitor: Visitor) -> None:
    url, truth = await visitor.address(), visitor.truth()
    read = await read_until_cut(url)
    assert truth.startswith(read)
    assert len(read) < len(truth)
    assert (await visitor.fetch(url)).body == truth


@checks("length-too-large")
async def length_too_large(visitor: Visitor) -> None:
    assert await read_until_cut(await visitor.address()) == visitor.truth()


@checks("length-too-small")
async def length_too_small(visitor: Visitor) -> None:
    # Read from the socket: what an HTTP library makes of surplus bytes depends on their packets.
    url = URL(await visitor.address())
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET {url.raw_path_qs} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    writer.close()
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length is not None
    assert int(length[1]) < len(body)
    assert body == visitor.truth()


@checks("cut-without-length", "cut-chunked")
async def silent_cut(visitor: Visitor) -> None:
    url, truth = await visitor.address(), visitor.truth()
    said = await visitor.fetch(url)  # no exception: that is the point
    assert "Content-Length" not in said.headers
    assert truth.startswith(said.body)
    assert 0 < len(said.body) < len(truth)


@checks("regenerate-moov", "regenerate-mdat")
async def regenerate(visitor: Visitor) -> None:
    url, old = await visitor.address(), visitor.truth()
    assert old.startswith(await read_until_cut(url))
    assert (await visitor.fetch(url)).status == 403
    said = await visitor.fetch(await visitor.address())
    assert said.body == visitor.truth() != old
    assert len(said.body) == len(old)
    contents = visitor.emulator.world.contents(visitor.video_id, "mp4")
    assert [said.headers["ETag"] == content.etag for content in contents] == [False, True]


async def picture_of(visitor: Visitor) -> Said:
    shown = (await visitor.json(f"/videos/{visitor.video_id}.json"))["video"]["thumbnail"]
    return await visitor.fetch(shown["image_1920x1080"])


def shows(name: str, status: int, body: bytes) -> None:
    async def check(visitor: Visitor) -> None:
        said = await picture_of(visitor)
        assert said.status == status
        assert body in said.body
        assert (await picture_of(visitor)).body.startswith(b"\xff\xd8\xff")

    CHECKS[name] = check


shows("picture-missing", 404, b"")
shows("picture-503", 503, b"")
shows("picture-html", 200, b"<html>")
shows("picture-svg", 200, b"<script>")


@checks("picture-cut")
async def picture_cut(visitor: Visitor) -> None:
    with pytest.raises(CUT):
        await picture_of(visitor)


@checks("picture-elsewhere")
async def picture_elsewhere(visitor: Visitor) -> None:
    said = await picture_of(visitor)
    assert (said.status, said.headers["Location"][:23]) == (302, "http://169.254.169.254/")


@checks("extra-denied", "extra-missing")
async def no_extra(visitor: Visitor) -> None:
    path = f"/videos/{visitor.video_id}/labels.json"
    assert (await visitor.call(path)).status in (403, 404)
    assert (await visitor.call(path)).status == 200, "once for each resource"


@checks("odd-captions")
async def odd_captions(visitor: Visitor) -> None:
    tracks = (await visitor.json(f"/videos/{visitor.video_id}/captions.json"))["captions"]
    assert "../../../users/self" in [track["language"] for track in tracks]


@checks("caption-html", "caption-text")
async def caption_text(visitor: Visitor) -> None:
    visitor.emulator.world.finish_caption(visitor.video_id, "en-00")
    path = f"/videos/{visitor.video_id}/captions/en-00/vtt"
    said = await visitor.call(path)
    assert said.status == 200
    assert not said.body.startswith(b"WEBVTT")
    assert (await visitor.call(path)).body.startswith(b"WEBVTT")


@checks("swap-mid-body")
async def swap_mid_body(visitor: Visitor) -> None:
    url, old = await visitor.address(), visitor.truth()
    await read_until_cut(url)
    said = await visitor.fetch(url)
    assert said.body == visitor.truth() != old
    assert len(said.body) == len(old)


@checks("stall")
async def stall(visitor: Visitor) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await visitor.fetch(await visitor.address())


@checks("chunked")
async def chunked(visitor: Visitor) -> None:
    said = await visitor.fetch(await visitor.address())
    assert "Content-Length" not in said.headers
    assert said.body == visitor.truth()


@checks("gzip")
async def gzipped(visitor: Visitor) -> None:
    said = await visitor.fetch(await visitor.address(), Accept_Encoding="identity")
    assert said.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(said.body) == visitor.truth()


@checks("slow")
async def slow(visitor: Visitor) -> None:
    url, began = await visitor.address(), time.perf_counter()
    assert (await visitor.fetch(url)).body == visitor.truth()
    assert time.perf_counter() - began > 0.1


@checks("no-etag", "weak-etag", "etag-per-request", "no-last-modified")
async def validators(visitor: Visitor) -> None:
    url = await visitor.address()
    one, two = await visitor.fetch(url), await visitor.fetch(url)
    strong = visitor.emulator.world.content(visitor.video_id, "mp4").etag
    etags = one.headers.get("ETag"), two.headers.get("ETag")
    changed = etags in ((None, None), (f"W/{strong}", f"W/{strong}")) or etags[0] != etags[1]
    assert changed or "Last-Modified" not in one.headers


@pytest.mark.parametrize("name", list(FAULTS))
def test_the_fault_fires_and_is_counted(name: str) -> None:
    async def story() -> None:
        settings = {"slow_answer_s": 0.05, "slow_bytes_s": 600_000.0, "videos": 6}
        async with visit(faults=(name,), **settings) as visitor:
            await CHECKS[name](visitor)
            assert visitor.emulator.stats["faults"].get(name, 0) >= 1
            assert set(visitor.emulator.stats["faults"]) == {name}
            assert visitor.emulator.stats["credential_leaks"] == 0

    asyncio.run(story())


def test_a_specification_says_how_often() -> None:
    def struck(spec: str, *resources: str) -> list[bool]:
        faults = Faults([spec], seed=3)
        return [faults.strikes("html", resource) for resource in resources]

    assert struck("html", "a", "a", "b", "a") == [True, False, True, False]
    assert struck("html*2", "a", "a", "b", "c") == [True, True, False, False]
    assert struck("html!", "a", "a", "b") == [True, True, True]
    assert struck("html@12", "/videos/12.json", "/videos/123.json") == [True, False]
    assert 20 < sum(struck("html:0.3", *"a" * 100)) < 40


def test_an_endless_fault_holds_for_what_it_struck() -> None:
    faults = Faults(["denied*1", "no-etag:0.5"], seed=1)
    assert [faults.strikes("denied", resource) for resource in "abaab"] == [
        True,
        False,
        True,
        True,
        False,
    ]
    first = [faults.strikes("no-etag", resource) for resource in "abcdefgh"]
    assert [faults.strikes("no-etag", resource) for resource in "abcdefgh"] == first
    assert len(set(first)) == 2


@pytest.mark.parametrize("spec", ["nonsense", "html:x", "html**", ""])
def test_a_wrong_specification_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        parse(spec)
