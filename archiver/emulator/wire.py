"""What HTTP libraries do not let one do: cut, reset, and write bytes that are not an answer.

Every function here truly puts it on the wire: a reset is an RST, not a polite end.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from email.utils import formatdate

from aiohttp import web

DRAIN_BYTES = 1 << 20


class Cut(Exception):  # noqa: N818 - no error: the answer ends here, on purpose
    """The connection is gone; nothing more can be answered."""


def reset(request: web.Request) -> Cut:
    """Ends the connection with an RST, dropping what was not sent yet."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # Zero linger makes the kernel answer with RST where close() alone would send FIN.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return Cut()


def close(request: web.Request) -> Cut:
    """Ends the connection properly, after what was written has been sent."""
    if request.transport is not None:
        request.transport.close()
    return Cut()


async def write(request: web.Request, piece: bytes) -> None:
    """Writes bytes past the library, waiting while the other side is slow.

    Raises:
        Cut: the other side has gone.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise Cut
    transport.write(piece)
    # Past the library there is no event for a drained buffer.
    while transport.get_write_buffer_size() > DRAIN_BYTES and not transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(0.002)


def header(status: int, headers: Mapping[str, str]) -> bytes:
    """A response's head, exactly as given, with no length and no encoding added."""
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {text}" for name, text in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def http_date(seconds: float) -> str:
    """Unix seconds as HTTP writes them."""
    return formatdate(int(seconds), usegmt=True)


def nothing() -> web.Response:
    """What a handler returns after a cut: the library finds the connection closed."""
    return web.Response()
