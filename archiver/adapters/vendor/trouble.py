"""What went wrong with a call, in words that hold no address, no token and no secret."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp

# Everything by which a call can end before its answer is complete; asyncio's TimeoutError is an
# OSError, aiohttp's own errors are ClientErrors, and a name no resolver takes is a UnicodeError.
TROUBLE = (aiohttp.ClientError, OSError, UnicodeError, asyncio.IncompleteReadError)


def describe(error: BaseException) -> str:
    """One phrase by kind: the error's own text may quote the address."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorDNSError | UnicodeError):
        return "the host's name is not known"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return "its certificate is not trusted: an own authority is named by ARCHIVER_CA_FILE"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "no trusted TLS connection"
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return "the proxy does not let us through"
    if isinstance(error, ConnectionRefusedError) or _refused(error):
        return "the connection was refused"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer was cut off"
    return f"the connection broke ({type(error).__name__})"


def _refused(error: BaseException) -> bool:
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(
        error.os_error, ConnectionRefusedError
    )
