"""Connections in memory, for a simulated loop: late, narrow, bounded, and broken where a test says.

Both ends of a pair are what asyncio promises of a transport: writing is held up where the other
side does not read (``pause_writing``), reading can be held up, an end comes after the last byte,
and after ``connection_lost`` nothing more happens.  The protocol may take its bytes as they are
(``data_received``) or into a room of its own (``BufferedProtocol``), and may be changed.
"""

from __future__ import annotations

import asyncio
import errno
import random
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from tests.sim.loop import APART_S, SimLoop

Heard = Callable[[str, int], None]
HIGH_BYTES = 64 * 1024  # of what is written and not yet under way: asyncio's own default


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a connection.

    Attributes:
        latency_s: least and most time that a segment is under way; none overtakes another.
        bytes_s: rate of this direction alone; infinity: only the latency counts.
        segment_bytes: how much arrives at a time.
        window_bytes: how much may be under way or unread: then the writer has to wait.
        reset_at: after so many bytes the connection breaks, for both.
        stall_at: after so many bytes nothing moves for ``stall_s``.
        stall_s: seconds; infinity: nothing of this direction ever arrives again.
    """

    latency_s: tuple[float, float] = (0.005, 0.08)
    bytes_s: float = float("inf")
    segment_bytes: int = 64 * 1024
    window_bytes: int = 256 * 1024
    reset_at: int | None = None
    stall_at: int | None = None
    stall_s: float = 0.0


WAY = Way()


class MemoryTransport(asyncio.Transport):
    """One end of a connection.  ``join`` makes both."""

    def __init__(
        self,
        loop: SimLoop,
        protocol: asyncio.BaseProtocol,
        way: Way,
        chance: random.Random,
        context: Context,
        extra: dict[str, Any],
    ) -> None:
        super().__init__(extra)
        self._loop, self._protocol, self._way = loop, protocol, way
        self._chance, self._context = chance, context
        self._peer = self  # until it is joined
        self._heard: Heard = _nobody
        self._name = ""
        # What goes out
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = self._under_way = self._sent = 0
        self._arrives_at, self._stalled = 0.0, False
        self._high, self._low, self._writing_held = HIGH_BYTES, HIGH_BYTES // 4, False
        self._ends = self._end_sent = False
        # What comes in
        self._unread: deque[memoryview] = deque()
        self._reading_held = self._end_came = self._end_told = False
        self._closing = self._lost = False

    # The protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    # Reading

    def is_reading(self) -> bool:
        return not (self._reading_held or self._closing or self._end_told)

    def pause_reading(self) -> None:
        self._reading_held = True

    def resume_reading(self) -> None:
        if self._reading_held and not self._closing:
            self._reading_held = False
            self._soon(self._deliver)

    # Writing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_BYTES if low is None else 4 * low
        low = high // 4 if low is None else low
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._waiting_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if self._closing:
            return
        if self._ends:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data:
            return
        self._waiting.append(memoryview(bytes(data)))
        self._waiting_bytes += len(data)
        self._send()
        if self._waiting_bytes > self._high and not self._writing_held:
            self._writing_held = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not (self._ends or self._closing):
            self._ends = True
            self._send()

    # Ends

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """End in good order: what was written still goes out."""
        if not self._closing:
            self._closing = self._ends = True
            self._send()

    def abort(self) -> None:
        """Break off: the other side hears of a reset, and of nothing that was not sent yet."""
        if not self._end_sent and not self._lost:
            self._later(self._peer, self._peer._break, _reset())
        self._closing = True
        self._soon(self._lose, None)

    def vanish(self) -> None:
        """Be gone at once, as when the process is killed: not one byte more is read or sent."""
        if not self._lost:
            self._closing, self._way = True, Way(self._way.latency_s, window_bytes=0)
            self._later(self._peer, self._peer._break, _reset())
            self._soon(self._lose, _reset())

    def hold(self, seconds: float) -> None:
        """Let nothing more arrive for so long, on either side."""
        for end in (self, self._peer):
            end._arrives_at = max(end._arrives_at, self._loop.time()) + seconds

    # The line

    def _send(self) -> None:
        """Put on the way what the window allows; told again whenever something was read."""
        way = self._way
        while self._waiting and not self._lost and self._under_way < way.window_bytes:
            if way.reset_at is not None and self._sent >= way.reset_at:
                self._tear()
                return
            size = min(len(self._waiting[0]), way.segment_bytes, way.window_bytes - self._under_way)
            for mark in (way.reset_at, way.stall_at):
                if mark is not None and mark > self._sent:
                    size = min(size, mark - self._sent)
            self._put(size)
        if self._writing_held and self._waiting_bytes <= self._low:
            self._writing_held = False
            self._protocol.resume_writing()
        if self._ends and not self._waiting and not self._lost:
            self._say_the_end()

    def _say_the_end(self) -> None:
        """The last byte is on its way: let the end follow it, once."""
        if not self._end_sent:
            self._end_sent = True
            # Closing over bytes that nobody read is a reset, as a kernel sees it.
            torn = self._closing and self._unread
            peer = self._peer
            self._later(peer, *((peer._break, _reset()) if torn else (peer._ended,)))
        if self._closing:
            self._soon(self._lose, None)

    def _put(self, size: int) -> None:
        """One segment."""
        way, first = self._way, self._waiting.popleft()
        if len(first) > size:
            self._waiting.appendleft(first[size:])
        if way.stall_at is not None and self._sent >= way.stall_at and not self._stalled:
            self._stalled = True
            self._arrives_at = max(self._arrives_at, self._loop.time()) + way.stall_s
        self._waiting_bytes -= size
        self._under_way += size
        self._sent += size
        self._later(self._peer, self._peer._arrived, first[:size], line_s=size / way.bytes_s)

    def _tear(self) -> None:
        """The connection breaks in the middle; each side hears of it in its own time."""
        self._later(self._peer, self._peer._break, _reset())
        self._loop.call_later(
            self._chance.uniform(*self._way.latency_s), self._break, _reset(), context=self._context
        )
        self._way = Way(self._way.latency_s, window_bytes=0)

    def _later(
        self, end: MemoryTransport, what: Callable[..., None], *arguments: Any, line_s: float = 0.0
    ) -> None:
        """Let something happen at an end, in order with all that was sent from here before.

        Args:
            line_s: the time on the line, beside the latency.
        """
        arrives_at = self._loop.time() + self._chance.uniform(*self._way.latency_s)
        self._arrives_at = max(self._arrives_at + APART_S, arrives_at) + line_s
        if self._arrives_at < float("inf"):
            self._loop.call_at(self._arrives_at, what, *arguments, context=end._context)

    def _soon(self, what: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_soon(what, *arguments, context=self._context)

    # Arrivals

    def _arrived(self, segment: memoryview) -> None:
        if self._closing:
            # What comes to a closed end is answered with a reset, as a kernel does.
            self._later(self._peer, self._peer._break, _reset())
            return
        self._unread.append(segment)
        self._deliver()

    def _ended(self) -> None:
        self._end_came = True
        self._deliver()

    def _deliver(self) -> None:
        taken = 0
        while self._unread and self.is_reading():
            segment = self._unread.popleft()
            self._heard(self._name, len(segment))
            taken += self._hand_over(segment)
        if taken:
            peer = self._peer
            peer._under_way -= taken
            if peer._waiting or peer._writing_held or peer._ends:
                peer._soon(peer._send)
        if self._end_came and not self._unread and self.is_reading():
            self._end_told = True
            stays_open = (
                isinstance(self._protocol, (asyncio.Protocol, asyncio.BufferedProtocol))
                and self._protocol.eof_received()
            )
            if not stays_open:
                self.close()

    def _hand_over(self, segment: memoryview) -> int:
        """Give a segment to the protocol, or as much of it as it has room for."""
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            assert isinstance(protocol, asyncio.Protocol)
            protocol.data_received(bytes(segment))
            return len(segment)
        room = memoryview(protocol.get_buffer(len(segment)))
        if not room:
            raise RuntimeError("get_buffer() returned an empty buffer")
        size = min(len(room), len(segment))
        room[:size] = segment[:size]
        if size < len(segment):
            self._unread.appendleft(segment[size:])
        protocol.buffer_updated(size)
        return size

    def _break(self, error: OSError) -> None:
        """A reset arrives: nothing that is unread counts any more."""
        self._closing = True
        self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._unread.clear()
            self._waiting.clear()
            self._waiting_bytes = 0
            self._protocol.connection_lost(error)


@dataclass(frozen=True, slots=True)
class Pair:
    """A connection: the end that asked for it, and the one that was called."""

    client: MemoryTransport
    server: MemoryTransport


def join(
    loop: SimLoop,
    client: tuple[asyncio.BaseProtocol, Context],
    server: tuple[asyncio.BaseProtocol, Context],
    ways: tuple[Way, Way] = (WAY, WAY),
    chance: random.Random | None = None,
    heard: Heard | None = None,
    name: str = "",
) -> Pair:
    """Connect two protocols, each with the context that its callbacks run in.

    Args:
        ways: from the client to the server, and back.
        chance: of the latencies.
        heard: told of every segment that is read: by which end, and its length.
        name: what the ends are called there, with ``<`` for the client and ``>`` for the server.
    """
    chance = chance or random.Random(0)
    here, there = ("203.0.113.7", 50_000), ("203.0.113.9", 443)
    ends = Pair(
        MemoryTransport(loop, *_of(client, ways[0], chance), {"peername": there, "sockname": here}),
        MemoryTransport(loop, *_of(server, ways[1], chance), {"peername": here, "sockname": there}),
    )
    ends.client._peer, ends.server._peer = ends.server, ends.client
    ends.client._name, ends.server._name = f"{name}<", f"{name}>"
    ends.client._heard = ends.server._heard = heard or _nobody
    server[1].run(server[0].connection_made, ends.server)
    client[1].run(client[0].connection_made, ends.client)
    return ends


def _of(
    end: tuple[asyncio.BaseProtocol, Context], way: Way, chance: random.Random
) -> tuple[asyncio.BaseProtocol, Way, random.Random, Context]:
    return end[0], way, chance, end[1]


def _nobody(_end: str, _count: int) -> None:
    """Hears it."""


def _reset() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
