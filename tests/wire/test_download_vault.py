"""The download into the real part of a real archive, over breaks, cancellations and restarts."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from archiver.account import Account
from archiver.adapters.address_policy import download_resolver
from archiver.adapters.clock import SystemClock
from archiver.adapters.download import HttpSource
from archiver.adapters.download_body import Limits
from archiver.adapters.http import open_sessions
from archiver.adapters.publish import LocalVault
from archiver.core.model import NOTHING, JobKey, Link, Saved, VideoId
from archiver.errors import Misfortune
from tests.wire.download_bench import LOCAL, Told, video
from tests.wire.raw_server import File, Handler, RawServer, cut, in_turn

KEY = JobKey(VideoId(1))
CONTENT = video(1_500_000)
FILE = File(CONTENT)


async def _night(
    vault: LocalVault, handler: Handler, account: Account, *, interrupt: bool = False
) -> tuple[int, str]:
    """Fetch until it is there, as `perform` would; returns the attempts and the hash."""
    saved: Saved = NOTHING
    async with (
        RawServer(handler) as server,
        open_sessions(account, download_resolver=download_resolver(account)) as sessions,
    ):
        limits = Limits(sync_bytes=200_000, stall_s=5)
        source = HttpSource(sessions.downloads, account, SystemClock(), limits=limits)
        for attempt in range(1, 20):
            part, saved = await vault.part(KEY, saved)
            told = Told()
            try:
                fetch = asyncio.create_task(source.fetch(Link(server.url), saved, part, told))
                while interrupt and told.count < 400_000 and not fetch.done():
                    await asyncio.sleep(0)
                if interrupt and attempt < 3:
                    fetch.cancel()
                done = await fetch
                assert await part.sync() == done.total
                return attempt, await part.sha256()
            except (Misfortune, asyncio.CancelledError):
                saved = told.reported[-1] if told.reported else saved
            finally:
                await part.close()
    raise AssertionError("no end")


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_file_is_exact_after_every_kind_of_break(tmp_path: Path, *, interrupt: bool) -> None:
    """D01, and an interrupt: the hash is that of the file, whatever came in between."""
    breaks = [1, 65_536, 262_144, 700_000, len(CONTENT) - 1]
    broken = [lambda r, at=at: cut(FILE(r), at, "close") for at in breaks]
    handler = FILE if interrupt else in_turn(*broken, FILE)
    with LocalVault.open(tmp_path / "archive", create=True) as vault:
        attempts, sha256 = asyncio.run(_night(vault, handler, LOCAL, interrupt=interrupt))
    assert sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert attempts > 1
