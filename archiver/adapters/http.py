"""Two HTTP sessions that cannot leak: one for the API and the token, one for downloads.

Rule 1: no session carries a secret; headers with one are made call by call for their origin.
Rule 2: nothing is taken from the surroundings: no netrc, no proxy variables, no cookies.
Rule 3: TLS is always verified; an extra authority is added to the known ones, never in their place.
Rule 4: the downloads' bytes are never decoded on the way.
Rule 5: an answer belongs to the request that it follows; what came unasked is never read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from archiver.account import Account
from archiver.adapters.look_up import system_resolver
from archiver.errors import SettingsError
from archiver.met import met
from archiver.version import __version__

BODY_MOST = 16 * 1024 * 1024  # an answer of the API; 50 videos are about 200 kB
PIECE = 64 * 1024
API_TOTAL_S, API_SILENCE_S, CONNECT_S = 60.0, 20.0, 20.0
HEADER_MOST = 32 * 1024  # a signed address in Location is longer than aiohttp's 8 KiB at times
USER_AGENT = f"archiver/{__version__}"
DEFAULT_PORTS = {"http": 80, "https": 443}

# True is aiohttp's own context, which trusts the machine's authorities; it is there in any case,
# made when aiohttp is imported, and a second one like it takes 30 ms of every start.
Verifying: TypeAlias = ssl.SSLContext | Literal[True]


@dataclass(frozen=True, slots=True)
class Line:
    """What a connector is made for.

    Attributes:
        purpose: "api" or "downloads".
        tls: the verifying context, True for aiohttp's own.
        limit: connections in all; one host gets no more either.
        resolver: how names become addresses; None for the system's way.
    """

    purpose: str
    tls: Verifying
    limit: int
    resolver: AbstractResolver | None = None


ConnectorFactory: TypeAlias = Callable[[Line], aiohttp.BaseConnector]


class Sending(Protocol):
    """Who wants to know when the head of a request is on the line: ``trace_request_ctx``."""

    def sent(self) -> None:
        """The head went out; a second time when aiohttp itself sends a GET again."""
        ...


@dataclass(frozen=True, slots=True)
class Sessions:
    """The two sessions of a run, and how they and others verify whom they talk to."""

    api: aiohttp.ClientSession
    downloads: aiohttp.ClientSession
    tls: Verifying


def origin_of(url: str) -> str:
    """``scheme://host[:port]`` in lower case, without the scheme's own port; "" for no address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" + ("" if port in (None, DEFAULT_PORTS[scheme]) else f":{port}")


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """The verifying context, with *ca_file*'s authorities added.

    Raises:
        SettingsError: the file cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file is None:
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = "no certificate is in it" if isinstance(error, ssl.SSLError) else str(error)
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            why = error.strerror or why
        raise SettingsError(
            f"The CA file {ca_file} cannot be used: {why}.",
            "ARCHIVER_CA_FILE (--ca-file) must name a readable PEM file with certificates.",
        ) from error
    return context


def check_way(account: Account) -> None:
    """Find out before a run makes its folder that nothing could be reached.

    Raises:
        SettingsError: an unusable CA file or proxy.
    """
    checked_proxy(account.proxy)
    if account.ca_file:
        tls_context(account.ca_file)


class AskedOnly(aiohttp.BaseConnector):
    """A connector that closes an idle connection on which something came unasked.

    aiohttp would hand those bytes to the next request as its answer: a host that answers twice, or
    later than the end of its own answer, would give one video the address of another.
    """

    async def _get(self, *args: Any) -> Any:
        while (connection := await super()._get(*args)) is not None:
            if connection.protocol is None or not connection.protocol.should_close:
                break
            met("A43")
            connection.close()
        return connection


class _TCPConnector(AskedOnly, aiohttp.TCPConnector):
    """The connector for real networks."""


def tcp_connector(line: Line) -> aiohttp.BaseConnector:
    """The connector for real networks."""
    return _TCPConnector(
        ssl=line.tls, limit=line.limit, limit_per_host=line.limit,
        resolver=line.resolver or system_resolver(),
    )  # fmt: skip


def checked_proxy(proxy: str | None) -> str | None:
    """Return the proxy's address, None for none.

    Raises:
        SettingsError: it is no http(s) address; the message leaves its password out.
    """
    if not proxy:
        return None
    if not origin_of(proxy):
        raise SettingsError(
            "ARCHIVER_PROXY is not a web address.", "Set it like http://proxy.example:3128."
        )
    return proxy


@asynccontextmanager
async def open_sessions(
    account: Account,
    *,
    requests: int = 8,
    downloads: int = 4,
    connector: ConnectorFactory = tcp_connector,
    download_resolver: AbstractResolver | None = None,
) -> AsyncIterator[Sessions]:
    """Open both sessions and close them at the end.

    Args:
        requests: API calls in flight; two more connections are for token and extras.
        downloads: transfers at a time; two more are for those that just end.
        download_resolver: refuses addresses that a download may not go to.

    Raises:
        SettingsError: an unusable CA file or proxy.
    """
    tls: Verifying = True
    if account.ca_file:
        loop = asyncio.get_running_loop()
        tls = await loop.run_in_executor(None, tls_context, account.ca_file)
    api = _session(
        connector(Line("api", tls, requests + 2)),
        checked_proxy(account.proxy),
        aiohttp.ClientTimeout(total=API_TOTAL_S, sock_connect=CONNECT_S, sock_read=API_SILENCE_S),
        decode=True,
    )
    line = Line("downloads", tls, downloads + 2, download_resolver)
    async with api, download_session(account, line, connector) as files:
        yield Sessions(api, files, tls)


def download_session(
    account: Account, line: Line, connector: ConnectorFactory = tcp_connector
) -> aiohttp.ClientSession:
    """Make a session for downloads, on the loop that will use it.

    How long a host may be silent is the downloads' own business: no timer runs here beside theirs.

    Raises:
        SettingsError: an unusable proxy.
    """
    timeout = aiohttp.ClientTimeout(total=None)
    return _session(connector(line), checked_proxy(account.proxy), timeout, decode=False)


def _session(
    connector: aiohttp.BaseConnector,
    proxy: str | None,
    timeout: aiohttp.ClientTimeout,
    *,
    decode: bool,
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip" if decode else "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
        timeout=timeout,
        auto_decompress=decode,
        trust_env=False,
        trace_configs=[_trace()],
        max_line_size=HEADER_MOST,
        max_field_size=HEADER_MOST,
    )


def _trace() -> aiohttp.TraceConfig:
    # on_request_start would miss the GET that aiohttp sends again by itself after a reset.
    async def head_sent(
        session: aiohttp.ClientSession,  # noqa: ARG001  aiohttp calls with three
        context: SimpleNamespace,
        params: aiohttp.TraceRequestHeadersSentParams,  # noqa: ARG001
    ) -> None:
        if getattr(context, "was_sent", False):
            met("D32")  # cut off before its answer, as on a kept connection that went stale
        context.was_sent = True
        sending: Sending | None = context.trace_request_ctx
        if sending is not None:
            sending.sent()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(head_sent)
    return trace


async def read_body(response: aiohttp.ClientResponse, most: int = BODY_MOST) -> bytes | None:
    """Read a body in pieces; None when it is longer than *most* (and the connection is closed)."""
    pieces, length = [], 0
    async for piece in response.content.iter_chunked(PIECE):
        length += len(piece)
        if length > most:
            if response.headers.get("Content-Encoding"):
                met("D20")
            response.close()
            return None
        pieces.append(piece)
    return b"".join(pieces)
