"""The program as a process, and a vendor that it reaches on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from tests.authorities import NO_AUTHORITIES
from tests.crash.program import fork
from tests.faults.process import command

_ONE_AT_A_TIME = threading.Lock()
SMALL = EmulatorConfig(
    videos=4, channels=1, playlists=0, size=(20_000, 60_000), generation_s=(0.05, 0.2)
)
# A window of a day and a line this slow: whatever is running is still running when we look.
SLOW = EmulatorConfig(
    videos=4, channels=1, playlists=0, size=(400_000, 500_000), generation_s=(0.0, 0.1),
    line_bytes_s=100_000.0,
)  # fmt: skip


async def start(*args: str, env: dict[str, str], **more: Any) -> asyncio.subprocess.Process:
    """``archiver`` with these arguments, and nothing but *env* around it, as under cron."""
    return await asyncio.create_subprocess_exec(
        *command(), *args, env={"HOME": "/nonexistent", **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, **more,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit code and both outputs."""
    out, err = await asyncio.wait_for(process.communicate(), 40)
    return process.returncode, out.decode(), err.decode()


async def archiver(*args: str, env: dict[str, str] | None = None) -> tuple[int | None, str, str]:
    """The same to its end, without the time that imports take."""
    return await asyncio.to_thread(_forked, args, {"HOME": "/nonexistent", **(env or {})})


def _forked(args: tuple[str, ...], env: dict[str, str]) -> tuple[int | None, str, str]:
    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory() as said:
        told = fork(args, env=env, cwd=Path.cwd(), said=Path(said))
    return told.code, told.out, told.err


@contextlib.asynccontextmanager
async def vendor(config: EmulatorConfig) -> AsyncIterator[dict[str, str]]:
    """A vendor, and the environment in which the program reaches it."""
    async with Emulator(config) as emulator:
        yield reaching(emulator)


def reaching(emulator: Emulator) -> dict[str, str]:
    """The environment in which the program reaches a vendor."""
    return {
        "ARCHIVER_API_URL": emulator.api_url, "ARCHIVER_TOKEN_URL": emulator.token_url,
        "ARCHIVER_CLIENT_ID": emulator.client_id,
        "ARCHIVER_CLIENT_SECRET": emulator.client_secret, **NO_AUTHORITIES,
    }  # fmt: skip
