"""Bodies that go from the transport straight into the part, by each kind of transport."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiohttp.client_proto import ResponseHandler

from archiver.adapters.clock import SystemClock
from archiver.adapters.download_body import Limits
from archiver.adapters.download_intake import Intake
from archiver.adapters.download_stream import Stream
from archiver.adapters.throttle import Throttle
from archiver.core.model import NOTHING, Link
from archiver.errors import BrokenError, CorruptError, DestinationError
from tests.wire.download_bench import LOCAL, Bench, FilePart, bench, trusted, video
from tests.wire.raw_server import File, Reply, Request, chunked, cut, in_turn, reply

ROOM = 40_000  # of the bench's part
LONG = 3_000_000  # more than the sockets between the two hold at once
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
WAYS = pytest.mark.parametrize("way", [f"{s} {loop}" for loop in LOOPS for s in ("http", "https")])


def on(way: str, tmp_path: Path, handler: Any, body: Any, **more: Any) -> None:
    """Run *body* with a bench, over TLS or not, on Python's own loop or the faster one."""
    scheme, loop = way.split()
    tls, account = trusted(tmp_path, "127.0.0.1") if scheme == "https" else (None, LOCAL)
    bench(tmp_path, handler, body, tls=tls, account=account, loop_factory=LOOPS[loop], **more)


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[Stream]:
    """Every stream that ran: without one, a test of them would say nothing."""
    ran: list[Stream] = []
    honest = Stream.run

    async def run(self: Stream, throttle: Throttle) -> None:
        ran.append(self)
        await honest(self, throttle)

    monkeypatch.setattr(Stream, "run", run)
    return ran


@WAYS
def test_one_connection_brings_one_file_after_the_other(
    way: str, tmp_path: Path, streams: list[Stream]
) -> None:
    """Of every length around the room's, so that the end comes at each place of it."""
    sizes = [LONG, LONG - LONG % ROOM, LONG - LONG % ROOM + 1, LONG - LONG % ROOM - 1, 17]
    files = {
        f"/{length}": video(length, length) if length > 17 else bytes(range(17)) for length in sizes
    }

    async def body(b: Bench) -> None:
        for name, content in files.items():
            b.part = FilePart(tmp_path / "next")
            before = b.told.count
            saved = await b.fetch(url=b.server.url.replace("/file.mp4", name))
            assert (b.content == content, saved.total) == (True, len(content))
            assert b.told.count - before == len(content)
            await b.part.close()
        assert b.server.connections == 1

    def handler(request: Request) -> Reply:
        return reply(200, files[request.target.partition("?")[0]])

    on(way, tmp_path, handler, body)
    assert len(streams) >= len(files) - 1


@WAYS
def test_a_byte_too_many_breaks_the_transfer(
    way: str, tmp_path: Path, streams: list[Stream]
) -> None:
    """D29: it is seen with the last byte, and the connection is not used again."""
    content = video(LONG)

    async def body(b: Bench) -> None:
        with pytest.raises(CorruptError, match="more than it had announced"):
            await b.fetch()
        b.part = FilePart(tmp_path / "again")
        await b.fetch()
        assert b.content == content
        assert b.server.connections == 2

    whole = reply(200, content)
    on(way, tmp_path, in_turn(Reply(whole.raw + b"!"), whole), body)
    assert streams


@WAYS
def test_an_answer_to_nothing_is_never_the_next_files(
    way: str, tmp_path: Path, streams: list[Stream]
) -> None:
    """A43: a second answer right behind the first: it belongs to no question."""
    content, other = video(LONG), video(LONG, seed=2)
    whole = reply(200, content)

    async def body(b: Bench) -> None:
        with pytest.raises(CorruptError):
            await b.fetch()
        b.part = FilePart(tmp_path / "again")
        await b.fetch()
        assert b.content == content

    on(way, tmp_path, in_turn(Reply(whole.raw + reply(200, other).raw), whole), body)
    assert streams


@WAYS
@pytest.mark.parametrize("then", ["close", "reset"])
def test_what_came_before_a_break_is_kept(
    way: str, then: Any, tmp_path: Path, streams: list[Stream]
) -> None:
    """D01, D04: it is durable and recorded, and the next answer goes on behind it."""
    file = File(video(LONG))

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError, match="broke off"):
            await b.fetch()
        kept = b.last
        assert 0 < kept.bytes == b.part.durable
        assert b.content[: kept.bytes] == file.content[: kept.bytes]
        saved = await b.fetch(kept)
        assert (saved.total, b.content == file.content) == (LONG, True)
        asked = b.server.requests[-1].start
        assert asked == kept.bytes - 64 * 1024  # the last stretch is compared

    on(way, tmp_path, in_turn(lambda r: cut(file(r), 2_000_000, then), file), body)
    assert len(streams) == 2


@WAYS
def test_a_host_that_falls_silent_is_left(way: str, tmp_path: Path, streams: list[Stream]) -> None:
    """D02: what came before is kept."""
    file = File(video(LONG))

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError, match=r"no byte for 0\.2 s"):
            await b.fetch()
        assert b.last.bytes == b.told.count == 2_000_000

    answer = cut(file(Request("GET", "/", {}, 0)), 2_000_000, "stall")
    on(way, tmp_path, in_turn(answer), body, limits=Limits(stall_s=0.2))
    assert streams


@WAYS
def test_a_disk_that_refuses_ends_the_transfer(
    way: str, tmp_path: Path, streams: list[Stream]
) -> None:
    """L01: at once, and nothing is synced after it."""

    class Full(FilePart):
        syncs = 0

        def filled(self, count: int) -> None:
            self.full = self.offset > 1_000_000
            super().filled(count)

        async def sync(self) -> int:
            self.syncs += 1
            return await super().sync()

    async def body(b: Bench) -> None:
        b.part = full = Full(tmp_path / "full")
        with pytest.raises(DestinationError, match="disk is full"):
            await b.fetch()
        assert (full.syncs, b.told.reported) == (0, [])
        await gone(b)

    on(way, tmp_path, File(video(LONG)), body)
    assert streams


@WAYS
def test_a_cancelled_transfer_keeps_what_came_and_leaves_no_connection(
    way: str, tmp_path: Path, streams: list[Stream]
) -> None:
    """L29: and nothing is written after its end."""

    async def body(b: Bench) -> None:
        task = asyncio.create_task(b.fetch())
        while b.told.count < 1_000_000:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert b.last.bytes == b.part.durable == b.part.offset
        await gone(b)
        assert b.part.offset == b.last.bytes

    answer = cut(reply(200, video(LONG)), 2_000_000, "stall")
    on(way, tmp_path, lambda _: answer, body)
    assert streams


@WAYS
def test_a_long_file_is_synced_under_way(way: str, tmp_path: Path, streams: list[Stream]) -> None:
    """Reading rests for each sync, and goes on behind it."""
    content = video(LONG)

    async def body(b: Bench) -> None:
        await b.fetch()
        assert b.content == content
        stretches = [saved.bytes for saved in b.told.reported]
        assert len(stretches) > 5
        assert stretches == sorted(stretches)

    on(way, tmp_path, File(content), body, limits=Limits(sync_bytes=400_000))
    assert streams


@WAYS
def test_a_limit_is_paid_read_by_read(way: str, tmp_path: Path, streams: list[Stream]) -> None:
    """Every byte is paid for, once, and before the next is read."""
    paid: list[int] = []

    class Till(Throttle):
        async def pay(self, count: int) -> bool:
            paid.append(count)
            await asyncio.sleep(0)
            return True

    async def body(b: Bench) -> None:
        await b.fetch()
        assert b.content == content
        assert sum(paid) == LONG
        assert max(paid) < LONG / 2

    content = video(LONG)
    on(way, tmp_path, File(content), body, throttle=Till(1.0, SystemClock()))
    assert streams


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_wrong_with_the_next_answer_is_not_the_last_ones(loop: str, tmp_path: Path) -> None:
    """A43: a body has ended, and waits for our own limit; its connection is another's by then."""
    content, idle = video(LONG // 10), list[ResponseHandler]()

    class Till(Throttle):
        left = len(content)

        async def pay(self, count: int) -> bool:
            self.left -= count
            while not self.left and not (idle and idle[0].exception()):
                await asyncio.sleep(0)
            return False

    async def body(b: Bench) -> None:
        task = asyncio.create_task(b.fetch())
        connector = b.source._wire.session.connector
        assert connector is not None
        while not connector._conns:
            await asyncio.sleep(0)
        idle.extend(each for kept in connector._conns.values() for each, _ in kept)
        other = FilePart(tmp_path / "other")
        with pytest.raises(BrokenError, match="no HTTP"):
            await b.source.fetch(Link(b.server.url), NOTHING, other, b.told)
        await other.close()
        assert ((await task).total, b.content == content) == (len(content), True)
        assert b.server.connections == 2  # one for both, and one to ask for the length

    probed = reply(206, content[:1], f"Content-Range: bytes 0-0/{len(content)}")
    answers = in_turn(chunked(200, content), Reply(b"What? " * 99 + b"\r\n\r\n"), probed)
    till = Till(1.0, SystemClock())
    on(f"http {loop}", tmp_path, answers, body, throttle=till)


async def gone(b: Bench) -> None:
    """Wait until the host has nobody any more."""
    while b.server.open_connections:
        await asyncio.sleep(0)


def test_a_host_that_crawls_is_left(tmp_path: Path) -> None:
    """D03: a byte now and then is no silence, and no download either."""
    limits = Limits(slow_bytes_s=1e12, slow_over_s=0.0, sync_bytes=100_000)

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError, match="bytes a second"):
            await b.fetch()

    bench(tmp_path, File(video(LONG)), body, limits=limits)


class Ahead(asyncio.SelectorEventLoop):
    """A loop whose clock a test puts forward."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


def test_who_has_brought_everything_has_not_crawled(tmp_path: Path) -> None:
    """D03: the last byte is here, however long it took."""
    loop = Ahead()

    class Slow(FilePart):
        def filled(self, count: int) -> None:
            super().filled(count)
            if self.offset == LONG:
                loop.ahead_s += 100.0

    async def body(b: Bench) -> None:
        b.part = Slow(tmp_path / "slow")
        assert (await b.fetch()).total == LONG

    limits = Limits(slow_bytes_s=1e6, slow_over_s=60.0, sync_s=1000.0)
    bench(tmp_path, File(video(LONG)), body, limits=limits, loop_factory=lambda: loop)


class Slow(FilePart):
    """A part on a disk that takes its time: a sync ends when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.syncs, self.may_end = 0, asyncio.Event()

    async def sync(self) -> int:
        """Make durable what came before, as the system does."""
        self.write()
        self.syncs, written = self.syncs + 1, self.offset
        await self.may_end.wait()
        self.durable = written
        return written


@WAYS
def test_bytes_go_on_coming_during_a_sync_until_too_many_would_count_for_nothing(
    way: str, tmp_path: Path, streams: list[Stream]
) -> None:
    """L19: a kill costs at most ``sync_bytes``, however slow the disk is."""
    content, most = video(LONG), 1_000_000

    async def body(b: Bench) -> None:
        b.part = slow = Slow(tmp_path / "slow")
        task = asyncio.create_task(b.fetch())
        while not slow.syncs or slow.offset < most * 3 // 4:
            await asyncio.sleep(0)
        assert slow.syncs == 1  # it began at half of it, and has not ended
        for _ in range(200):
            await asyncio.sleep(0)
        assert slow.offset - slow.durable <= most
        assert b.told.reported == []
        slow.may_end.set()
        assert (await task).total == LONG
        assert b.content == content
        assert [each.bytes for each in b.told.reported] == sorted({
            each.bytes for each in b.told.reported
        })  # fmt: skip

    on(way, tmp_path, File(content), body, limits=Limits(sync_bytes=most))
    assert len(streams) == 1


def test_a_sync_that_fails_ends_a_transfer_whose_host_is_silent(tmp_path: Path) -> None:
    """L03: not told later, as the host's fault."""

    class Failing(Slow):
        async def sync(self) -> int:
            await super().sync()
            raise DestinationError("The disk gave an error.")

    async def body(b: Bench) -> None:
        b.part = failing = Failing(tmp_path / "failing")
        task = asyncio.create_task(b.fetch())
        while failing.offset < LONG // 2:
            await asyncio.sleep(0)
        failing.may_end.set()
        with pytest.raises(DestinationError, match="gave an error"):
            await task
        assert (failing.syncs, b.told.reported) == (1, [])

    answer = cut(reply(200, video(LONG)), LONG // 2 + 1000, "stall")
    bench(tmp_path, lambda _: answer, body, limits=Limits(sync_bytes=LONG, stall_s=1000.0))


def test_no_sync_outlives_its_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D29: what it would report then would be of a version that is given up."""
    honest = Intake.give_up

    async def body(b: Bench) -> None:
        b.part = slow = Slow(tmp_path / "slow")

        async def give_up(self: Intake) -> None:
            assert (slow.syncs, b.told.reported) == (1, [])
            slow.may_end.set()
            await honest(self)

        monkeypatch.setattr(Intake, "give_up", give_up)
        with pytest.raises(CorruptError, match="more than it had announced"):
            await b.fetch()
        assert len(b.told.reported) == 1

    answer = reply(200, video(LONG) + b"more", length=LONG)
    bench(tmp_path, lambda _: answer, body, limits=Limits(sync_bytes=LONG * 15 // 10))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_disk_that_holds_the_thread_up_is_not_the_hosts_silence(
    loop: str, tmp_path: Path
) -> None:
    """D02: what came meanwhile lies unread in the system."""

    class Held(FilePart):
        is_held = False

        def filled(self, count: int) -> None:
            super().filled(count)
            if self.offset > 1_000_000 and not self.is_held:
                self.is_held = True
                threading.Event().wait(0.25)  # for nothing: as in a call to a disk that starts up

    async def body(b: Bench) -> None:
        # The system has less at a time than there is room: one read a turn.
        b.part = held = Held(tmp_path / "held", room=2 * LONG)
        await b.fetch()
        assert (b.content == content, held.is_held) == (True, True)

    content = video(LONG)
    on(f"http {loop}", tmp_path, File(content), body, limits=Limits(stall_s=0.1))


@WAYS
def test_who_ends_late_leaves_the_connection_to_the_next(
    way: str, tmp_path: Path, streams: list[Stream]
) -> None:
    """L29: cancelled in the last sync: the connection is in the pool, or another's by then."""
    content = video(LONG)

    async def body(b: Bench) -> None:
        b.part = slow = Slow(tmp_path / "slow")
        task = asyncio.create_task(b.fetch())
        while slow.offset < LONG or not slow.syncs:  # it begins a turn after it is due
            await asyncio.sleep(0)
        assert slow.syncs == 1
        task.cancel()
        slow.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await slow.close()
        b.part = FilePart(tmp_path / "next")
        await b.fetch()
        assert b.content == content
        assert b.server.connections == 1

    on(way, tmp_path, File(content), body, limits=Limits(sync_bytes=LONG * 15 // 10))
    assert len(streams) == 2
