"""A small vendor behind a real socket, whose every answer a test writes itself."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from archiver.account import Account, Secret
from archiver.adapters.http import open_sessions
from archiver.adapters.vendor.client import VendorClient
from archiver.core.model import Instant

SECRET = "s3cret-of-the-client"
START = 1_700_000_000.0


class Clock:
    """Time that passes only when somebody waits for it."""

    def __init__(self) -> None:
        self.at = START
        self.heard_dates: list[str] = []

    def now(self) -> Instant:
        return Instant(self.at)

    def heard(self, date: str, sent_at: Instant, got_at: Instant) -> None:
        self.heard_dates.append(date)

    async def sleep_until(self, at: Instant) -> None:
        await asyncio.sleep(0)
        self.at = max(self.at, at)


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    head: Mapping[str, str]
    form: Mapping[str, Any]

    @property
    def bearer(self) -> str:
        return self.head.get("Authorization", "").removeprefix("Bearer ")


Answer = Callable[[Asked], web.StreamResponse | Awaitable[web.StreamResponse]]


def reply(value: object = None, status: int = 200, **headers: object) -> web.Response:
    """JSON; ``remaining=3`` becomes the header X-RateLimit-Remaining."""
    named = {f"X-RateLimit-{name.title()}": str(shown) for name, shown in headers.items()}
    body = value if isinstance(value, str) else json.dumps(value)
    return web.Response(text=body, status=status, headers=named, content_type="application/json")


def token(name: str = "t1", **more: object) -> web.Response:
    return reply({"access_token": name, "token_type": "bearer", "expires_in": 86_400, **more})


@dataclass
class Door:
    """The server: ``answer`` is asked for the API, ``grant`` for the token."""

    answer: Answer
    grant: Answer = lambda _: token()
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def calls(self, path: str = "") -> list[Asked]:
        """The API's requests, or those of one path."""
        return [one for one in self.asked if one.path != "/token" and path in one.path]

    @property
    def grants(self) -> list[Asked]:
        return [one for one in self.asked if one.path == "/token"]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        form = await request.post() if request.method == "POST" else {}
        asked = Asked(request.method, request.path, dict(request.query), request.headers, form)
        self.asked.append(asked)
        found = (self.grant if request.path == "/token" else self.answer)(asked)
        return found if isinstance(found, web.StreamResponse) else await found

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Door]:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def account(self, **more: Any) -> Account:
        given = {"client_id": "c" * 40, "client_secret": Secret(SECRET), **more}
        return Account(**{"api_url": self.url, "token_url": f"{self.url}/token", **given})


@asynccontextmanager
async def visit(
    door: Door, clock: Clock, account: Account | None = None, **options: Any
) -> AsyncIterator[VendorClient]:
    """A client at the open door."""
    known = door.account() if account is None else account
    async with open_sessions(known, requests=options.get("requests", 8)) as sessions:
        client = VendorClient(sessions.api, known, clock, **options)
        try:
            yield client
        finally:
            await client.close()


STYLES = {
    "body": lambda asked: asked.form.get("client_secret") == SECRET,
    "raw-basic": lambda asked: asked.head.get("Authorization") == f"Basic {SECRET}",
    "basic": lambda asked: (
        asked.head.get("Authorization")
        == "Basic " + base64.b64encode(f"{'c' * 40}:{SECRET}".encode()).decode()
    ),
}


def numbered() -> Any:
    """A token address that gives t1, t2, t3 …"""
    given = 0

    def grant(_: Asked) -> web.Response:
        nonlocal given
        given += 1
        return token(f"t{given}")

    return grant
