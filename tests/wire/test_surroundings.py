"""The way to the outside: a proxy for everything, and an authority of the house's own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import trustme

from archiver import archive
from archiver.account import Account
from archiver.core.selection import AccountSource
from archiver.core.summary import Summary
from archiver.emulator.server import Emulator, EmulatorConfig
from archiver.run_options import RunOptions
from tests.hasty import Watcher, account_of

CONFIG = EmulatorConfig(videos=3, size=(16_000, 30_000), generation_s=(0.0, 0.1))


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Middleman:
    """A server between client and vendor: a proxy, or the end of a TLS line."""

    def __init__(self, target: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._target, self._tls = target, tls
        self.hosts: list[str] = []
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Middleman]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = b""
        target = self._target
        if target is None:  # a proxy: the request's first line names the host
            first = await reader.readline()
            target = first.split()[1].decode()
        parts = urlsplit(target)
        self.hosts.append(parts.netloc)
        up_reader, up_writer = await asyncio.open_connection(parts.hostname, parts.port)
        up_writer.write(first)
        await asyncio.gather(relay(reader, up_writer), relay(up_reader, writer))


async def run(dest: Path, account: Account) -> Summary:
    options = RunOptions(sources=(AccountSource(),), max_wait_s=2.0, extras=False)
    return await archive.run(str(dest), account, options, Watcher(), anyio.Event())


def test_every_call_and_every_download_goes_through_the_proxy(tmp_path: Path) -> None:
    """Where only the proxy leads out, nothing may try another way."""

    async def story() -> None:
        async with Emulator(CONFIG) as vendor, Middleman().open() as proxy:
            account = replace(account_of(vendor), proxy=f"http://127.0.0.1:{proxy.port}")
            summary = await run(tmp_path, account)
            assert (summary.exit_code, summary.archived) == (0, 3)
            assert set(proxy.hosts) == {
                urlsplit(vendor.api_url).netloc,
                urlsplit(vendor.download_url).netloc,
            }

    asyncio.run(story())


def test_an_own_authority_is_trusted_when_it_is_named_and_only_then(tmp_path: Path) -> None:
    """TLS is always verified; without the authority the run says so and archives nothing."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))

    async def story() -> None:
        async with AsyncExitStack() as stack:
            vendor = await stack.enter_async_context(Emulator(CONFIG))
            door = await stack.enter_async_context(Middleman(vendor.api_url, context).open())
            url = f"https://localhost:{door.port}"
            account = replace(account_of(vendor), api_url=url, token_url=f"{url}/oauth2/token")
            stranger = await run(tmp_path / "a", account)
            assert (stranger.exit_code, stranger.archived) == (1, 0)
            assert "ARCHIVER_CA_FILE" in stranger.message
            friend = await run(tmp_path / "b", replace(account, ca_file=str(ca_file)))
            assert (friend.exit_code, friend.archived) == (0, 3)

    asyncio.run(story())
