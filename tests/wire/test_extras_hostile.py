"""Extras of a vendor that answers anything at all: nothing but our own errors leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiohttp import web

from archiver.account import Account, Secret
from archiver.adapters.clock import SystemClock
from archiver.adapters.http import open_sessions
from archiver.adapters.small_download import SmallDownloads
from archiver.adapters.vendor.client import VendorClient
from archiver.adapters.vendor.extras import MOST_PAGES, ExtrasClient
from archiver.adapters.vendor.wire_extras import CAPTION_MOST, DEPTH_MOST
from archiver.core import extras
from archiver.core.extras_document import composed, is_changed
from archiver.core.model import ChannelId, VideoId
from archiver.core.weather import Weather
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.faults import FAULTS
from archiver.emulator.server import Emulator
from archiver.errors import (
    BadAnswerError,
    DeniedError,
    Misfortune,
    NotFoundError,
    WeatherError,
)
from tests.wire.door import Answer, Clock, Door, reply, visit
from tests.wire.test_vendor_emulated import emulated

VIDEO = VideoId(7)
KEYS = {
    "details": "video", "captions": "captions", "chapters": "chapters", "labels": "labels",
    "custom_metadata": "metadata", "expiration": "expiration", "audio_tracks": "tracks",
}  # fmt: skip
assert tuple(KEYS) == extras.NAMES


Story = Callable[[ExtrasClient], Any]


def of(answer: Answer, story: Story) -> tuple[Any, Door]:
    """What *story* returns of a vendor whose every answer is *answer*'s."""

    async def main() -> tuple[Any, Door]:
        async with Door(answer).open() as door, visit(door, Clock()) as client:
            return await story(client.extras), door

    return asyncio.run(main())


def fates(cases: Sequence[tuple[str | bytes | int, Story]]) -> list[Misfortune]:
    """What each story ends with where the vendor answers that body, or that status."""
    said: str | bytes | int = ""

    def answer(_: object) -> web.Response:
        if isinstance(said, int):
            return reply({"error": "x"}, said)
        return web.Response(body=said.encode() if isinstance(said, str) else said)

    async def main() -> list[Misfortune]:
        nonlocal said
        found, clock = [], Clock()
        async with Door(answer).open() as door, visit(door, clock) as client:
            for said, story in cases:  # noqa: B007  the door says it
                with pytest.raises(Misfortune) as error:
                    await story(client.extras)
                found.append(error.value)
                clock.at += 3_600  # whatever the weather was, it is over
        return found

    return asyncio.run(main())


def fate(said: str | bytes | int, story: Story) -> Misfortune:
    return fates([(said, story)])[0]


def asking(name: str) -> Story:
    return lambda ask: ask.answer(VIDEO, name)


def always(body: object) -> Answer:
    return lambda _: reply(body)


def nested(depth: int, key: str) -> str:
    return f'{{"{key}": ' + "[" * depth + "]" * depth + "}"


BODIES = (
    "", "[]", "7", "null", '"x"', "{", '{"error": "not_found"}', "\x00\xff", "{}",
    "[" * 100_000 + "]" * 100_000, '{"KEY": 7}', '{"KEY": "nonsense"}', '{"KEY": true}',
    nested(DEPTH_MOST, "KEY"), nested(900, "KEY"), nested(50_000, "KEY"),
    '{"KEY": {"id": 7, "x": "' + "x" * 2_100_000 + '"}}',
)  # fmt: skip


def test_what_is_no_answer_is_refused() -> None:
    """A bad answer, whatever its kind, its depth and its length; never another error."""
    texts = [(name, body.replace("KEY", KEYS[name])) for name in KEYS for body in BODIES]
    found = fates([(text, asking(name)) for name, text in texts])
    for (name, text), error in zip(texts, found, strict=True):
        assert isinstance(error, BadAnswerError), (name, text[:50], error)


def test_a_status_means_what_it_means_elsewhere() -> None:
    """For every answer, for a caption, for the fields, for channels and playlists."""
    stories: list[Story] = [
        lambda ask: ask.answer(VIDEO, "details"),
        lambda ask: ask.answer(VIDEO, "labels"),
        lambda ask: ask.caption(VIDEO, "en-00"),
        lambda ask: ask.metadata_fields(),
        lambda ask: ask.channel(ChannelId(1)),
        lambda ask: ask.playlists(ChannelId(1)),
        lambda ask: ask.playlist_videos(1),
    ]
    kinds: dict[int, type[Misfortune]] = {
        **dict.fromkeys((402, 403), DeniedError), **dict.fromkeys((404, 410), NotFoundError),
        **dict.fromkeys((400, 405, 451), BadAnswerError),
        **dict.fromkeys((302, 408, 429, 500, 503), WeatherError),
    }  # fmt: skip
    pairs = [(status, story) for status in kinds for story in stories]
    for (status, _), error in zip(pairs, fates(pairs), strict=True):
        assert type(error) is kinds[status], (status, error)


def test_an_answer_is_kept_as_it_was_received() -> None:
    """Unknown fields, odd texts and large numbers stay; NaN, which is no JSON, becomes null."""
    body = (
        '{"chapters": [{"id": "1", "new": {"a": [null, true]}, "title": "\\ud800 \\u202e",'
        ' "odd": NaN, "far": 1e400, "big": 1' + "0" * 400 + '}], "paging": {}}'
    )
    raw, _ = of(lambda _: reply(body), lambda ask: ask.answer(VIDEO, "chapters"))
    raw.encode("utf-8")
    assert json.loads(raw) == [
        {
            "id": "1", "new": {"a": [None, True]}, "title": "\ud800 \u202e", "odd": None,
            "far": "1e400", "big": "1" + "0" * 400,
        }
    ]  # fmt: skip


def test_nothing_comes_in_every_kind() -> None:
    """``{}`` for a list and ``[]`` for an object happen."""
    for said in ("[]", "{}", "null"):
        body = json.dumps(dict.fromkeys(KEYS.values(), json.loads(said)))

        async def story(ask: ExtrasClient) -> list[str]:
            return [await ask.answer(VIDEO, name) for name in extras.NAMES[1:]]

        assert set(of(always(body), story)[0]) == {said}


def test_details_are_about_what_was_asked_for() -> None:
    """A43: an answer to another question is none to this one."""
    ids = ('{"id": "8"}', '{"id": null}', "{}", "[]", '{"id": "../7"}', f'{{"id": "{"7" * 30}"}}')
    bodies = [f'{{"video": {each}, "channel": {each}}}' for each in ids]
    asked: list[Story] = [
        lambda ask: ask.answer(VIDEO, "details"),
        lambda ask: ask.channel(ChannelId(7)),
    ]
    found = fates([(body, story) for body in bodies for story in asked])
    assert {type(error) for error in found} == {BadAnswerError}


def test_what_is_no_caption_is_not_taken() -> None:
    """S07: it would stand in the archive as one."""
    refused = (
        b"", b"\n", b"WEBVTTX\n", b"webvtt\n", b"1\n00:00:00,000 --> 00:00:01,000\nSRT\n",
        b'{"error": "not_found"}', b"\xff\xd8\xff\xe0", b"PK\x03\x04", b" WEBVTT\n",
        b"WEBVTT\n" + b"x" * CAPTION_MOST,
    )  # fmt: skip
    pages = (b"<html>log in</html>", b"\n<!DOCTYPE html>", b"<?xml?><a/>")
    ask: Story = lambda ask: ask.caption(VIDEO, "en-00")  # noqa: E731
    found = fates([(body, ask) for body in (*refused, *pages)])
    assert {type(error) for error in found} == {BadAnswerError}


@pytest.mark.parametrize(
    "body",
    [
        b"WEBVTT", b"WEBVTT\n\n00:00.000 --> 00:01.000\n<script>alert(1)</script>\n",
        b"\xef\xbb\xbfWEBVTT - title\r\n", b"WEBVTT\t\xff\xfe\x00\x1b[31m",
    ],
)  # fmt: skip
def test_a_caption_is_stored_byte_by_byte(body: bytes) -> None:
    """S07: whatever a player would make of it, it is a record."""
    found, door = of(lambda _: web.Response(body=body), lambda ask: ask.caption(VIDEO, "en-00"))
    assert found == body
    [asked] = door.calls()
    assert (asked.path, dict(asked.query)) == ("/videos/7/captions/en-00/vtt", {})


def test_a_language_is_one_part_of_a_path() -> None:
    """Whatever it holds, it leads to no other call; what is none is never sent."""
    odd = ("en-US", "\u65e5\u672c\u8a9e", "a?b#c", "e%2f..%2f", "%2e%2e", "a&b=c;d")
    none = ("", "..", ".", "../../users/self", "a\\b", "e\r\nX: y", "\ud800")

    async def story(ask: ExtrasClient) -> None:
        for language in odd:
            await ask.caption(VIDEO, language)
        for language in none:
            with pytest.raises(BadAnswerError):
                await ask.caption(VIDEO, language)

    _, door = of(lambda _: web.Response(body=b"WEBVTT"), story)
    assert [each.path for each in door.calls()] == [f"/videos/7/captions/{one}/vtt" for one in odd]
    assert not any(each.query for each in door.calls())


def test_fields_are_read_under_any_name_that_they_may_have() -> None:
    """The documentation does not say what the list is called."""
    for key in ("fields", "custom_metadata_fields", "metadata_fields"):
        body = {key: {"71": {"id": "71", "name": "N"}, "72": 5}}
        raw, door = of(always(body), lambda ask: ask.metadata_fields())
        assert json.loads(raw) == [{"id": "71", "name": "N"}]
        assert dict(door.calls()[0].query) == {"filter[type]": "video"}
    bad = ('{"fields": 5}', "{}", "[", '{"a": []}')
    found = fates([(body, lambda ask: ask.metadata_fields()) for body in bad])
    assert {type(error) for error in found} == {BadAnswerError}


def test_playlists_are_read_over_all_pages_at_our_own_address() -> None:
    """Of the next page's address only the query counts, and an id is told once."""
    pages = {
        "1": {"playlists": [{"id": "1", "title": "A"}, {"id": "../2"}, 5],
              "paging": {"next": "https://elsewhere.example/steal?page=2"}},
        "2": {"playlists": {"x": {"id": 2, "title": None}, "y": {"id": "1"}}, "paging": {}},
    }  # fmt: skip
    found, door = of(
        lambda asked: reply(pages[asked.query["page"]]), lambda ask: ask.playlists(ChannelId(9))
    )
    assert [(each.id, each.title) for each in found] == [(1, "A"), (2, "")]
    assert {asked.path for asked in door.calls()} == {"/channels/9/playlists.json"}
    assert len(door.calls()) == 2


@pytest.mark.parametrize(
    "paging", [{"next": "?page=1"}, {"next": "?page=2"}, {"page_count": 10**9}]
)
def test_pages_without_end_are_a_bad_answer(paging: dict[str, Any]) -> None:
    """A31: half a playlist is no record of it."""
    body = {"videos": [{"id": "1"}], "paging": paging}
    error, door = of(lambda _: reply(body), lambda ask: _bad(ask.playlist_videos(1)))
    assert isinstance(error, BadAnswerError)
    assert len(door.calls()) <= 2


def test_even_pages_that_bring_something_new_come_to_an_end() -> None:
    """A vendor that makes up videos for ever is left."""
    count = 0

    def endless(_: object) -> web.Response:
        nonlocal count
        count += 1
        return reply({"videos": [{"id": count}], "paging": {"next": f"?page={count + 1}"}})

    error, door = of(endless, lambda ask: _bad(ask.playlist_videos(1)))
    assert isinstance(error, BadAnswerError)
    assert len(door.calls()) == MOST_PAGES


async def _bad(asked: Any) -> Misfortune:
    with pytest.raises(Misfortune) as caught:
        await asked
    return caught.value


GARBLED = sorted(
    {name for name, fault in FAULTS.items() if fault.where == "api" and not fault.endless}
    - {"slow-answer", "revoke-token"}
)


@pytest.mark.parametrize("fault", GARBLED)
def test_every_misfortune_of_the_api_is_one_of_ours_and_passes(fault: str) -> None:
    """Struck once at each address: an answer or a Misfortune; a while later all is had."""

    async def story() -> None:
        async with emulated(videos=1, channels=1, faults=(fault,)) as (vendor, client, clock):
            [video] = vendor.world.account.videos
            vendor.world.finish_caption(video, "en-00")
            ask, had = client.extras, set[str]()
            for _ in range(20):
                clock.at += 1_000  # beyond the longest wait that a header can order
                for name in set(extras.NAMES) - had:
                    try:
                        json.loads(await ask.answer(VideoId(video), name))
                    except Misfortune:
                        continue
                    had.add(name)
                try:
                    assert (await ask.caption(VideoId(video), "en-00")).startswith(b"WEBVTT")
                except Misfortune:
                    continue
                if had == set(extras.NAMES):
                    return
            raise AssertionError(f"{set(extras.NAMES) - had} never came")

    asyncio.run(story())


def test_what_only_looks_changed_is_no_change() -> None:
    """The emulated vendor counts views and signs addresses anew with each look."""

    async def story() -> None:
        async with emulated(videos=4, channels=1) as (vendor, client, _):
            for video in vendor.world.account.videos:
                before, after = [
                    composed({n: await client.extras.answer(VideoId(video), n) for n in KEYS})
                    for _ in range(2)
                ]
                assert before["details"] != after["details"]
                assert not is_changed(before, after)
                vendor.world.label_video(video, "kept")
                labels = await client.extras.answer(VideoId(video), "labels")
                assert is_changed(before, {**after, "labels": json.loads(labels)})

    asyncio.run(story())


@pytest.mark.parametrize("fault", ["", "picture-missing", "picture-503", "picture-html",
                                   "picture-svg", "picture-cut", "picture-elsewhere"])  # fmt: skip
def test_no_credential_reaches_the_host_of_pictures(fault: str) -> None:
    """S01: the canary is the emulated host itself, which counts every token that arrives."""

    async def story() -> None:
        config = EmulatorConfig(videos=2, channels=1, size=(1, 1), faults=(fault,) if fault else ())
        async with Emulator(config) as vendor:
            account = Account(
                vendor.api_url, vendor.token_url,
                client_id=vendor.client_id, client_secret=Secret(vendor.client_secret),
            )  # fmt: skip
            async with open_sessions(account) as sessions:
                client = VendorClient(sessions.api, account, SystemClock())
                for number in vendor.world.account.videos:
                    small = SmallDownloads(sessions.downloads, account, SystemClock(), Weather())
                    raw = await client.extras.answer(VideoId(number), "details")
                    address = extras.thumbnail(raw)
                    assert address is not None
                    assert "1920x1080" in address
                    if fault:
                        assert isinstance(await _bad(small.picture(address)), Misfortune)
                    assert (await _again(vendor, small, address)).kind == "jpg"
                await client.close()
            assert vendor.stats["credential_leaks"] == 0
            assert vendor.stats["thumbnails"] > 0

    asyncio.run(story())


async def _again(vendor: Emulator, small: SmallDownloads, address: str) -> Any:
    """The picture, after the gate of its host has been forgotten."""
    small._weather.gates.clear()
    return await small.picture(address)
