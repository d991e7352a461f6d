"""The way from the real client to the real emulator, in memory: names, connections, misfortunes.

``Network.connector`` is aiohttp's own connector up to the moment where it would open a socket: its
pool, its resolver with the address policy, its limits and its errors are the real ones.  TLS is
not simulated.  Every misfortune strikes by chance, and only so often.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import random
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context, copy_context
from dataclasses import replace
from typing import Any
from unittest import mock

import aiohttp
import aiohttp.connector
from aiohttp.client_proto import ResponseHandler

import archiver.adapters.http
from archiver.adapters import look_up
from archiver.adapters.http import Line
from tests.sim.loop import OWNER, SimLoop
from tests.sim.transport import Heard, MemoryTransport, Way, join

API, FILES = "https://api.vendor.example", "https://files.vendor.example"
HOSTS = {"api.vendor.example": "93.184.216.34", "files.vendor.example": "93.184.216.35"}
PRIVATE = "10.0.0.1"
FAULTS = frozenset(
    {
        "refused-connection",  # nobody listens there for the moment
        "silent-connection",  # no answer to the first packet
        "no-such-name",  # the name does not resolve
        "private-name",  # the name leads into the owner's own network
        "reset-of-request",  # the connection breaks at byte N on the way to the vendor
        "reset-of-answer",  # and on the way back
        "stall-of-request",  # nothing moves for a while
        "stall-of-answer",
        "small-segments",  # the bytes come in small pieces
        "outage",  # an hour without any network
    }
)
OUTAGE_S = 3600.0


class Network:
    """All connections of one world.

    Attributes:
        fired: misfortune -> how often it struck.
        chances: misfortune -> how likely it is at each opportunity; may be changed at any time.
        most_open: owner -> connections that were open at a time, at most.
        forbidden: addresses that nobody may go to, and somebody tried.

    Args:
        loop: whose names it answers from now on.
        servers: origin -> makes the protocol of a connection to it.
        seed: of latencies and misfortunes.
        way: what a good connection is like.
        most: how often each misfortune may strike.
        heard: see ``transport.join``.
    """

    def __init__(
        self,
        loop: SimLoop,
        servers: Mapping[str, Callable[[], asyncio.BaseProtocol]],
        seed: object = 0,
        way: Way = Way(),  # noqa: B008  frozen
        most: int = 20,
        heard: Heard | None = None,
    ) -> None:
        self._loop, self._servers, self._way, self._heard = loop, servers, way, heard
        self._chance = random.Random(f"network {seed}")
        self._latency, self._seed = random.Random(f"latency {seed}"), seed
        self._server_context = Context()
        self._server_context.run(OWNER.set, "vendor")
        self._ends: dict[str, list[MemoryTransport]] = {}
        self._cut_off: set[str] = set()
        self._outage_until = 0.0
        self._count = 0
        self._left = Counter(dict.fromkeys(FAULTS, most))
        self._left["outage"] = 1
        self.fired: Counter[str] = Counter()
        self.most_open: Counter[str] = Counter()
        self.forbidden: list[str] = []
        self.chances: Mapping[str, float] = {}
        loop.names = self._resolved

    def connector(self, line: Line) -> aiohttp.BaseConnector:
        """See ``archiver.adapters.http.ConnectorFactory``."""
        return _Connector(self, line)

    def kill(self, owner: str) -> None:
        """A process is gone at once: its connections break, and it gets no others."""
        self._cut_off.add(owner)
        for end in self._ends.pop(owner, []):
            end.vanish()

    def left_open(self, owner: str) -> int:
        """How many connections a process has not closed."""
        return sum(not end.is_closing() for end in self._ends.get(owner, []))

    async def connect(self, origin: str, factory: Callable[[], ResponseHandler]) -> Any:
        """A connection from whoever asks to a server of the vendor's.

        Raises:
            OSError: there is none to be had.
        """
        owner = OWNER.get()
        await self._first_packets(origin, owner)
        protocol = factory()
        self._count += 1
        # Dice of its own: aiohttp closes its connections in the order of their addresses in memory,
        # which must not decide how late the other ends hear of it.
        latency = random.Random(f"latency {self._seed} of {self._count}")
        pair = join(
            self._loop, (protocol, copy_context()), (self._servers[origin](), self._server_context),
            self._ways(), latency, self._heard, f"{self._count}",
        )  # fmt: skip
        ends = self._ends.setdefault(owner, [])
        ends[:] = [end for end in ends if not end.is_closing()]
        ends.append(pair.client)
        self.most_open[owner] = max(self.most_open[owner], len(ends))
        return pair.client, protocol

    async def _first_packets(self, origin: str, owner: str) -> None:
        await asyncio.sleep(self._latency.uniform(*self._way.latency_s))
        if owner in self._cut_off or self._is_out():
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        if self._strikes("silent-connection"):
            await asyncio.sleep(OUTAGE_S)
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        if origin not in self._servers or self._strikes("refused-connection"):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))

    def _ways(self) -> tuple[Way, Way]:
        """What happens on the way there and back: small marks are met more often than large."""
        there, back = self._way, self._way
        at = int(10 ** self._chance.uniform(0, 6))
        stall_s = self._chance.choice([1.0, 10.0, 300.0])
        if self._strikes("small-segments"):
            there = back = replace(self._way, segment_bytes=self._chance.choice([37, 536, 1460]))
        if self._strikes("reset-of-request"):
            there = replace(there, reset_at=at % 900)
        if self._strikes("reset-of-answer"):
            back = replace(back, reset_at=at)
        if self._strikes("stall-of-request"):
            there = replace(there, stall_at=at % 900, stall_s=stall_s)
        if self._strikes("stall-of-answer"):
            back = replace(back, stall_at=at, stall_s=stall_s)
        return there, back

    def _is_out(self) -> bool:
        now = self._loop.time()
        if now >= self._outage_until and self._strikes("outage"):
            self._outage_until = now + OUTAGE_S
            for ends in self._ends.values():
                for end in ends:
                    end.hold(OUTAGE_S)
        return now < self._outage_until

    async def _resolved(self, host: str) -> list[str]:
        await asyncio.sleep(self._latency.uniform(*self._way.latency_s))
        if host not in HOSTS or self._is_out() or self._strikes("no-such-name"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if HOSTS[host] == HOSTS[FILES.removeprefix("https://")] and self._strikes("private-name"):
            return self._chance.choice([[PRIVATE], [HOSTS[host], PRIVATE]])
        return [HOSTS[host]]

    def _strikes(self, name: str) -> bool:
        chance = self.chances.get(name, 0.0)
        if not chance or not self._left[name] or self._chance.random() >= chance:
            return False
        self._left[name] -= 1
        self.fired[name] += 1
        return True


class _Connector(aiohttp.TCPConnector):
    """aiohttp's connector, whose sockets are the network's."""

    def __init__(self, network: Network, line: Line) -> None:
        super().__init__(
            ssl=line.tls, limit=line.limit, limit_per_host=line.limit, resolver=line.resolver,
            use_dns_cache=False,
        )  # fmt: skip
        self._network = network

    async def _wrap_create_connection(
        self, *args: Any, addr_infos: Any, req: aiohttp.ClientRequest, timeout: Any, **_named: Any
    ) -> Any:
        address = addr_infos[0][4][0]
        names = {each: f"https://{host}" for host, each in HOSTS.items()}
        if address not in names:
            self._network.forbidden.append(address)
        try:
            async with asyncio.timeout(timeout.sock_connect):
                return await self._network.connect(names.get(address, address), args[0])
        except OSError as error:
            if isinstance(error, TimeoutError) and error.errno is None:
                raise
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error


@functools.cache
def _tls_context(_ca_file: str | None) -> ssl.SSLContext:
    """One for all: reading the authorities costs more than a whole simulated night."""
    return ssl.create_default_context()


@contextlib.contextmanager
def deterministic(loop: SimLoop, seed: object) -> Iterator[None]:
    """Take from aiohttp the clock and the dice that it has for itself; names are the loop's."""
    kept = random.getstate()
    random.seed(f"aiohttp {seed}")
    try:
        with (
            mock.patch.object(aiohttp.connector, "monotonic", loop.time),
            mock.patch.object(archiver.adapters.http, "tls_context", _tls_context),
            mock.patch.object(look_up._LookUps, "getaddrinfo", loop.getaddrinfo),
        ):
            yield
    finally:
        random.setstate(kept)
