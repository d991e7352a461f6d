"""Stop a run in mid-download, run again: only 64 KiB a file come twice, to compare them."""

import asyncio
import sys

from archiver import Account, Archive, Secret, events
from archiver.emulator.server import Emulator, EmulatorConfig


async def main(dest: str) -> int:
    config = EmulatorConfig(videos=3, size=(300_000, 400_000), line_bytes_s=1_000_000)
    async with Emulator(config) as vendor:
        token = Secret(vendor.access_token)
        account = Account(vendor.api_url, vendor.token_url, access_token=token)
        async with Archive.open(dest, account=account) as archive:
            run, received = archive.run(), 0
            async for event in run:
                if isinstance(event, events.Received):
                    received += event.bytes
                    if received > 500_000:
                        run.stop()
            again = await archive.run().wait()
    print(f"{run.summary.outcome} after {run.summary.bytes_downloaded:,} bytes, then", end=" ")
    print(f"{again.outcome} after {again.bytes_downloaded:,} more")
    return again.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "stopped-archive")))
