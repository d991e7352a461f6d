"""What the sessions promise about TLS: always verified, with the owner's authority added."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from archiver.account import Account, Secret
from archiver.adapters.http import Line, open_sessions, origin_of, tcp_connector
from archiver.adapters.vendor.client import VendorClient
from archiver.core.model import JobKey, Readiness, VideoId
from archiver.errors import SettingsError, WeatherError
from tests.wire.door import Asked, Clock, Door, reply, visit

KEY = JobKey(VideoId(7))
PENDING = {"downloadable": {"status": "pending", "download_url": None}}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One call, one answer."""
    try:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"downloadable":{"status":"pending"}}'
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    writer.close()


def test_only_a_trusted_certificate_is_spoken_to(tmp_path: Path) -> None:
    """An unknown authority is weather, nothing is sent; named in the CA file it is trusted."""

    async def story() -> None:
        authority = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        for ca_file in (None, str(tmp_path / "ca.pem")):
            account = Account(url, url, access_token=Secret("ready"), ca_file=ca_file)
            async with open_sessions(account) as sessions:
                client = VendorClient(sessions.api, account, Clock())
                key = JobKey(VideoId(1))
                if ca_file is not None:
                    assert (await client.status(key)).status is Readiness.PENDING
                    continue
                with pytest.raises(WeatherError, match="certificate") as caught:
                    await client.status(key)
                assert not caught.value.sent
        server.close()
        await server.wait_closed()

    asyncio.run(story())


def test_the_extra_authority_does_not_replace_the_known_ones(tmp_path: Path) -> None:
    """The context for both sessions verifies, and knows the system's authorities and ours."""

    async def story() -> None:
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        seen: list[Line] = []

        def connector(line: Line) -> aiohttp.BaseConnector:
            seen.append(line)
            return tcp_connector(line)

        account = Account(ca_file=str(tmp_path / "ca.pem"))
        async with open_sessions(account, requests=3, downloads=5, connector=connector):
            assert [line.purpose for line in seen] == ["api", "downloads"]
            assert [line.limit for line in seen] == [5, 7]
        known = len(ssl.create_default_context().get_ca_certs())
        for line in seen:
            assert isinstance(line.tls, ssl.SSLContext)
            assert line.tls.verify_mode is ssl.CERT_REQUIRED
            assert line.tls.check_hostname
            assert len(line.tls.get_ca_certs()) == known + 1

    asyncio.run(story())


def test_without_an_authority_of_its_own_a_run_reads_the_known_ones_once() -> None:
    """aiohttp has read them when it was imported; reading them again costs every start 30 ms."""

    async def story() -> None:
        async with open_sessions(Account()) as sessions:
            assert sessions.tls is True

    asyncio.run(story())


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.example/x?y=1", "https://api.example"),
        ("https://api.example:443", "https://api.example"),
        ("http://api.example:443", "http://api.example:443"),
        ("https://me:word@api.example:8443/", "https://api.example:8443"),
        ("http://[::1]:80/x", "http://[::1]"),
        ("ftp://api.example", ""),
        ("https://", ""),
        ("http://[", ""),
        ("http://h:port", ""),
        ("", ""),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    """Credentials, path, case and the scheme's own port are not part of it."""
    assert origin_of(url) == origin


def test_the_sessions_carry_nothing_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """No cookie, netrc or proxy variable of the surroundings reaches a server."""

    async def story() -> None:
        def answer(asked: Asked) -> web.Response:
            response = reply(PENDING)
            response.set_cookie("session", "1")
            return response

        async with Door(answer).open() as door, visit(door, Clock()) as client:
            await client.status(KEY)
            await client.status(KEY)
            async with open_sessions(door.account()) as sessions:
                for session in (sessions.api, sessions.downloads):
                    async with session.get(f"{door.url}/plain"):
                        pass
            for asked in door.calls("plain"):
                assert "Authorization" not in asked.head
                assert asked.head["User-Agent"].startswith("archiver/")
            assert all("Cookie" not in asked.head for asked in door.asked)
            assert door.calls("plain")[1].head["Accept-Encoding"] == "identity"

    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    asyncio.run(story())


@pytest.mark.parametrize("content", [None, "no certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_bad_authority_file_is_a_setting_to_mend(content: str | None, tmp_path: Any) -> None:
    """A missing or empty CA file is refused before anything is sent."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)

    async def story() -> None:
        with pytest.raises(SettingsError, match="CA file"):
            async with open_sessions(Account(ca_file=str(path))):
                pass
        with pytest.raises(SettingsError, match="PROXY") as caught:
            async with open_sessions(Account(proxy="socks5://me:pass@host")):
                pass
        assert "pass" not in str(caught.value)

    asyncio.run(story())


@pytest.mark.parametrize("text", ["id\nsecret", "a\0b", "a\udcff"])
@pytest.mark.parametrize("name", ["client_secret", "access_token", "client_id"])
def test_a_credential_that_no_header_can_carry_is_refused_by_its_name(name: str, text: str) -> None:
    """A file of two lines is a mistake to be told, not a bug of ours in the middle of a night."""
    value = text if name == "client_id" else Secret(text)
    with pytest.raises(SettingsError, match=f"ARCHIVER_{name.upper()}") as told:
        replace(Account(), **{name: value}).checked()  # type: ignore[arg-type]
    assert text not in str(told.value)


@pytest.mark.parametrize("url", ["https://a..b", f"https://{'a' * 64}.example"])
def test_an_address_whose_name_cannot_be_is_refused(url: str) -> None:
    """Before a run waits for it all night as for bad weather."""
    with pytest.raises(SettingsError, match="not a web address"):
        Account(api_url=url).checked()
