"""A browser with an owner before it who agrees to everything: follows the page's redirect."""

from __future__ import annotations

import asyncio
import sys

import aiohttp


async def visit(url: str) -> None:
    """Look at *url*, and at where it leads."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        await response.read()


if __name__ == "__main__":
    asyncio.run(visit(sys.argv[1]))
