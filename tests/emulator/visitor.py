"""A plain client for the emulator's tests: it repeats nothing and believes everything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from archiver.emulator.server import Emulator, EmulatorConfig

QUICK = {"generation_s": (0.0, 0.0), "size": (60_000, 90_000), "videos": 4, "channels": 1}


@dataclass
class Said:
    """One answer, as read."""

    status: int
    body: bytes
    headers: Any


@dataclass
class Visitor:
    """A session with both origins."""

    emulator: Emulator
    session: aiohttp.ClientSession

    @property
    def video_id(self) -> int:
        return next(iter(self.emulator.world.account.videos))

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.emulator.access_token}"}

    async def call(self, path: str, method: str = "GET") -> Said:
        """One call of the API."""
        url = path if path.startswith("http") else self.emulator.api_url + path
        async with self.session.request(method, url, headers=self.bearer) as response:
            return Said(response.status, await response.read(), response.headers)

    async def json(self, path: str, method: str = "GET") -> Any:
        """One call of the API that goes well."""
        async with self.session.request(
            method, self.emulator.api_url + path, headers=self.bearer
        ) as response:
            assert response.status == 200, (path, response.status)
            return await response.json()

    async def status(self, method: str = "GET", video_id: int = 0, kind: str = "mp4") -> Any:
        """What the API says of the downloadable version."""
        path = f"/videos/{video_id or self.video_id}/downloadable/{kind}.json"
        return (await self.json(path, method))["downloadable"]

    async def address(self, video_id: int = 0, kind: str = "mp4") -> str:
        """Asks for a file and waits for its address."""
        said = await self.status("POST", video_id, kind)
        while said["status"] == "pending":
            await asyncio.sleep(0.01)
            said = await self.status("GET", video_id, kind)
        return str(said["download_url"])

    async def fetch(self, url: str, **headers: str) -> Said:
        """One GET at the download host, following nothing and decoding nothing."""
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        async with self.session.get(url, headers=names, allow_redirects=False) as response:
            return Said(response.status, await response.read(), response.headers)

    def truth(self, video_id: int = 0) -> bytes:
        """The whole file as it would be prepared now."""
        content = self.emulator.world.content(video_id or self.video_id, "mp4")
        return content.read(0, content.size)


@contextlib.asynccontextmanager
async def visit(**settings: Any) -> AsyncIterator[Visitor]:
    """An emulator and a client, both gone afterwards."""
    async with (
        Emulator(EmulatorConfig(**{**QUICK, **settings})) as emulator,
        aiohttp.ClientSession(
            auto_decompress=False, timeout=aiohttp.ClientTimeout(total=20)
        ) as session,
    ):
        yield Visitor(emulator, session)
