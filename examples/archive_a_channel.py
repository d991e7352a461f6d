"""Archive one channel from Python.  The built-in emulator stands in for the vendor.

For the real one: ``account = archiver.load_account()``, which is what the commands use.
"""

import asyncio
import sys

from archiver import Account, Archive, Secret, events
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
        async with Archive.open(dest, account=account) as archive:
            run = archive.run(f"channel:{channel}")
            async for event in run:
                match event:
                    case events.Archived(_, holdings):
                        print(holdings[0].sha256, holdings[0].path)
                    case events.Note(text, warning=True) | events.Postponed(reason=text):
                        print(text, file=sys.stderr)
                    case _:  # downloads that begin and grow, states that change
                        pass
    done = run.summary
    print(f"{done.outcome}: {done.archived} of {done.selected} videos archived now")
    return done.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "channel-archive")))
