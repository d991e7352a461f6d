"""The way to the vendor: the two sessions and the client, for as long as they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from archiver.account import Account
from archiver.adapters.address_policy import download_resolver
from archiver.adapters.clock import SystemClock
from archiver.adapters.http import ConnectorFactory, open_sessions, tcp_connector
from archiver.adapters.vendor.client import VendorClient
from archiver.adapters.vendor.token import STYLES, SecretStyle
from archiver.core.summary import ApiCalls
from archiver.core.weather import Weather


@dataclass(frozen=True, slots=True)
class Connection:
    """The vendor, the session for downloads, and what calls were made."""

    vendor: VendorClient
    downloads: aiohttp.ClientSession
    calls: ApiCalls
    weather: Weather


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
) -> AsyncIterator[Connection]:
    """Open the two sessions and the client.

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
        try:
            yield Connection(vendor, pair.downloads, calls, weather)
        finally:
            await vendor.close()
