"""A service that is told of nights: it keeps what it was asked, and answers as it is told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Service:
    """Whoever is asked, what it was asked (method, path, body), and what it will answer."""

    answers: list[int] = field(default_factory=list)
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Keep a request; the answers that were not set are 200."""
        self.asked.append((request.method, request.raw_path, await request.read()))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    def paths(self) -> list[str]:
        """What was asked, and forget it."""
        found = [path for _, path, _ in self.asked]
        self.asked.clear()
        return found


@contextlib.asynccontextmanager
async def listening(*answers: int) -> AsyncIterator[Service]:
    """A service that gives these answers first."""
    service = Service(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", service.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    service.url = f"http://{host}:{port}"
    try:
        yield service
    finally:
        await runner.cleanup()
