"""How the bytes of a video leave the download host: well, or in one of the ways bodies go wrong.

Rule: a fault that ends a body early ends it at a place drawn by chance, anywhere from its first
byte to its last but one.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiohttp import web

from archiver.emulator import wire
from archiver.emulator.line import Line
from archiver.emulator.stats import Stats
from archiver.emulator.world import Version, World

BROKEN = (
    "regenerate-moov",
    "regenerate-mdat",
    "swap-mid-body",
    "reset-mid-body",
    "cut-with-length",
    "cut-without-length",
    "cut-chunked",
    "stall",
    "length-too-large",
    "length-too-small",
)
BOUNDARY = "5ce1f2c0a9"


@dataclass(slots=True)
class Reply:
    """An answer that carries the bytes [start, end) of a version.

    Attributes:
        multipart: the Content-Range inside a multipart body; "" for a plain one.
    """

    version: Version
    status: int
    start: int
    end: int
    headers: dict[str, str]
    multipart: str = ""

    @property
    def length(self) -> int:
        """Of the bytes it carries."""
        return self.end - self.start


class Bodies:
    """Sends replies.

    Args:
        world: whose faults strike.
        stats: counts bytes.
        line: what all bodies share.
        date: the Date header for a path; the library sets it where it writes the head itself.
    """

    def __init__(self, world: World, stats: Stats, line: Line, date: Callable[[str], str]) -> None:
        self._world, self._stats, self._line, self._date = world, stats, line, date
        self._chance = random.Random(f"cuts {world.config.seed}")

    async def send(self, request: web.Request, reply: Reply, resource: str) -> web.StreamResponse:
        """Sends a reply, or as much of it as the faults let through.

        Raises:
            Cut: the connection was ended on purpose.
        """
        faults = self._world.faults
        slow = faults.strikes("slow", resource)
        broken = faults.first(BROKEN, resource) if reply.length > 1 else None
        if broken is not None:
            cut_at = self._chance.randrange(reply.start + 1, reply.end)
            return await self._broken(request, reply, broken, cut_at, slow=slow)
        shape = faults.first(("chunked", "gzip"), resource)
        if reply.multipart:
            return await self._multipart(request, reply)
        if shape == "gzip":
            return await self._gzipped(request, reply)
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        if shape == "chunked":
            response.enable_chunked_encoding()
        else:
            response.content_length = reply.length
        await response.prepare(request)
        async for piece in self._pieces(reply, reply.end, slow=slow):
            await response.write(piece)
        await response.write_eof()
        if reply.end == reply.version.content.size:
            reply.version.fetched = True
        return response

    async def _pieces(self, reply: Reply, end: int, *, slow: bool = False) -> AsyncIterator[bytes]:
        """The bytes from the reply's start to ``end``, each piece when the line has time for it."""
        at, content = reply.start, reply.version.content
        slow_bytes_s = self._world.config.slow_bytes_s
        while at < end:
            chunk = min(self._line.chunk, int(slow_bytes_s / 20) + 1) if slow else self._line.chunk
            piece = content.read(at, min(end, at + chunk))
            if slow:
                await asyncio.sleep(len(piece) / slow_bytes_s)
            await self._line.wait_turn(len(piece))
            at += len(piece)
            self._stats.bytes_sent += len(piece)
            yield piece

    async def _broken(
        self, request: web.Request, reply: Reply, name: str, cut_at: int, *, slow: bool
    ) -> web.StreamResponse:
        if name == "cut-chunked":
            return await self._cut_chunked(request, reply, cut_at)
        headers = {**reply.headers, "Date": self._date(request.path), "Connection": "close"}
        length = {"length-too-large": reply.length + 1000, "length-too-small": cut_at - reply.start}
        if name != "cut-without-length":
            headers["Content-Length"] = str(length.get(name, reply.length))
        await wire.write(request, wire.header(reply.status, headers))
        until = reply.end if name in length else cut_at
        async for piece in self._pieces(reply, until, slow=slow):
            await wire.write(request, piece)
        if name == "stall":
            # Long silence; the client's going away cancels this handler.
            await asyncio.sleep(self._world.config.stall_s)
            raise wire.close(request)
        if name == "reset-mid-body":
            # A reset may overtake bytes that were sent; a moment lets the first of them arrive.
            await asyncio.sleep(0.005)
            raise wire.reset(request)
        self._change(reply.version, name)
        raise wire.close(request)

    async def _cut_chunked(
        self, request: web.Request, reply: Reply, cut_at: int
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        async for piece in self._pieces(reply, cut_at):
            await response.write(piece)
        await response.write_eof()
        return response

    def _change(self, version: Version, name: str) -> None:
        """What the world does behind the cut."""
        if name == "swap-mid-body":
            self._world.regenerate(version.video_id, head=False)
            if version.video_id in self._world.account.videos:
                version.content = self._world.content(version.video_id, version.format)
        elif name.startswith("regenerate"):
            version.link_alive = False
            self._world.regenerate(version.video_id, head=name == "regenerate-moov")

    async def _multipart(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        kind = reply.headers["Content-Type"]
        before = f"--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Range: {reply.multipart}\r\n\r\n"
        after = f"\r\n--{BOUNDARY}--\r\n"
        headers = {**reply.headers, "Content-Type": f"multipart/byteranges; boundary={BOUNDARY}"}
        response = web.StreamResponse(status=206, headers=headers)
        response.content_length = len(before) + reply.length + len(after)
        await response.prepare(request)
        await response.write(before.encode())
        async for piece in self._pieces(reply, reply.end):
            await response.write(piece)
        await response.write_eof(after.encode())
        return response

    async def _gzipped(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        """The whole file compressed, whatever range was asked for."""
        headers = {name: text for name, text in reply.headers.items() if name != "Content-Range"}
        response = web.StreamResponse(status=200, headers={**headers, "Content-Encoding": "gzip"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        reply.start, reply.end = 0, reply.version.content.size
        async for piece in self._pieces(reply, reply.end):
            await response.write(packer.compress(piece))
        await response.write_eof(packer.flush())
        reply.version.fetched = True
        return response
