"""Stop a run in mid-download, run again: only 64 KiB a file come twice, to compare them."""

import asyncio
import sys
import time

import anyio

from archiver import archive
from archiver.account import Account, Secret
from archiver.console_lines import Lines
from archiver.core.model import Job
from archiver.core.selection import AccountSource
from archiver.emulator.server import Emulator, EmulatorConfig


async def main(dest: str) -> int:
    stop = anyio.Event()

    class Watching(Lines):
        def received(self, job: Job, count: int) -> None:
            super().received(job, count)
            if self.tally.received_bytes > 500_000:
                stop.set()

    config = EmulatorConfig(videos=3, size=(300_000, 400_000), line_bytes_s=1_000_000)
    async with Emulator(config) as vendor:
        token = Secret(vendor.access_token)
        account = Account(vendor.api_url, vendor.token_url, access_token=token)
        wanted = archive.RunOptions(sources=(AccountSource(),))
        watching = Watching(sys.stderr, time.time)
        first = await archive.run(dest, account, wanted, watching, stop)
        second = await archive.run(dest, account, wanted, watching, anyio.Event())
    print(f"{first.outcome} after {first.bytes_downloaded:,} bytes, then", end=" ")
    print(f"{second.outcome} after {second.bytes_downloaded:,} more")
    return second.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "stopped-archive")))
