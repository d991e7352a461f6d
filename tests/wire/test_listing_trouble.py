"""What the readers of listings promise in bad weather, and about single objects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web

from archiver.account import Secret
from archiver.adapters.vendor.client import VendorClient
from archiver.core.model import ChannelId, JobKey, VideoId
from archiver.core.selection import ALL, AccountSource, ChannelSource
from archiver.errors import BadAnswerError, ListingError, NotFoundError, WeatherError
from archiver.lister import Lister
from archiver.ports import Page
from tests.hasty import Watcher
from tests.wire.door import START, Asked, Clock, Door, reply, visit
from tests.wire.test_listing import Shop, listing


def test_bad_weather_is_waited_out() -> None:
    """503, a cut answer and a page of text under way cost time and no video."""
    shop = Shop(120)
    trouble = iter(
        [
            reply({}, 503),
            reply({}, 503),
            reply('{"videos": [{"id"'),
            reply("<html>"),
            reply({}, 500),
        ]
    )
    shop.before = lambda asked: next(trouble, None) if asked.query.get("page") == "2" else None
    ids, complete, _ = listing(shop.answer)
    assert ids == list(range(120, 0, -1))
    assert complete


def test_weather_is_not_waited_out_for_ever() -> None:
    """After ``max_wait_s`` the listing gives up with the weather's own error."""

    async def story() -> None:
        clock = Clock()
        down = Door(lambda _: reply({}, 503))
        async with down.open() as door, visit(door, clock, max_wait_s=300.0) as client:
            with pytest.raises(WeatherError):
                async for _ in client.account_videos():
                    pass
            assert START + 300 <= clock.at <= START + 340
            assert len(door.calls()) < 20

    asyncio.run(story())


def test_nonsense_for_ever_is_an_error_that_says_so() -> None:
    """Four unreadable answers in a row end the listing with a sentence."""
    with pytest.raises(ListingError, match="no JSON"):
        listing(lambda _: reply("hello"))


def test_what_the_vendor_does_not_know_is_not_found() -> None:
    """A channel or playlist that is not there says so at once: 404 is no weather."""
    shop = Shop(3)
    with pytest.raises(NotFoundError):
        listing(shop.answer, lambda client: client.channel_videos(ChannelId(5)))
    with pytest.raises(NotFoundError):
        listing(shop.answer, lambda client: client.playlist_videos(5))


@pytest.mark.parametrize("status", [403, 404])
def test_channels_that_may_not_be_listed_are_told_with_advice(status: int) -> None:
    """A role that sees no channels ends the run with a sentence, not with a trace."""

    async def story() -> None:
        refusing = Door(lambda _: reply({"error": "lack_of_ownership"}, status))
        async with refusing.open() as door, visit(door, Clock()) as client:
            lister = Lister(client, None, Clock(), Watcher())
            with pytest.raises(ListingError) as told:
                async for _ in lister.videos((AccountSource(),), ALL):
                    pass
            assert "role" in told.value.hint

    asyncio.run(story())


def test_a_channel_that_was_named_is_home_to_its_videos() -> None:
    """By its name as by its number, though its listing need not say it in each video."""

    async def story() -> None:
        def answer(asked: Asked) -> web.Response:
            if asked.path == "/users/self/channels.json":
                return reply({"channels": {"3": {"id": "3", "title": "Three"}}})
            return reply({"videos": [{"id": "7", "title": "Seven"}], "paging": {"item_count": 1}})

        async with Door(answer).open() as door, visit(door, Clock()) as client:
            lister = Lister(client, None, Clock(), Watcher())
            found = [b async for b in lister.videos((ChannelSource("three"),), ALL)]
            assert [(v.id, v.channel_id) for batch in found for v in batch] == [(7, 3)]

    asyncio.run(story())


def test_a_host_name_that_no_resolver_takes_is_weather() -> None:
    """A label that is empty or too long is refused before any packet, in a way of its own."""

    async def story() -> None:
        door = Door(lambda _: reply({}))
        for url in ("https://a..b", f"https://{'a' * 64}.example"):
            account = replace(door.account(), api_url=url, access_token=Secret("t"))
            async with visit(door, Clock(), account) as client:
                with pytest.raises(WeatherError, match="name is not known"):
                    await client.status(JobKey(VideoId(1)))

    asyncio.run(story())


def test_channels_listed_a_moment_ago_are_not_listed_again() -> None:
    """Who asks for the channels and then for the account's videos pays for the channels once."""

    async def both(client: VendorClient) -> AsyncIterator[Page]:
        assert [channel.id async for channel in client.channels()] == [900, 1]
        async for page in client.account_videos():
            yield page

    ids, complete, calls = listing(Shop(60, c900=[500]).answer, both)
    assert (len(ids), complete, len(calls)) == (61, True, 5)


def test_a_channel_is_found_by_its_id_or_its_name() -> None:
    """By ID one call; by name through the list, else by its page; never a guess among several."""

    async def story() -> None:
        def answer(asked: Asked) -> web.Response:
            if asked.path in ("/channels/3.json", "/channels/tres.json"):
                return reply({"channel": {"id": "3", "title": "Three"}})
            if asked.path == "/users/self/channels.json":
                assert asked.query == {"p": asked.query["p"], "pagesize": "100"}
                second = asked.query["p"] == "2"
                paging = {} if second else {"next": {"href": "https://x/y?p=2&pagesize=100"}}
                twice = {"5": {"id": "5", "title": "Twin"}, "6": {"id": "6", "title": "twin"}}
                three = {"3": {"id": "3", "title": "Three", "url": "https://x/channel/drei"}}
                return reply({"channels": twice if second else three, "paging": paging})
            return reply({"error": "not_found"}, 404)

        async with Door(answer).open() as door, visit(door, Clock()) as client:
            assert (await client.channel("3")).title == "Three"
            assert (await client.channel(" three ")).id == 3
            assert (await client.channel("drei")).id == 3
            assert (await client.channel("tres")).id == 3
            for name in ("nobody", "4"):
                with pytest.raises(NotFoundError):
                    await client.channel(name)
            with pytest.raises(ListingError, match="Several"):
                await client.channel("twin")
            assert [channel.id async for channel in client.channels()] == [3, 5, 6]

    asyncio.run(story())


def test_a_videos_own_page_must_be_about_it() -> None:
    """Under ``video`` or bare; the answer to another question is not taken for this one."""

    async def story() -> None:
        def answer(asked: Asked) -> web.Response:
            number = asked.path.split("/")[2].removesuffix(".json")
            shown = {"7": {"video": {"id": "7", "title": "x"}}, "8": {"id": 8, "title": "y"},
                     "9": {"video": {"id": "7"}}}  # fmt: skip
            return reply(shown[number]) if number in shown else reply({"error": "not_found"}, 404)

        async with Door(answer).open() as door, visit(door, Clock()) as client:
            assert (await client.video(VideoId(7))).title == "x"
            assert (await client.video(VideoId(8))).title == "y"
            with pytest.raises(BadAnswerError):
                await client.video(VideoId(9))
            with pytest.raises(NotFoundError):
                await client.video(VideoId(10))

    asyncio.run(story())


def test_what_is_listed_is_kept_whole() -> None:
    """Unknown fields of a listed video stay in ``raw``; objects without an id are left out."""
    found = {"id": "1", "title": "t", "brand_new": [1, {"a": None}]}

    async def story() -> None:
        def answer(_: Asked) -> web.Response:
            return reply({"videos": [found, {"id": "../2"}, {"title": "x"}, 5], "paging": []})

        async with Door(answer).open() as door, visit(door, Clock()) as client:
            pages = [page async for page in client.channel_videos(ChannelId(1))]
            assert [json.loads(video.raw) for page in pages for video in page.videos] == [found]

    asyncio.run(story())
