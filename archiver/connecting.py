"""The way to the vendor and to the files: sessions, client and byte workers, while needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

import aiohttp

from archiver.account import Account
from archiver.adapters.address_policy import download_resolver
from archiver.adapters.byte_thread import MakeSource
from archiver.adapters.byte_workers import ByteWorkers, count_for
from archiver.adapters.clock import SystemClock
from archiver.adapters.http import (
    ConnectorFactory,
    Line,
    Verifying,
    download_session,
    open_sessions,
    tcp_connector,
)
from archiver.adapters.vendor.client import VendorClient
from archiver.adapters.vendor.token import STYLES, SecretStyle
from archiver.core.summary import ApiCalls
from archiver.core.weather import Weather
from archiver.ports import Source


@dataclass(frozen=True, slots=True)
class Connection:
    """The vendor, the session for downloads, and what calls were made.

    ``workers`` spreads a source over threads, each with a session of its own.
    """

    vendor: VendorClient
    downloads: aiohttp.ClientSession
    workers: Callable[[MakeSource], AbstractAsyncContextManager[Source]]
    calls: ApiCalls
    weather: Weather


def byte_workers(
    account: Account,
    tls: Verifying,
    downloads: int,
    make: MakeSource,
    *,
    is_metered: bool = False,
) -> ByteWorkers:
    """Threads for so many downloads at a time, each with a session and a source of its own."""

    def opening() -> aiohttp.ClientSession:
        line = Line("downloads", tls, downloads + 2, download_resolver(account))
        return download_session(account, line)

    return ByteWorkers(opening, make, count_for(downloads), is_metered=is_metered)


@asynccontextmanager
async def connected(
    account: Account,
    clock: SystemClock,
    *,
    requests: int = 8,
    downloads: int = 8,
    max_wait_s: float = 60.0,
    style: str | None = None,
    connector: ConnectorFactory | None = None,
    is_metered: bool = False,
) -> AsyncIterator[Connection]:
    """Open the two sessions and the client.

    Args:
        is_metered: downloads are held to a rate.

    Raises:
        SettingsError, AuthError: the addresses or credentials cannot be used.
    """
    account.checked().require_credentials()
    weather, calls = Weather(), ApiCalls()
    known: SecretStyle = next((each for each in STYLES if each == style), "body")
    sessions = open_sessions(
        account, requests=requests, downloads=downloads,
        download_resolver=download_resolver(account), connector=connector or tcp_connector,
    )  # fmt: skip
    async with sessions as pair:
        vendor = VendorClient(
            pair.api, account, clock, weather=weather, calls=calls, requests=requests,
            style=known, max_wait_s=max_wait_s,
        )  # fmt: skip

        def workers(make: MakeSource) -> AbstractAsyncContextManager[Source]:
            if connector is not None:  # its connections belong to the caller's loop
                return nullcontext(make(pair.downloads))
            return byte_workers(account, pair.tls, downloads, make, is_metered=is_metered)

        try:
            yield Connection(vendor, pair.downloads, workers, calls, weather)
        finally:
            await vendor.close()
