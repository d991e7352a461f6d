"""Ask before and after: what a run would do, where every video stands, whether the files match."""

import asyncio
import sys

from archiver import Account, Archive, Filter, RunOptions, Secret
from archiver.emulator.server import Emulator, EmulatorConfig


async def main(dest: str) -> int:
    config = EmulatorConfig(videos=5, size=(20_000, 90_000), generation_s=(0.0, 0.2))
    async with Emulator(config) as vendor:
        account = Account(
            api_url=vendor.api_url, token_url=vendor.token_url, client_id=vendor.client_id,
            client_secret=Secret(vendor.client_secret),
        )  # fmt: skip
        async with Archive.open(dest, account=account) as archive:
            await archive.run(options=RunOptions(filter=Filter(limit=2))).wait()
            plan = await archive.plan("account")
    print(f"still missing: {plan.new} videos, about {plan.bytes_to_fetch:,} bytes")
    async with Archive.open(dest) as archive:  # what is here can be asked without an account
        states = (await archive.status()).states
        print("states:", {str(state): count for state, count in states.items() if count})
        async for row in archive.videos():
            print(row.video.id, row.state, row.holding.path if row.holding else row.video.title)
        verdict = await archive.verify()
    print("all files match" if verdict.exit_code == 0 else verdict.as_json())
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "partial-archive")))
