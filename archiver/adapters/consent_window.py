"""Asks the owner in a browser, and waits for the answer: at a port of this machine, or pasted.

Rule 1: the port is the loopback's alone, and open only while somebody is asked.
Rule 2: only an answer with this question's state counts; whoever else comes gets a 4xx.
Rule 3: nobody is waited for without end.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web

from archiver.account import is_loopback
from archiver.core import consent
from archiver.errors import AuthError, SettingsError

PATH = "/callback"
WAIT_S = 600.0  # a code lives no longer either
_LINE_MOST = 16_384
_STANDARD_INPUT = 0
_PAGE = (
    '<!doctype html><meta charset="utf-8"><title>archiver</title>'
    '<body style="font:1.2em sans-serif;margin:3em"><p>{said}</p><p>You may close this window.</p>'
)
_HEAD = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",  # the page's address holds the code
    "X-Content-Type-Options": "nosniff",
}


class Window:
    """One question, and the answer to it.

    Attributes:
        asking: what the page of consent is to be asked with.
        listens: a browser on this machine can bring the answer; otherwise it must be pasted.
    """

    def __init__(self, asking: consent.Asking, *, listens: bool) -> None:
        self.asking, self.listens = asking, listens
        self._reply: asyncio.Future[consent.Reply] = asyncio.get_running_loop().create_future()

    async def answer(self, *, pasted: bool) -> str:
        """The code.

        Args:
            pasted: take it from standard input, too; whichever comes first.

        Raises:
            AuthError: the owner declined, gave nothing, or took too long.
        """
        try:
            async with asyncio.timeout(WAIT_S):
                reply = await (self._first() if pasted else self._reply)
        except TimeoutError:
            raise AuthError("Nobody answered within ten minutes.", "Run it again.") from None
        if reply.refusal:
            raise AuthError(f"The login was declined ({reply.refusal}).", "Run it again.")
        return reply.code

    async def _first(self) -> consent.Reply:
        typing = asyncio.ensure_future(self._typed())
        try:
            await asyncio.wait([typing, self._reply], return_when=asyncio.FIRST_COMPLETED)
            return self._reply.result() if self._reply.done() else await typing
        finally:
            typing.cancel()

    async def _typed(self) -> consent.Reply:
        line = await _line(_STANDARD_INPUT)
        if not line.strip():
            raise AuthError("No code was given.", "Run it again, and paste the code.")
        reply = consent.typed(line, self.asking)
        if reply is None:
            raise AuthError(
                "That is neither a code nor the answer to this login.",
                "Run it again, and paste the code or the whole address that the browser came to.",
            )
        return reply

    async def visited(self, request: web.Request) -> web.Response:
        """A browser came."""
        reply = consent.brought(request.query_string, self.asking)
        if reply is None:
            response = _page("This is not the answer that is waited for.", 400)
        else:
            if not self._reply.done():  # browsers ask twice at times
                self._reply.set_result(reply)
            response = _page("Not logged in." if reply.refusal else "archiver has the answer.")
        response.force_close()
        return response


@asynccontextmanager
async def window(redirect_url: str) -> AsyncIterator[Window]:
    """Be ready for an answer.

    Args:
        redirect_url: the address that the client ID is registered with; empty for any free port.

    Raises:
        SettingsError: it is no web address, or its port is taken.
    """
    host = urlsplit(redirect_url).hostname or "" if redirect_url else "127.0.0.1"
    listens = is_loopback(host) and urlsplit(redirect_url).scheme in ("http", "")
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    async with contextlib.AsyncExitStack() as closing:
        if not listens:
            yield Window(consent.Asking(state, verifier, redirect_url), listens=False)
            return
        port = (urlsplit(redirect_url).port or 80) if redirect_url else 0
        bound = closing.enter_context(_bound(host, port))
        url = redirect_url or f"http://127.0.0.1:{bound.getsockname()[1]}{PATH}"
        opened = Window(consent.Asking(state, verifier, url), listens=True)
        app = web.Application()
        app.router.add_get(urlsplit(url).path or "/", opened.visited, allow_head=False)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        closing.push_async_callback(runner.cleanup)
        await web.SockSite(runner, bound).start()
        yield opened


def browse(url: str) -> bool:
    """Show *url* in a browser; False where there is none to be seen."""
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not (screen or os.environ.get("BROWSER") or sys.platform == "darwin"):
        return False  # a browser in this very terminal would stand in the way
    # Of its own and a daemon: some browsers keep their starter waiting until they are closed.
    threading.Thread(target=webbrowser.open, args=(url,), name="browser", daemon=True).start()
    return True


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=8)
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        raise SettingsError(
            f"Port {port} of {host} {why}.", "Set ARCHIVER_REDIRECT_URL to another one."
        ) from error


def _page(said: str, status: int = 200) -> web.Response:
    return web.Response(
        text=_PAGE.format(said=said), status=status, content_type="text/html", headers=_HEAD
    )


async def _line(descriptor: int) -> str:
    """One line of what is typed; "" at the end.  Read by the loop: a thread could not be left."""
    loop, read = asyncio.get_running_loop(), bytearray()
    while b"\n" not in read and len(read) < _LINE_MOST:
        ready = asyncio.Event()
        try:
            loop.add_reader(descriptor, ready.set)
        except (PermissionError, ValueError, OSError):
            pass  # a plain file is always ready; a closed descriptor says so below
        else:
            try:
                await ready.wait()
            finally:
                loop.remove_reader(descriptor)
        try:
            piece = os.read(descriptor, _LINE_MOST)
        except OSError:
            piece = b""
        if not piece:
            break
        read += piece
    return read.partition(b"\n")[0].decode("utf-8", "replace")
