"""The command line of our own downloaders: ``python -m bench.downloads.KIND URLS OUT``.

Rule: a kind imports what it works with and no more, since its start is measured with the rest.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from archiver.account import Account, Secret

LOCAL = "http://127.0.0.1:1"  # the vendor's place: downloads may be on this machine as well
Work: TypeAlias = Callable[[list[str], Path, Account, int], Awaitable[None]]


def command(work: Work) -> None:
    """Read the command line, and download all addresses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", type=Path, help="a file with one address a line")
    parser.add_argument("out", type=Path)
    parser.add_argument("--ca")
    parser.add_argument("--downloads", type=int, default=16, help="at a time")
    given = parser.parse_args()
    account = Account(
        api_url=LOCAL, token_url=LOCAL, access_token=Secret("none"), ca_file=given.ca
    )  # fmt: skip
    urls = given.urls.read_text().split()

    async def main() -> None:
        await work(urls, given.out, account, given.downloads)

    asyncio.run(main())
