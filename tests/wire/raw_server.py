"""A host that sends exactly the bytes a test wants, and then closes, resets, stalls or goes on."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias

Then = Literal["keep", "close", "reset", "stall"]


@dataclass(frozen=True)
class Request:
    """A request's head as it came; ``connection`` counts from 0."""

    method: str
    target: str
    headers: Mapping[str, str]
    connection: int

    @property
    def start(self) -> int | None:
        """Where the asked range begins; None without a Range."""
        value = self.headers.get("range")
        return int(value.removeprefix("bytes=").split("-")[0]) if value else None

    @property
    def stop(self) -> int | None:
        """Where it ends (exclusive), None for the file's end."""
        last = self.headers.get("range", "-").split("-")[1]
        return int(last) + 1 if last else None


@dataclass(frozen=True)
class Reply:
    """Bytes for the line, and what comes after them."""

    raw: bytes
    then: Then = "keep"


Handler: TypeAlias = Callable[[Request], Reply]


def reply(
    status: int, body: bytes = b"", *headers: str, then: Then = "keep", length: int | None = -1
) -> Reply:
    """An answer; *length* is its Content-Length (-1: the true one, None: none)."""
    lines = [f"HTTP/1.1 {status} Whatever", *headers]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    return Reply("\r\n".join([*lines, "", ""]).encode("latin-1") + body, then)


def chunked(status: int, *pieces: bytes, end: bool = True) -> Reply:
    """An answer in chunks; without *end* the connection just closes after the last one."""
    head = f"HTTP/1.1 {status} Whatever\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return Reply(head + body + (b"0\r\n\r\n" if end else b""), "keep" if end else "close")


def cut(answer: Reply, body_bytes: int, then: Then = "reset") -> Reply:
    """*answer*, ended after so many bytes of its body (negative: within its head)."""
    head = answer.raw.index(b"\r\n\r\n") + 4
    return Reply(answer.raw[: head + body_bytes], then)


@dataclass(frozen=True)
class File:
    """A file behind a well-behaved host, and ways to make it a little less so."""

    content: bytes
    etag: str | None = '"one"'
    last_modified: str | None = None
    ranges: bool = True
    if_range: bool = True

    @property
    def fields(self) -> list[str]:
        """What it says about the file, whatever it sends of it."""
        fields = [f"ETag: {self.etag}"] if self.etag else []
        return [*fields, f"Last-Modified: {self.last_modified}"] if self.last_modified else fields

    def __call__(self, request: Request) -> Reply:
        """Answer by RFC 9110."""
        fields = self.fields
        condition = request.headers.get("if-range")
        same = condition is None or condition in (self.etag, self.last_modified)
        understood = self.ranges and (self.if_range or condition is None)
        if request.start is None or not same or not understood:
            return reply(200, self.content, *fields)
        total = len(self.content)
        if request.start >= total:
            return reply(416, b"", f"Content-Range: bytes */{total}")
        stop = min(request.stop or total, total)
        span = f"Content-Range: bytes {request.start}-{stop - 1}/{total}"
        return reply(206, self.content[request.start : stop], span, *fields)


def in_turn(*steps: Reply | Handler) -> Handler:
    """The first step answers the first request, and so on; one request too many is closed."""
    left = list(steps)

    def handler(request: Request) -> Reply:
        if not left:
            return Reply(b"", "reset")
        step = left.pop(0)
        return step if isinstance(step, Reply) else step(request)

    return handler


@dataclass
class RawServer:
    """``async with RawServer(handler) as server``: ``server.url`` leads to it."""

    handler: Handler
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    open_connections: int = 0
    connections: int = 0

    async def __aenter__(self) -> Self:
        """Listen on a port of the system's choice."""
        self._end = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Let go of whoever is still connected."""
        self._end.set()
        self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """A signed address of the only file."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/file.mp4?signature=s3cr%2Ft&b=%7E"

    def targets(self) -> Sequence[str]:
        """What was asked for, in order."""
        return [request.target for request in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number, self.connections = self.connections, self.connections + 1
        self.open_connections += 1
        try:
            while await self._exchange(reader, writer, number):
                pass
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> bool:
        ended = asyncio.ensure_future(self._end.wait())
        heard = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        await asyncio.wait({ended, heard}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not heard.done():
            heard.cancel()
            return False
        first, *lines = heard.result().decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        request = Request(method, target, headers, number)
        self.requests.append(request)
        answer = self.handler(request)
        writer.write(answer.raw)
        await writer.drain()
        if answer.then == "stall":
            gone = asyncio.ensure_future(reader.read())
            ended = asyncio.ensure_future(self._end.wait())
            await asyncio.wait({ended, gone}, return_when=asyncio.FIRST_COMPLETED)
            for each in (gone, ended):
                each.cancel()
        elif answer.then == "reset":
            if self.tls is None:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
            writer.transport.abort()
        return answer.then == "keep"
