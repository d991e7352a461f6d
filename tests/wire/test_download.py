"""The transfer itself: breaks, silences, ends that are none, real sockets and a real file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.adapters.download_body import Limits
from archiver.adapters.download_transfer import fingerprint
from archiver.core.model import NOTHING, Link, Saved
from archiver.core.resume import OVERLAP_BYTES, SURE_BYTES
from archiver.errors import (
    BrokenError,
    DestinationError,
    WeatherError,
)
from tests.wire.download_bench import SIZE, Bench, bench, video
from tests.wire.raw_server import File, Handler, Reply, Request, Then, chunked, cut, in_turn, reply


def test_an_undisturbed_download_is_one_plain_get(tmp_path: Path) -> None:
    """One GET, no HEAD, no Range, no secret, the query untouched; every byte arrives."""
    content = video()

    async def body(b: Bench) -> None:
        saved = await b.fetch()
        assert b.content == content
        assert saved == Saved(SIZE, SIZE, '"one"', None, fingerprint(b.server.url))
        assert b.told.count == SIZE
        (request,) = b.server.requests
        assert request.method == "GET"
        assert request.target == "/file.mp4?signature=s3cr%2Ft&b=%7E"
        assert request.headers["accept-encoding"] == "identity"
        assert set(request.headers) <= {
            "host", "accept", "accept-encoding", "user-agent", "",
        }  # fmt: skip

    bench(tmp_path, File(content), body)


@pytest.mark.parametrize("cut_at", [1, 65_536, 131_072, 262_144, SIZE - 1])
def test_a_reset_loses_nothing_that_is_durable(tmp_path: Path, cut_at: int) -> None:
    """D01: the transfer goes on where it was, and the file is exact."""
    content = video()
    file = File(content)

    async def body(b: Bench) -> None:
        with pytest.raises((BrokenError, WeatherError)):
            await b.fetch()
        kept = b.last if b.told.reported else NOTHING
        assert b.content[: kept.bytes] == content[: kept.bytes]
        saved = await b.fetch(kept)
        assert b.content == content
        assert saved.bytes == saved.total == SIZE

    bench(tmp_path, in_turn(lambda r: cut(file(r), cut_at), file), body)


BREAKS = st.lists(
    st.tuples(
        st.one_of(
            st.integers(-40, SIZE - 1),  # negative: within the head
            st.sampled_from([0, 1, 65_535, 65_536, 131_072, 262_144, SIZE - 1]),
        ),
        st.sampled_from(["reset", "close"]),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=15)
@given(breaks=BREAKS, etag=st.sampled_from(['"one"', None]))
def test_a_file_is_exact_wherever_it_breaks(
    tmp_path_factory: pytest.TempPathFactory, breaks: list[tuple[int, Then]], etag: str | None
) -> None:
    """D01: any number of breaks at any byte, of the head too; each costs the overlap at most."""
    content = video()
    file = File(content, etag)

    async def body(b: Bench) -> None:
        kept, cost, saved = NOTHING, SIZE, NOTHING
        for _ in range(len(breaks) + 1):
            try:
                saved = await b.fetch(kept)
                break  # a GET that was cut off before its head is sent again by the library
            except (BrokenError, WeatherError):
                kept = b.last if b.told.reported else NOTHING
                assert b.content[: kept.bytes] == content[: kept.bytes]
                # Without a strong ETag less than a MiB is not worth a comparison; and the first
                # few bytes are not kept before there are enough to tell a video from a page.
                cost += SURE_BYTES + (OVERLAP_BYTES if etag else kept.bytes)
        assert b.content == content
        assert saved.bytes == saved.total == SIZE
        assert b.told.count <= cost

    def at(place: int, then: Then) -> Handler:
        def broken(request: Request) -> Reply:
            answer = file(request)
            body_bytes = len(answer.raw) - answer.raw.index(b"\r\n\r\n") - 4
            return cut(answer, min(place, body_bytes - 1), then)

        return broken

    answers = in_turn(*(at(*each) for each in breaks), file)
    bench(tmp_path_factory.mktemp("breaks"), answers, body)


@pytest.mark.parametrize("length", ["announced", "chunked"])
def test_nothing_that_came_before_a_break_is_lost(tmp_path: Path, length: str) -> None:
    """D04: the library would drop what it holds of it; all that the host sent is kept."""
    content, sent = video(), SIZE - 7
    whole = reply(200, content, 'ETag: "one"')
    if length == "chunked":
        broken = chunked(200, content[:sent], end=False)
    else:
        broken = cut(whole, sent, "close")

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError):
            await b.fetch()
        assert b.last.bytes == sent
        assert b.content == content[:sent]

    bench(tmp_path, in_turn(broken), body)


def test_a_broken_transfer_keeps_what_came(tmp_path: Path) -> None:
    """D04: bytes before an early end are synced and recorded, and only the rest is fetched."""
    content = video()
    file = File(content)

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError):
            await b.fetch()
        assert b.last.bytes == b.part.durable >= 200_000 - 131_072
        b.told.count = 0
        kept = b.last
        await b.fetch(kept)
        assert b.content == content
        assert b.told.count == SIZE - kept.bytes + OVERLAP_BYTES
        assert b.server.requests[1].headers["if-range"] == '"one"'

    bench(tmp_path, in_turn(lambda r: cut(file(r), 200_000, "stall"), file), body,
          limits=Limits(stall_s=0.2))  # fmt: skip


def test_a_reset_before_the_answer_is_weather(tmp_path: Path) -> None:
    """D01: nothing of the file came; the host is in trouble, not the file."""

    async def body(b: Bench) -> None:
        with pytest.raises(WeatherError) as caught:
            await b.fetch()
        assert caught.value.host == f"http://127.0.0.1:{b.server.port}"
        assert "signature" not in str(caught.value)

    bench(tmp_path, lambda r: Reply(b"HTTP/1.1 200 O", "reset"), body)


def test_a_silent_host_breaks_the_transfer(tmp_path: Path) -> None:
    """D02: no byte for the stall time ends it, before the head as weather."""
    limits = Limits(stall_s=0.1)

    async def before(b: Bench) -> None:
        with pytest.raises(WeatherError):
            await b.fetch()

    bench(tmp_path, lambda r: Reply(b"HTTP/1.1 200 OK\r\n", "stall"), before, limits=limits)

    async def after(b: Bench) -> None:
        with pytest.raises(BrokenError, match=r"no byte for 0\.1 s"):
            await b.fetch()

    bench(tmp_path, lambda r: cut(reply(200, video()), 10, "stall"), after, limits=limits)


def test_a_crawling_host_is_left(tmp_path: Path) -> None:
    """D03: a rate below the least one, over the time it is measured, ends the transfer."""
    limits = Limits(slow_bytes_s=1e12, slow_over_s=0.0)

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError, match="bytes a second"):
            await b.fetch()

    bench(tmp_path, File(video()), body, limits=limits)


@pytest.mark.parametrize("framing", ["close", "chunked"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_body_without_a_length_is_complete_when_the_host_confirms_it(
    tmp_path: Path, framing: str, ranges: bool
) -> None:
    """D05, D06: the length is asked for; a host without ranges still says it in its head."""
    content = video()
    whole = (
        reply(200, content, then="close", length=None)
        if framing == "close"
        else chunked(200, content[:1000], content[1000:])
    )

    async def body(b: Bench) -> None:
        saved = await b.fetch()
        assert b.content == content
        assert saved.total == saved.bytes == SIZE
        assert not saved.measured
        assert [r.headers.get("range") for r in b.server.requests] == [None, "bytes=0-0"]

    bench(tmp_path, in_turn(whole, File(content, ranges=ranges)), body)


@pytest.mark.parametrize("framing", ["close", "chunked"])
def test_a_body_that_ends_too_early_without_a_length_is_no_file(
    tmp_path: Path, framing: str
) -> None:
    """D05, D06: the end of the line is not the end of the file; what came is kept."""
    content = video()
    short = content[:200_000]
    first = (
        reply(200, short, 'ETag: "one"', then="close", length=None)
        if framing == "close"
        else chunked(200, short)
    )

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError, match="200000 of 300000"):
            await b.fetch()
        assert (b.last.bytes, b.last.total) == (200_000, SIZE)
        saved = await b.fetch(b.last)
        assert b.content == content
        assert saved.total == SIZE

    bench(tmp_path, in_turn(first, File(content), File(content)), body)


def test_a_host_that_never_says_a_length_leaves_it_to_the_check(tmp_path: Path) -> None:
    """D05: without any length the body's end is the file's, for the container's walk to judge."""
    content = video()

    async def body(b: Bench) -> None:
        saved = await b.fetch()
        assert saved.total == saved.bytes == SIZE
        assert saved.measured

    bench(tmp_path, lambda r: chunked(200, content), body)


def test_chunks_without_their_end_are_broken(tmp_path: Path) -> None:
    """D06: a chunked body that just stops is no end at all."""

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError):
            await b.fetch()
        assert b.content[: b.last.bytes] == video()[: b.last.bytes]

    bench(tmp_path, in_turn(chunked(200, video(), end=False)), body)


def test_a_full_disk_goes_up_as_it_is(tmp_path: Path) -> None:
    """L: nothing is synced after the disk refused, and nothing recorded."""

    async def body(b: Bench) -> None:
        b.part.full = True
        with pytest.raises(DestinationError):
            await b.source.fetch(Link(b.server.url), NOTHING, b.part, b.told)
        assert b.told.reported == []
        b.part.full = False

    bench(tmp_path, File(video()), body)


def test_long_transfers_are_recorded_as_they_go(tmp_path: Path) -> None:
    """Rule 3: after each stretch the ledger knows, so that a crash loses no more than that."""
    content = video()

    async def body(b: Bench) -> None:
        await b.fetch()
        kept = [saved.bytes for saved in b.told.reported]
        assert kept == sorted(kept)
        assert len(kept) >= 2
        assert all(saved.etag == '"one"' and saved.total == SIZE for saved in b.told.reported)

    bench(tmp_path, File(content), body, limits=Limits(sync_bytes=50_000))


def test_a_cancelled_transfer_keeps_what_came_and_leaves_nothing_open(tmp_path: Path) -> None:
    """An interrupt syncs and records what is there; no connection stays behind."""
    content = video()

    async def body(b: Bench) -> None:
        came = asyncio.Event()
        told = b.told.received
        b.told.received = lambda n: (told(n), came.set())  # type: ignore[method-assign, assignment, func-returns-value]
        task = asyncio.create_task(b.fetch())
        await came.wait()
        while b.told.count < 100_000:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert b.last.bytes == b.part.durable > 0
        assert b.content == content[: b.last.bytes]
        while b.server.open_connections:
            await asyncio.sleep(0)

    bench(tmp_path, lambda r: cut(reply(200, content), 100_000, "stall"), body)


def test_a_kept_connection_that_went_stale_costs_no_failure(tmp_path: Path) -> None:
    """D32: the host closes it just when it is used again; the question is asked once more."""
    content = video()
    file = File(content)
    stale = Reply(b"", "close")

    async def body(b: Bench) -> None:
        await b.fetch()
        await b.part.restart()
        assert (await b.fetch()).total == SIZE
        assert b.content == content
        assert [r.connection for r in b.server.requests] == [0, 0, 1]

    bench(tmp_path, in_turn(file, stale, file), body)


def test_a_host_that_is_always_stale_is_weather(tmp_path: Path) -> None:
    """D32: once more, and no more than that."""

    async def body(b: Bench) -> None:
        await b.fetch()
        with pytest.raises(WeatherError):
            await b.fetch()
        assert len(b.server.requests) == 3

    bench(tmp_path, in_turn(File(video()), *[Reply(b"", "close")] * 9), body)
