"""The client against the emulated vendor: every misfortune of its API is survived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from archiver.account import Account, Secret
from archiver.adapters.http import open_sessions
from archiver.adapters.vendor.client import VendorClient
from archiver.core.model import Downloadable, Instant, JobKey, Readiness, VideoId
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.faults import FAULTS
from archiver.emulator.server import Emulator
from archiver.errors import BadAnswerError, NotFoundError, WeatherError
from tests.wire.door import Clock

SLOW = {"slow-answer"}  # takes real time; the client only waits
ENDS = {"pending-forever", "not-found", "denied"}  # the vendor's last word on a video
ONCE = {"unauthorized", "revoke-token"}
API = [name for name, fault in FAULTS.items() if fault.where == "api" and name not in SLOW | ENDS]
LIST = [name for name, fault in FAULTS.items() if fault.where == "list"]
TOKEN = [name for name, fault in FAULTS.items() if fault.where == "token"]


@asynccontextmanager
async def emulated(**config: Any) -> AsyncIterator[tuple[Emulator, VendorClient, Clock]]:
    clock = Clock()
    async with Emulator(EmulatorConfig(size=(1, 1), **config), clock.now) as vendor:
        account = Account(
            vendor.api_url, vendor.token_url,
            client_id=vendor.client_id, client_secret=Secret(vendor.client_secret),
        )  # fmt: skip
        async with open_sessions(account) as sessions:
            client = VendorClient(sessions.api, account, clock)
            try:
                yield vendor, client, clock
            finally:
                await client.close()


async def prepared(client: VendorClient, clock: Clock, video_id: int) -> Downloadable:
    """Ask and poll until the file is there, as the plan would."""
    key, asked = JobKey(VideoId(video_id)), False
    for _ in range(60):
        try:
            answer = await (client.status(key) if asked else client.request(key))
        except (WeatherError, BadAnswerError) as error:
            retry_at = getattr(error, "retry_at", None) or 0.0
            await clock.sleep_until(Instant(max(retry_at, clock.now() + 1)))
        except NotFoundError:
            asked = False
        else:
            asked = answer.status is not Readiness.UNAVAILABLE
            if answer.link is not None:
                return answer
            await clock.sleep_until(Instant(clock.now() + 1))
    raise AssertionError("the file never became available")


@pytest.mark.parametrize("fault", [*API, *TOKEN])
def test_a_file_is_had_in_spite_of(fault: str) -> None:
    """Struck by each misfortune of API and token, every file becomes available."""

    async def story() -> None:
        # Two refusals of the token in a row are the person's turn: those strike once a resource.
        faults = (fault if fault in ONCE else f"{fault}*2",)
        async with emulated(videos=3, channels=1, faults=faults) as (vendor, client, clock):
            for video_id in vendor.world.account.videos:
                assert (await prepared(client, clock, video_id)).link is not None
                await prepared(client, clock, video_id)
            assert vendor.stats["faults"].get(fault), "the misfortune never struck"

    asyncio.run(story())


@pytest.mark.parametrize("fault", LIST)
def test_a_listing_is_whole_in_spite_of(fault: str) -> None:
    """Each misfortune of listings costs calls at most, never a video that was there throughout."""

    async def story() -> None:
        config = {"videos": 130, "channels": 2, "faults": (fault,), "private_share": 0.5}
        async with emulated(**config) as (vendor, client, _):
            there = set(vendor.world.account.videos)
            pages = [page async for page in client.account_videos()]
            ids = [video.id for page in pages for video in page.videos]
            assert len(ids) == len(set(ids))
            missing = (there & set(vendor.world.account.videos)) - set(ids)
            if pages[-1].complete:
                # What no counter shows cannot be seen: one video may slip behind a deletion.
                assert len(missing) <= (1 if fault == "shrinking-page" else 0)

    asyncio.run(story())


@pytest.mark.parametrize("style", ["body", "raw-basic", "basic"])
def test_the_limit_is_never_passed(style: str) -> None:
    """Sixty files under a limit of 20 calls a minute: not one 429."""

    async def story() -> None:
        config = {"videos": 60, "rate_limit": 20, "secret_style": style, "channels": 3}
        async with emulated(**config) as (vendor, client, clock):
            pages = [page async for page in client.account_videos()]
            ids = [video.id for page in pages for video in page.videos]
            assert pages[-1].complete
            assert sorted(ids) == sorted(vendor.world.account.videos)
            async with asyncio.TaskGroup() as group:
                for video_id in ids:
                    group.create_task(prepared(client, clock, video_id))
            assert vendor.stats["rate_limited"] == 0

    asyncio.run(story())
