"""The connections in memory keep asyncio's promises, and break where they are told to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextvars import copy_context

import pytest

from tests.sim.loop import SimLoop, simulate
from tests.sim.transport import WAY, MemoryTransport, Pair, Way, join

CALM = Way(latency_s=(0.01, 0.01))


class Ear(asyncio.Protocol):
    """Keeps all that it is told."""

    def __init__(self, stays_open: bool = False) -> None:
        self.came, self.told, self.stays_open = b"", list[str](), stays_open
        self.pieces: list[int] = []
        self.error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, MemoryTransport)
        self.transport = transport
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.came += data
        self.pieces.append(len(data))

    def eof_received(self) -> bool:
        self.told.append("end")
        return self.stays_open

    def pause_writing(self) -> None:
        self.told.append("hold")

    def resume_writing(self) -> None:
        self.told.append("go on")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self.error = exc


class Room(asyncio.BufferedProtocol):
    """Takes its bytes into a room of its own, a few at a time."""

    def __init__(self, size: int) -> None:
        self.room, self.came, self.told = bytearray(size), b"", list[str]()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.room

    def buffer_updated(self, nbytes: int) -> None:
        self.came += bytes(self.room[:nbytes])

    def eof_received(self) -> None:
        self.told.append("end")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")


def both(
    client: asyncio.BaseProtocol, server: asyncio.BaseProtocol, up: Way = CALM, down: Way = CALM
) -> Pair:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    ends = (client, copy_context()), (server, copy_context())
    return join(loop, *ends, (up, down), random.Random(3))


def played(
    scene: Callable[[Ear, Ear, Pair], None], up: Way = CALM, down: Way = CALM
) -> tuple[Ear, Ear]:
    """Both ends, an hour after a scene between them began."""
    client, server = Ear(), Ear()

    async def main() -> None:
        scene(client, server, both(client, server, up, down))
        await asyncio.sleep(3600.0)

    simulate(SimLoop(), main())
    return client, server


def test_bytes_arrive_in_order_whatever_the_latency() -> None:
    sent = random.Random(1).randbytes(500_000)

    def scene(client: Ear, server: Ear, pair: Pair) -> None:
        for start in range(0, len(sent), 1000):
            pair.client.write(sent[start : start + 1000])

    for way in (WAY, Way(segment_bytes=1460), Way(window_bytes=5000), Way(bytes_s=1e5)):
        _, server = played(scene, up=way)
        assert server.came == sent


def test_a_segment_is_as_long_as_the_line_lets_it_be() -> None:
    _, server = played(
        lambda client, server, pair: pair.client.write(bytes(4000)), up=Way(segment_bytes=1460)
    )
    assert server.pieces == [1460, 1460, 1080]


def test_a_narrow_line_takes_its_time() -> None:
    async def main() -> float:
        client, server = Ear(), Ear()
        pair = both(client, server, up=Way(latency_s=(0.1, 0.1), bytes_s=1000.0))
        pair.client.write(bytes(5000))
        while len(server.came) < 5000:
            await asyncio.sleep(0.01)
        return asyncio.get_running_loop().time()

    assert simulate(SimLoop(), main()) == pytest.approx(5.1, abs=0.02)


def test_an_end_comes_after_the_last_byte() -> None:
    def scene(client: Ear, server: Ear, pair: Pair) -> None:
        pair.client.write(bytes(300_000))
        pair.client.close()

    client, server = played(scene)
    assert len(server.came) == 300_000
    assert server.told == ["made", "end", "lost"]
    assert client.told[-1] == "lost"
    assert client.error is server.error is None


def test_one_direction_may_end_before_the_other() -> None:
    client, server = Ear(), Ear(stays_open=True)

    async def main() -> None:
        pair = both(client, server)
        pair.client.write(b"question")
        pair.client.write_eof()
        with pytest.raises(RuntimeError):
            pair.client.write(b"more")
        await asyncio.sleep(1.0)
        assert server.told == ["made", "end"]
        pair.server.write(b"answer")
        pair.server.close()
        await asyncio.sleep(1.0)

    simulate(SimLoop(), main())
    assert (server.came, client.came) == (b"question", b"answer")
    assert client.told == ["made", "end", "lost"]
    assert server.told == ["made", "end", "lost"]


def test_who_does_not_read_holds_up_who_writes() -> None:
    def scene(client: Ear, server: Ear, pair: Pair) -> None:
        pair.server.pause_reading()
        assert not pair.server.is_reading()
        pair.client.write(bytes(1_000_000))
        asyncio.get_running_loop().call_later(60.0, self_check, client, server, pair)

    def self_check(client: Ear, server: Ear, pair: Pair) -> None:
        assert not server.came
        assert client.told == ["made", "hold"]
        waiting = 1_000_000 - CALM.window_bytes
        assert pair.client.get_write_buffer_size() == waiting
        pair.server.resume_reading()

    client, server = played(scene)
    assert len(server.came) == 1_000_000
    assert client.told == ["made", "hold", "go on"]


def test_the_marks_of_the_buffer_can_be_set() -> None:
    def scene(client: Ear, server: Ear, pair: Pair) -> None:
        assert pair.client.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        pair.client.set_write_buffer_limits(high=0)
        pair.client.write(bytes(CALM.window_bytes + 1))
        assert client.told == ["made", "hold"]
        with pytest.raises(ValueError, match="must be >="):
            pair.client.set_write_buffer_limits(high=1, low=2)

    client, _ = played(scene)
    assert client.told == ["made", "hold", "go on"]


def test_a_protocol_may_have_room_of_its_own() -> None:
    sent, room = random.Random(2).randbytes(200_000), Room(7_001)

    async def main() -> None:
        pair = both(Ear(), room)
        pair.client.write(sent)
        pair.client.close()
        await asyncio.sleep(60.0)

    simulate(SimLoop(), main())
    assert room.came == sent
    assert room.told == ["end", "lost"]


def test_a_protocol_may_be_changed_in_the_middle() -> None:
    first, second = Ear(), Room(100)

    async def main() -> None:
        pair = both(Ear(), first)
        pair.client.write(b"one")
        await asyncio.sleep(1.0)
        pair.server.set_protocol(second)
        assert pair.server.get_protocol() is second
        pair.client.write(b"two")
        await asyncio.sleep(1.0)

    simulate(SimLoop(), main())
    assert (first.came, second.came) == (b"one", b"two")


def test_a_connection_breaks_at_the_byte_that_was_chosen() -> None:
    def scene(client: Ear, server: Ear, pair: Pair) -> None:
        pair.client.write(bytes(1000))

    client, server = played(scene, up=Way(latency_s=(0.01, 0.01), reset_at=700))
    assert len(server.came) == 700
    assert server.told == client.told == ["made", "lost"]
    assert isinstance(server.error, ConnectionResetError)
    assert isinstance(client.error, ConnectionResetError)


def test_a_connection_that_stalls_goes_on_later() -> None:
    async def main() -> list[int]:
        server = Ear()
        pair = both(Ear(), server, up=Way(latency_s=(0.01, 0.01), stall_at=300, stall_s=100.0))
        pair.client.write(bytes(1000))
        found = []
        for _ in range(2):
            await asyncio.sleep(99.0)
            found.append(len(server.came))
        return found

    assert simulate(SimLoop(), main()) == [300, 1000]


def test_an_abort_is_a_reset_for_the_other_side() -> None:
    def scene(client: Ear, server: Ear, pair: Pair) -> None:
        pair.client.write(bytes(10))
        pair.client.abort()

    client, server = played(scene)
    assert client.told == ["made", "lost"]
    assert client.error is None
    assert isinstance(server.error, ConnectionResetError)


def test_closing_over_unread_bytes_is_a_reset_for_the_other_side() -> None:
    def scene(client: Ear, server: Ear, pair: Pair) -> None:
        pair.server.pause_reading()
        pair.client.write(bytes(10))
        asyncio.get_running_loop().call_later(1.0, pair.server.close)

    client, _ = played(scene)
    assert isinstance(client.error, ConnectionResetError)


def test_bytes_for_a_closed_end_are_answered_with_a_reset() -> None:
    client, server = Ear(stays_open=True), Ear()

    async def main() -> None:
        pair = both(client, server)
        pair.server.close()
        await asyncio.sleep(1.0)
        pair.client.write(b"anybody there?")
        await asyncio.sleep(1.0)

    simulate(SimLoop(), main())
    assert isinstance(client.error, ConnectionResetError)


def test_a_killed_process_reads_nothing_more() -> None:
    def scene(client: Ear, server: Ear, pair: Pair) -> None:
        pair.server.write(bytes(10))
        pair.client.vanish()

    client, server = played(scene)
    assert client.told == ["made", "lost"]
    assert client.came == b""
    assert isinstance(server.error, ConnectionResetError)


def test_nothing_happens_after_the_loss() -> None:
    def scene(client: Ear, server: Ear, pair: Pair) -> None:
        pair.client.close()
        pair.client.close()
        pair.client.abort()
        pair.client.write(b"late")
        pair.client.write_eof()
        pair.client.resume_reading()

    client, server = played(scene)
    assert client.told.count("lost") == server.told.count("lost") == 1
    assert server.came == b""
