"""The production byte path, and nothing else: hash, sync and ledger are left out by composition."""

from __future__ import annotations

import asyncio
import hashlib
import os
from functools import partial
from pathlib import Path
from typing import Any

from archiver.account import Account
from archiver.adapters.clock import SystemClock
from archiver.adapters.disk import Os, Threads
from archiver.adapters.download import HttpSource
from archiver.adapters.download_body import Limits
from archiver.adapters.http import tls_context
from archiver.adapters.part import GATHER_BYTES, LocalPart
from archiver.connecting import byte_workers
from archiver.core.model import NOTHING, Link, Saved
from bench.downloads.ours import command


class _Unsynced(Os):
    """A disk that is never asked to make anything durable."""

    def fdatasync(self, fd: int) -> None:
        """Nothing."""

    def sync_folder(self, folder: int) -> None:
        """Nothing."""


class _Unhashed:
    """Stands where a hash would be."""

    def update(self, _data: object) -> None:
        """Nothing."""

    def hexdigest(self) -> str:
        """The hash of nothing."""
        return hashlib.sha256().hexdigest()


class _Unrecorded:
    """Nobody follows the transfer, and nothing is written down."""

    def received(self, count: int) -> None:
        """Nothing."""

    async def durable(self, saved: Saved) -> None:
        """Nothing."""


_SYSTEM = _Unsynced()


class BarePart(LocalPart):
    """The production part, which writes and does nothing else."""

    def __init__(self, path: Path, folder: int, threads: Threads) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        super().__init__(fd, folder, _SYSTEM, threads, gather_bytes=GATHER_BYTES, is_new=False)
        nothing: Any = _Unhashed()
        self._hash = nothing


async def bytes_only(urls: list[str], out: Path, account: Account, downloads: int) -> None:
    """Download all of *urls* into *out*, so many at a time."""
    threads, waiting = Threads(), iter(urls)
    folder = os.open(out, os.O_RDONLY)
    limits = Limits(sync_bytes=1 << 62, sync_s=float("inf"))
    make = partial(HttpSource, account=account, clock=SystemClock(), limits=limits)
    async with byte_workers(account, tls_context(account.ca_file), downloads, make) as source:

        async def work() -> None:
            for url in waiting:
                part = BarePart(out / url.rpartition("/")[2], folder, threads)
                await source.fetch(Link(url), NOTHING, part, _Unrecorded())
                await part.sync()
                await part.close()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(downloads):
                tasks.create_task(work())
    os.close(folder)
    threads.close()


if __name__ == "__main__":
    command(bytes_only)
