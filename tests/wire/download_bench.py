"""A download's test bench: a host on a real socket, a part in a real file, a source between."""

from __future__ import annotations

import asyncio
import hashlib
import random
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trustme
from aiohttp.abc import AbstractResolver

from archiver.account import Account
from archiver.adapters.address_policy import AddressPolicy, GuardedResolver
from archiver.adapters.clock import SystemClock
from archiver.adapters.download import HttpSource
from archiver.adapters.download_body import Limits
from archiver.adapters.download_transfer import fingerprint
from archiver.adapters.http import open_sessions
from archiver.adapters.throttle import Throttle
from archiver.core.model import NOTHING, Link, Saved
from archiver.core.resume import WITNESS_BYTES
from archiver.errors import (
    DestinationError,
)
from tests.wire.raw_server import (
    Handler,
    RawServer,
)

LOCAL = Account(api_url="http://127.0.0.1:1")
SIZE = 300_000
BIG = 3 * WITNESS_BYTES
DATE = "Mon, 23 Nov 2026 02:00:00 GMT"


def video(size: int = SIZE, seed: int = 1, *, moov_bytes: int = 5000) -> bytes:
    """A small MP4 in shape: ftyp, moov, mdat with bytes that never repeat."""
    noise = random.Random(seed).randbytes
    ftyp = (24).to_bytes(4, "big") + b"ftypisom" + bytes(12)
    moov = moov_bytes.to_bytes(4, "big") + b"moov" + noise(moov_bytes - 8)
    left = size - len(ftyp) - len(moov)
    return ftyp + moov + left.to_bytes(4, "big") + b"mdat" + noise(left - 8)


class FilePart:
    """A part in the plainest way: a real file, a small buffer."""

    def __init__(self, path: Path, content: bytes = b"", *, room: int = 40_000) -> None:
        path.write_bytes(content)
        self.path, self.durable, self.full = path, len(content), False
        self._file = path.open("r+b", buffering=0)
        self._file.seek(len(content))
        self._room, self._used, self._written = bytearray(room), 0, len(content)

    @property
    def offset(self) -> int:
        return self._written + self._used

    def room(self) -> memoryview:
        return memoryview(self._room)[self._used :]

    def filled(self, count: int) -> None:
        self._used += count
        if self._used == len(self._room):
            self.write()

    def write(self) -> None:
        if self.full:
            raise DestinationError("The disk is full.")
        self._file.write(self._room[: self._used])
        self._written, self._used = self._written + self._used, 0

    async def sync(self) -> int:
        self.write()
        self.durable = self._written
        return self.durable

    async def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._written = self._used = self.durable = 0

    async def read(self, start: int, count: int) -> bytes:
        return self.path.read_bytes()[start : start + count]

    async def sha256(self) -> str:
        self.write()
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    async def close(self) -> None:
        self._file.close()


@dataclass
class Told:
    """Follows a transfer."""

    count: int = 0
    reported: list[Saved] = field(default_factory=list)

    def received(self, count: int) -> None:
        self.count += count

    async def durable(self, saved: Saved) -> None:
        self.reported.append(saved)


def trusted(tmp_path: Path, host: str) -> tuple[ssl.SSLContext, Account]:
    """A certificate for *host*, and an account that trusts who made it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context, replace(LOCAL, ca_file=str(tmp_path / "ca.pem"))


@dataclass
class Bench:
    """A host, a part, and a source between them."""

    server: RawServer
    part: FilePart
    told: Told
    source: HttpSource

    async def fetch(self, saved: Saved = NOTHING, url: str | None = None) -> Saved:
        done = await self.source.fetch(Link(url or self.server.url), saved, self.part, self.told)
        await self.part.sync()
        return done

    @property
    def content(self) -> bytes:
        return self.part.path.read_bytes()

    @property
    def last(self) -> Saved:
        return self.told.reported[-1]

    def saved(self, content: bytes, etag: str | None = '"one"', **more: Any) -> Saved:
        """What the ledger says after *content* was saved of the host's own address."""
        source = more.pop("source", fingerprint(self.server.url))
        return Saved(len(content), etag=etag, source=source, **more)


async def benched(
    tmp_path: Path,
    handler: Handler,
    body: Any,
    *,
    before: bytes = b"",
    limits: Limits | None = None,
    account: Account = LOCAL,
    names: AbstractResolver | None = None,
    tls: ssl.SSLContext | None = None,
    throttle: Throttle | None = None,
) -> Any:
    """Run *body* with a bench, and let nothing open behind."""
    async with (
        RawServer(handler, tls) as server,
        open_sessions(
            account, download_resolver=GuardedResolver(AddressPolicy.of(account), names)
        ) as sessions,
    ):
        part = FilePart(tmp_path / "part", before)
        source = HttpSource(sessions.downloads, account, SystemClock(), throttle, limits=limits)
        b = Bench(server, part, Told(), source)
        try:
            return await body(b)
        finally:
            await part.close()
            await b.part.close()  # where a test took another


def bench(
    tmp_path: Path, handler: Handler, body: Any, *, loop_factory: Any = None, **more: Any
) -> Any:
    """The same, in a loop of its own, made by *loop_factory*."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(benched(tmp_path, handler, body, **more))
