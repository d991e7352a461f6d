"""A thread that is held up hears nobody, and nobody is judged by it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from pathlib import Path

import pytest

from archiver.adapters.download_body import Limits
from archiver.adapters.download_patience import STEPS, TURNS, Patience, patiently
from archiver.core.model import NOTHING, Link
from tests.wire.download_bench import Bench, Told, bench, video
from tests.wire.raw_server import File, chunked, reply
from tests.wire.test_download_stream import LOOPS, Ahead

STEP_S = 1000.0  # beside which the test itself takes no time
CONTENT = video()
HALF = len(CONTENT) // 2


def test_time_counts_in_steps_and_from_what_was_heard_last() -> None:
    """D02: a step counts once, however late the loop comes to its end."""
    loop, gave_up = Ahead(), list[str]()

    async def steps(count: int, length_s: float = STEP_S) -> None:
        for _ in range(count):
            loop.ahead_s += length_s
            for _ in range(TURNS + 2):
                await asyncio.sleep(0)

    async def main() -> None:
        patience = Patience(STEPS * STEP_S, lambda: gave_up.append("now"))
        with patience:
            await steps(1, 500 * STEP_S)
            await steps(STEPS - 2)
            assert gave_up == []
            assert patience.waited_s == pytest.approx((STEPS - 1) * STEP_S, abs=STEP_S / 2)
            for _ in range(3):
                patience.heard()
                await steps(STEPS)
            assert gave_up == []
            await steps(1)
            assert gave_up == ["now"]
        with patience:
            await steps(STEPS - 1)
        await steps(2)
        assert gave_up == ["now"]

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_who_was_silent_for_so_long_has_had_it(loop: str) -> None:
    """The wait ends, and another may follow."""

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with patiently(0.01):
                    await asyncio.Event().wait()
            async with patiently(0.01):
                await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_the_loop_looks_once_more_before_a_host_is_judged(loop: str) -> None:
    """D02: held up in the last step of all, in which something came."""

    async def main() -> None:
        (ours, theirs), (other, others) = socket.socketpair(), socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        here = asyncio.get_running_loop()

        def hold_up() -> None:
            here.remove_reader(other)
            theirs.send(b"!")
            threading.Event().wait(0.05)  # for nothing: the last step is over by then

        async def wait_for_the_last(patience: Patience) -> None:
            while patience._left > 1:
                await asyncio.sleep(0)
            here.add_reader(other, hold_up)
            others.send(b"!")

        with theirs, other, others, contextlib.closing(writer):
            async with asyncio.TaskGroup() as tasks, patiently(0.08) as patience:
                tasks.create_task(wait_for_the_last(patience))
                assert await reader.read(1) == b"!"

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


class Halting:
    """A host that sends some bytes, waits for *more*, and holds the thread up as it sends on."""

    def __init__(self, answer: bytes, first: int, last: bytes) -> None:
        self._first, self._rest, self._last = answer[:first], answer[first:], last
        self.more = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._first)
        await self.more.wait()
        writer.write(self._rest)
        threading.Event().wait(0.25)  # for nothing: as in another's call to a disk that starts up
        await writer.drain()
        if await reader.read(65536):  # how long the file is, where the answer has not said it
            writer.write(self._last)
        writer.close()


class Asking(Told):
    """Has the host go on when half of the file came, and nothing else is on its way."""

    def __init__(self, host: Halting) -> None:
        super().__init__()
        self._host = host

    def received(self, count: int) -> None:
        super().received(count)
        if self.count == HALF:
            self._host.more.set()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("where", ["head", "pieces", "stream"])
def test_a_thread_that_is_held_up_by_another_is_not_the_hosts_silence(
    where: str, loop: str, tmp_path: Path
) -> None:
    """D02: what came meanwhile lies unread in the system."""
    halves = CONTENT[:HALF], CONTENT[HALF:]
    answer = chunked(200, *halves) if where == "pieces" else reply(200, CONTENT)
    first = 0 if where == "head" else answer.raw.index(halves[0]) + HALF

    async def body(b: Bench) -> None:
        probed = reply(206, b"x", f"Content-Range: bytes 0-0/{len(CONTENT)}")
        host = Halting(answer.raw, first, probed.raw)
        if where == "head":
            host.more.set()
        async with await asyncio.start_server(host, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            link = Link(f"http://127.0.0.1:{port}/")
            saved = await b.source.fetch(link, NOTHING, b.part, Asking(host))
            await b.part.sync()
            assert (saved.total, b.content == CONTENT) == (len(CONTENT), True)

    limits = Limits(stall_s=0.1)
    bench(tmp_path, File(CONTENT), body, limits=limits, loop_factory=LOOPS[loop])
