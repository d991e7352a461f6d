"""A vendor of our own: the API and the download host on two real ports of this machine.

Rule: what a client sees is what the reference says, and nothing else; ``/_emulator/`` is for tests.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aiohttp import web

from archiver.emulator import wire
from archiver.emulator.api import ApiDoor
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.control import ControlDoor
from archiver.emulator.download import DownloadDoor
from archiver.emulator.line import Line
from archiver.emulator.oauth import OauthDoor
from archiver.emulator.stats import Stats
from archiver.emulator.tokens import Quota, Tokens
from archiver.emulator.world import World

DATE_SKEW_S = 3 * 3600.0

__all__ = ["Emulator", "EmulatorConfig"]


class Emulator:
    """One emulated vendor, alive inside ``async with``.

    Attributes:
        world: what the vendor has and knows; tests change it at will.
        tokens: who may speak; ``tokens.revoke()`` ends every access token.
        line: ``line.bytes_s`` is what all downloads share.
        api_url: the API's origin, without a slash at its end.
        token_url: of the OAuth token endpoint, on the API's origin.
        authorize_url: where an owner agrees; this one does so at once.
        download_url: the origin that download addresses lead to.
        client_id: of the one client that is known.
        client_secret: its secret.
        access_token: a good token, as if asked for at the start.

    Args:
        config: what kind of vendor.
        clock: Unix seconds; the vendor's clock is this one plus ``clock_skew_s``.
    """

    def __init__(
        self, config: EmulatorConfig | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.config = config or EmulatorConfig()
        self._clock = clock
        self.world = World(self.config)
        self.tokens = Tokens(self.config)
        self.line = Line(self.config.line_bytes_s)
        self._counted = Stats()
        self._quota = Quota(self.config)
        self._runners: list[web.AppRunner] = []
        self.api_url = self.token_url = self.authorize_url = self.download_url = ""
        self.client_id, self.client_secret = self.tokens.client_id, self.tokens.client_secret
        self.access_token = str(self.tokens.issue(self.now())["access_token"])

    def now(self) -> float:
        """The vendor's time, in Unix seconds."""
        return self._clock() + self.config.clock_skew_s

    @property
    def stats(self) -> dict[str, Any]:
        """All counters, as ``GET /_emulator/stats`` shows them."""
        return {
            **self._counted.as_json(),
            "rate_limited": self._quota.limited,
            "impatient": self._quota.impatient,
            "expired": self.world.expired(self.now()),
            "versions": len(self.world.versions),
            "fetched": sum(version.fetched for version in self.world.versions),
            "faults": dict(self.world.faults.fired),
        }

    async def __aenter__(self) -> Emulator:
        # Bound before anything is built: the handlers need the ports in their links.
        host = self.config.host
        sockets = [
            socket.create_server((host, port), backlog=512)
            for port in (self.config.port, self.config.download_port)
        ]
        urls = [f"http://{host}:{bound.getsockname()[1]}" for bound in sockets]
        await self.open(*urls)
        for runner, bound in zip(self._runners, sockets, strict=True):
            await web.SockSite(runner, bound).start()
        return self

    async def open(self, api_url: str, download_url: str) -> None:
        """Be ready under these origins without listening anywhere: ``server_of`` answers.

        Whoever calls this calls ``close`` in the end.
        """
        self.api_url, self.download_url = api_url, download_url
        self.token_url = f"{self.api_url}/oauth2/token"
        self.authorize_url = f"{self.api_url}/authorize"
        pair = (self.api_url, self.download_url)
        counted, world = self._counted, self.world
        api = ApiDoor(world, self.tokens, self._quota, counted, self.now, pair)
        downloads = DownloadDoor(world, counted, self.line, self._date, self.now, pair)
        control = ControlDoor(world, self.tokens, self.line, lambda: self.stats)
        for app in (self._api_app(api, control), self._download_app(downloads)):
            app.on_response_prepare.append(self._put_date)
            runner = web.AppRunner(
                app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05
            )
            await runner.setup()
            self._runners.append(runner)

    def server_of(self, origin: str) -> web.Server:
        """Makes the protocol that answers one connection to ``api_url`` or ``download_url``.

        Raises:
            KeyError: neither of them.
        """
        found = dict(zip((self.api_url, self.download_url), self._runners, strict=True))
        server = found[origin].server
        assert server is not None
        return server

    def _api_app(self, api: ApiDoor, control: ControlDoor) -> web.Application:
        app = web.Application()
        control.add_routes(app)
        oauth = OauthDoor(self.tokens, self.world.faults, self._counted, self.now)
        oauth.add_routes(app)
        app.router.add_route("*", "/{path:.*}", api.handle)
        return app

    def _download_app(self, downloads: DownloadDoor) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", downloads.handle)
        return app

    def cut(self) -> None:
        """Break every connection, as a cable that is pulled; new ones are accepted."""
        for runner in self._runners:
            for handler in runner.server.connections if runner.server else ():
                if handler.transport is not None:
                    handler.transport.abort()

    async def _put_date(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = self._date(request.path)

    def _date(self, path: str) -> str:
        skewed = self.world.faults.strikes("date-skew", path)
        return wire.http_date(self.now() + (DATE_SKEW_S if skewed else 0.0))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of every connection and answer no more."""
        for runner in self._runners:
            await runner.cleanup()
