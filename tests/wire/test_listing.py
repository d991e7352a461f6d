"""What the listings promise: everything once, to the end, and no call more than that needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from archiver.adapters.vendor.client import VendorClient
from archiver.core.model import ChannelId
from archiver.ports import Page
from tests.wire.door import Answer, Asked, Clock, Door, reply, visit


class Shop:
    """A vendor with listings that a test can move, cut and bend."""

    def __init__(self, videos: int, **channels: list[int]) -> None:
        self.own = list(range(videos, 0, -1))  # newest first
        self.channels = channels
        self.counters = False
        self.before: Callable[[Asked], web.Response | None] = lambda _: None
        self.next: Callable[[str, int], object] = lambda path, page: f"{path}?page={page}"

    def answer(self, asked: Asked) -> web.Response:
        bent = self.before(asked)
        if bent is not None:
            return bent
        if asked.path == "/users/self/channels.json":
            named = {name.strip("c"): name for name in self.channels}
            found: dict[str, object] = {
                number: {"id": number, "title": name, "authority": {"reason": "shared"}}
                for number, name in named.items()
            }
            found["1"] = {"id": 1, "title": "own", "authority": {"reason": "own"}}
            return reply({"channels": found, "paging": {}})
        if asked.path == "/users/self/videos.json":
            return self.page(asked, self.own, 50)
        number = asked.path.split("/")[2].removesuffix(".json")
        known = self.channels.get(f"c{number}")
        if known is None:
            return reply({"error": "not_found"}, 404)
        if asked.path.endswith("/videos.json"):
            return self.page(asked, known, 50)
        return reply({"channel": {"id": number, "title": f"c{number}"}})

    def page(self, asked: Asked, ids: list[int], most: int) -> web.Response:
        page, size = int(asked.query["page"]), min(int(asked.query["pagesize"]), most)
        shown = [{"id": str(one)} for one in ids[(page - 1) * size : page * size]]
        paging: dict[str, object] = {"item_count": len(ids)} if self.counters else {}
        if page * size < len(ids):
            paging["next"] = self.next(asked.path, page + 1)
        return reply({"videos": shown, "paging": paging})


def listing(
    answer: Answer,
    read: Callable[[VendorClient], AsyncIterator[Page]] = lambda client: client.account_videos(),
    **options: Any,
) -> tuple[list[int], bool, list[Asked]]:
    """The ids as told, whether they are to be believed, and the calls made."""

    async def story() -> tuple[list[int], bool, list[Asked]]:
        async with Door(answer).open() as door, visit(door, Clock(), **options) as client:
            pages = [page async for page in read(client)]
            assert not any(page.complete for page in pages[:-1])
            ids = [video.id for page in pages for video in page.videos]
            assert client.calls.list == len(door.calls())
            return list(map(int, ids)), pages[-1].complete, door.calls()

    return asyncio.run(story())


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 237])
@pytest.mark.parametrize("counters", [False, True])
def test_a_quiet_account_costs_a_call_a_page(count: int, counters: bool) -> None:
    """ceil(n / 50) calls for the videos and one for the channels.

    Where there are several pages and the vendor counts nothing, page 1 is read once more; so is
    a page that is empty.
    """
    shop = Shop(count)
    shop.counters = counters
    ids, complete, calls = listing(shop.answer)
    assert ids == list(range(count, 0, -1))
    assert complete
    pages = max(1, -(-count // 50))
    again = 1 if (pages > 1 and not counters) or not count else 0
    assert len(calls) == pages + again + 1
    assert all(one.query.get("sort") == "recent" for one in calls[:-1])


def test_shared_channels_are_part_of_the_account() -> None:
    """Own videos first, then those of shared channels; what is in both comes once."""
    ids, complete, calls = listing(Shop(60, c900=[7, 500, 501]).answer)
    assert ids == [*range(60, 0, -1), 500, 501]
    assert complete
    assert len(calls) == 5
    assert calls[-1].query["filter[protect]"] == "public,private"


def test_a_shared_channel_that_is_refused_does_not_stop_the_rest() -> None:
    """It is left out, and the listing is not called complete."""
    shop = Shop(3, c900=[500], c901=[501])
    shop.before = lambda asked: reply({}, 403) if "/900/" in asked.path else None
    ids, complete, _ = listing(shop.answer)
    assert ids == [3, 2, 1, 501]
    assert not complete


def test_a_video_added_under_way_is_noticed_by_the_overlap() -> None:
    """A video seen on two pages means movement: the listing is read again, nothing comes twice."""
    shop = Shop(120)

    def move(asked: Asked) -> None:
        if asked.query.get("page") == "2" and 1000 not in shop.own:
            shop.own.insert(0, 1000)

    shop.before = move
    ids, complete, calls = listing(shop.answer)
    assert sorted(ids) == [*range(1, 121), 1000]
    assert complete
    assert len(calls) == 3 + 3 + 1 + 1


def test_a_video_deleted_from_the_first_page_under_way_hides_none() -> None:
    """Without any counter, page 1 read once more shows that the others have moved."""
    shop = Shop(120)

    def move(asked: Asked) -> None:
        if asked.query.get("page") == "2" and 118 in shop.own:
            shop.own.remove(118)

    shop.before = move
    ids, complete, _ = listing(shop.answer)
    assert set(ids) >= set(range(1, 121)) - {118}
    assert complete


def test_a_video_deleted_under_way_is_noticed_by_the_counter() -> None:
    """Where the answers count, a deletion that hides a video is seen, and the video is found."""
    shop = Shop(120)
    shop.counters = True

    def move(asked: Asked) -> None:
        if asked.query.get("page") == "2" and 120 in shop.own:
            shop.own.remove(120)

    shop.before = move
    ids, complete, _ = listing(shop.answer)
    assert set(range(1, 120)) <= set(ids)
    assert complete
    assert len(ids) == len(set(ids))


def test_a_listing_that_never_rests_is_not_believed() -> None:
    """Three walks at most; then what was seen is told, but not as complete."""
    shop = Shop(120)
    new = iter(range(1000, 2000))

    def move(asked: Asked) -> None:
        if asked.query.get("page") == "2":
            shop.own.insert(0, next(new))

    shop.before = move
    ids, complete, calls = listing(shop.answer)
    assert not complete
    assert len(ids) == len(set(ids))
    assert len(calls) <= 3 * 4 + 1


@pytest.mark.parametrize(
    "following",
    [
        lambda path, page: f"{path}?page={page - 1}",
        lambda path, page: f"{path}?page=1",
        lambda path, page: f"{path}?p={page}&page=1",
    ],
)
def test_pages_that_lead_nowhere_end(following: Any) -> None:
    """A ``next`` that leads back ends the walk, and the listing is not believed."""
    shop = Shop(120)
    shop.next = following
    ids, complete, calls = listing(shop.answer)
    assert ids == list(range(120, 70, -1))
    assert not complete
    assert len(calls) <= 5


def test_a_listing_that_ignores_the_page_ends() -> None:
    """The wrong dialect's parameter is ignored by the vendor: page 1 for ever, read twice."""
    shop = Shop(50)
    same = reply
    page = {"videos": [{"id": str(one)} for one in range(50)], "paging": {"next": "/x?page=2"}}
    shop.before = lambda asked: same(page) if "videos" in asked.path else None
    ids, complete, calls = listing(shop.answer)
    assert len(ids) == 50
    assert not complete
    assert len(calls) == 5


@pytest.mark.parametrize(
    "following",
    [
        lambda path, page: {"href": f"https://elsewhere.example{path}?page={page}"},
        lambda path, page: f"//evil.example/x?page={page}&filter[protect]=public&pagesize=1",
        lambda path, page: f"{path}?p={page}&page={page}",
        lambda path, page: "http://[broken",
        lambda path, page: page,
    ],
)
def test_the_token_stays_at_home_whatever_next_says(following: Any) -> None:
    """Of ``next`` only the page counts: the same path, the same filters, our own origin."""
    shop = Shop(0, c900=list(range(1, 121)))
    shop.next = following
    ids, complete, calls = listing(
        shop.answer, lambda client: client.channel_videos(ChannelId(900))
    )
    assert ids == list(range(1, 121))
    assert complete
    assert {one.path for one in calls} == {"/channels/900/videos.json"}
    assert {one.query["filter[protect]"] for one in calls} == {"public,private"}
    assert {one.query["pagesize"] for one in calls} == {"50"}


def test_an_empty_page_in_the_middle_is_passed_over_and_read_again() -> None:
    """While more is announced an empty page is no end, and hides nothing; three in a row are."""
    shop = Shop(120)
    empty = [reply({"videos": {}, "paging": {"next": "/x?page=3"}})]
    shop.before = lambda asked: empty.pop() if asked.query.get("page") == "2" and empty else None
    ids, complete, calls = listing(shop.answer)
    assert sorted(ids) == list(range(1, 121))
    assert complete
    assert len(calls) == 3 + 3 + 1 + 1
    count = 0

    def endless(asked: Asked) -> web.Response | None:
        nonlocal count
        count += 1
        found = {"videos": [], "paging": {"next": f"/x?page={count + 1}"}}
        return reply(found) if "videos" in asked.path else None

    shop.before = endless
    ids, complete, calls = listing(shop.answer)
    assert ids == []
    assert not complete
    assert len(calls) <= 3 * 3 + 1


def test_counters_alone_lead_on_and_may_lie() -> None:
    """Where only ``page_count`` is given it is followed; beyond the end it is not believed."""

    def answer(asked: Asked) -> web.Response:
        page = int(asked.query["page"])
        assert asked.query["pagesize"] == "200"
        shown = [{"id": one} for one in range(1, 401)][(page - 1) * 200 : page * 200]
        return reply({"videos": shown, "paging": {"page_count": 7}})

    ids, complete, calls = listing(answer, lambda client: client.playlist_videos(5))
    assert ids == list(range(1, 401))
    assert complete
    assert len(calls) == 3


def test_without_any_paging_a_full_page_leads_on() -> None:
    """An answer that says nothing of paging is followed until a page is not full."""

    def answer(asked: Asked) -> web.Response:
        page = int(asked.query["page"])
        return reply(
            {"videos": [{"id": one} for one in range(1, 121)][(page - 1) * 50 : page * 50]}
        )

    ids, complete, calls = listing(answer, lambda client: client.channel_videos(ChannelId(5)))
    assert (len(ids), complete, len(calls)) == (120, True, 3 + 1)
