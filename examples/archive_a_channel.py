"""Archive one channel from Python.  The built-in emulator stands in for the vendor.

For the real one, leave the two addresses out:
``Account(client_id="…", client_secret=Secret("…"))``.
"""

import asyncio
import sys
import time

import anyio

from archiver import archive
from archiver.account import Account, Secret
from archiver.console_lines import Lines
from archiver.core.selection import parse_source
from archiver.emulator.server import Emulator, EmulatorConfig


async def main(dest: str) -> int:
    config = EmulatorConfig(videos=6, channels=2, size=(20_000, 90_000), generation_s=(0.0, 0.2))
    async with Emulator(config) as vendor:
        account = Account(
            api_url=vendor.api_url,
            token_url=vendor.token_url,
            client_id=vendor.client_id,
            client_secret=Secret(vendor.client_secret),
        )
        channel = min(vendor.world.account.channels)
        options = archive.RunOptions(sources=(parse_source(f"channel:{channel}"),))
        watching = Lines(sys.stderr, time.time)
        summary = await archive.run(dest, account, options, watching, anyio.Event())
    print(f"{summary.outcome}: {summary.archived} of {summary.selected} videos archived now")
    async for row in archive.catalogue(dest):
        print(row.as_json()["sha256"], row.as_json()["path"])
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "channel-archive")))
