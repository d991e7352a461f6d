"""Ask before and after: what a run would do, where every video stands, whether the files match."""

import asyncio
import sys
import time

import anyio

from archiver import archive
from archiver.account import Account, Secret
from archiver.console_lines import WARNING, Lines
from archiver.core.selection import AccountSource, Filter
from archiver.emulator.server import Emulator, EmulatorConfig


async def main(dest: str) -> int:
    config = EmulatorConfig(videos=5, size=(20_000, 90_000), generation_s=(0.0, 0.2))
    async with Emulator(config) as vendor:
        account = Account(
            api_url=vendor.api_url, token_url=vendor.token_url, client_id=vendor.client_id,
            client_secret=Secret(vendor.client_secret),
        )  # fmt: skip
        quiet = Lines(sys.stderr, time.time, least=WARNING)
        two = archive.RunOptions(sources=(AccountSource(),), filter=Filter(limit=2))
        await archive.run(dest, account, two, quiet, anyio.Event())
        plan = await archive.plan(
            dest, account, archive.RunOptions(sources=(AccountSource(),)), quiet
        )
    print(f"still missing: {plan.new} videos, about {plan.bytes_to_fetch:,} bytes")
    status = await archive.status(dest)
    print("states:", {str(state): count for state, count in status.states.items() if count})
    verdict = await archive.verify(dest)
    print("all files match" if verdict.exit_code == 0 else verdict.as_json())
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "partial-archive")))
