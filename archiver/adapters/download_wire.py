"""One question to a download host, over redirects, to the head of its answer.

Rule 1: no credential, cookie, referer or header of ours beyond Range and If-Range ever goes out.
Rule 2: every hop is checked by the policy; aiohttp follows none by itself.
Rule 3: an address's query is a signature: no text that leaves this module holds it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from yarl import URL

from archiver.adapters.address_policy import AddressPolicy, ForbiddenAddressError
from archiver.adapters.causes import refusal
from archiver.adapters.descriptors import NO_MORE
from archiver.adapters.download_patience import patiently
from archiver.core.answer import Ask, Head
from archiver.core.model import Instant
from archiver.core.pacing import when
from archiver.errors import BrokenError, LinkRefusedError, WeatherError
from archiver.met import met
from archiver.ports import Clock

HOPS_MOST = 5  # as curl and browsers would never need for a file
DRAIN_MOST_BYTES = 16 * 1024  # a body so small is read, so that its connection can be used again
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def parsed(address: str, base: URL | None = None) -> URL:
    """The address exactly as given, relative to *base* where it is a redirect.

    Raises:
        LinkRefusedError: it is none.
    """
    try:
        url = URL(address, encoded=True)
        url = url if base is None else base.join(url)
        _ = url.host, url.port  # read late otherwise, and then they fail late
    except (ValueError, TypeError):
        # Not chained: the error's text holds the address.
        raise LinkRefusedError("the download address is malformed") from None
    return url


class Behind:
    """What came behind a body on its connection, as long as that is no other answer's."""

    def __init__(self, response: aiohttp.ClientResponse, protocol: ResponseHandler) -> None:
        self._protocol, self._found = protocol, False
        self._is_closed = False
        response.content.on_eof(self._ended)

    @property
    def is_broken(self) -> bool:
        """It is no HTTP."""
        if not self._is_closed:
            self._found = isinstance(self._protocol.exception(), HttpProcessingError)
        return self._found

    def _ended(self) -> None:
        # aiohttp is about to read what came with the end. At the end of the response it lets go of
        # the connection: from the next turn on, what is wrong with it may be another's answer.
        asyncio.get_running_loop().call_soon(self._close)

    def _close(self) -> None:
        self._found, self._is_closed = self.is_broken, True


@dataclass(frozen=True, slots=True)
class Answer:
    """An open answer: its head, its body, and the origin that gave it."""

    head: Head
    response: aiohttp.ClientResponse
    origin: str
    retry_after: str | None
    behind: Behind | None = None

    @property
    def has_surplus(self) -> bool:
        """With the announced end something came that is no answer to anything; asked at the end."""
        return self.behind is not None and self.behind.is_broken


@dataclass(frozen=True, slots=True)
class Wire:
    """Asks download hosts.  ``head_s``: how long a head may take."""

    session: aiohttp.ClientSession
    clock: Clock
    policy: AddressPolicy

    @asynccontextmanager
    async def ask(self, url: str, ask: Ask, head_s: float) -> AsyncIterator[Answer]:
        """Send *ask*, follow redirects, and give the answer; it is closed on the way out.

        Raises:
            WeatherError: no answer at all.
            LinkRefusedError: the policy forbids the address, or one that it leads to.
            BrokenError: no HTTP, or redirects without end.
        """
        here, came_from = parsed(url), None
        for _ in range(HOPS_MOST + 1):
            self._check(here, came_from)
            response = await self._get(here, ask, head_s)
            try:
                if response.status not in _REDIRECTS:
                    yield _answer(response, here)
                    return
                came_from, here = here, _target(response, here)
                met("D22")
                await drain(response, head_s)
            finally:
                response.close()  # back in the pool already where its body was read
        met("D25")
        raise BrokenError(f"{_origin(here)}: more than {HOPS_MOST} redirects")

    def retry_at(self, answer: Answer) -> Instant | None:
        """When the host said to come back."""
        return when(answer.retry_after, self.clock.now())

    def _check(self, here: URL, came_from: URL | None) -> None:
        try:
            self.policy.check(here, came_from)
        except ForbiddenAddressError as error:
            raise LinkRefusedError(str(error)) from error

    async def _get(self, url: URL, ask: Ask, head_s: float) -> aiohttp.ClientResponse:
        """The response as soon as its head is here; nothing is left open where that fails."""
        origin = _origin(url)
        try:
            async with patiently(head_s):
                return await self.session.get(
                    url, headers=ask.headers(), allow_redirects=False, raise_for_status=False
                )
        except aiohttp.ClientHttpProxyError as error:
            # This and the next two hold the whole address: they must not be chained.
            raise WeatherError(origin, f"the proxy answered {error.status}") from None
        except aiohttp.ClientResponseError:
            met("D07")  # a length that contradicts itself is one way to be none
            raise BrokenError(f"{origin} answered something that is no HTTP") from None
        except (aiohttp.InvalidURL, UnicodeError):  # a label that no resolver takes
            raise LinkRefusedError("the download address is malformed") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ForbiddenAddressError):
                raise LinkRefusedError(str(error.os_error)) from error
            if error.os_error.errno in NO_MORE:
                raise refusal(error.os_error, "opening a connection") from error
            raise WeatherError(origin, f"{origin} cannot be reached: {_why(error)}") from error
        except TimeoutError as error:
            met("D02")
            raise WeatherError(origin, f"{origin} did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            met("D01")  # before the head: nothing of the file came
            raise WeatherError(origin, f"{origin} did not answer: {_why(error)}") from error


def _why(error: BaseException) -> str:
    """What went wrong, in words that cannot hold an address."""
    if isinstance(error, aiohttp.ClientSSLError):
        met("D26")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = error.certificate_error
        return getattr(reason, "verify_message", "") or "its certificate is not valid"
    if isinstance(error, aiohttp.ClientSSLError):  # its number is none of the system's
        return "it does not speak TLS as we do"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name does not resolve"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)  # the error's own text quotes addresses and calls
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(getattr(error, "os_error", error), ConnectionError):
        return "the connection was reset"  # by Python 3.11.2 without a number, in a handshake
    return type(error).__name__


def _answer(response: aiohttp.ClientResponse, here: URL) -> Answer:
    connection = response.connection
    protocol = connection.protocol if connection is not None else None
    return Answer(
        _head(response), response, _origin(here), response.headers.get("Retry-After"),
        Behind(response, protocol) if protocol is not None else None,
    )  # fmt: skip


def _origin(url: URL) -> str:
    return str(url.origin())


def _target(response: aiohttp.ClientResponse, here: URL) -> URL:
    location = response.headers.get("Location", "")
    if not location:
        raise BrokenError(f"{_origin(here)}: a redirect to nowhere")
    return parsed(location, here)


def _head(response: aiohttp.ClientResponse) -> Head:
    def field(name: str) -> str:
        value = response.headers.get(name, "")
        return value if value.isascii() and value.isprintable() else ""

    return Head(
        response.status, field("Content-Length"), field("Content-Range"), field("ETag"),
        field("Last-Modified"), field("Content-Encoding"), field("Content-Type"),
        chunked="Transfer-Encoding" in response.headers,
    )  # fmt: skip


async def drain(response: aiohttp.ClientResponse, patience_s: float) -> None:
    """Read a small body that nobody wants, so that its connection can be used again."""
    if not 0 <= (response.content_length or -1) <= DRAIN_MOST_BYTES:
        return
    try:
        async with patiently(patience_s):
            await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return  # the connection is closed instead
