"""Extras over the wire: what the vendor says of a video and a channel, whatever it says."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from archiver.core import extras
from archiver.core.model import ChannelId, JobKey, VideoId
from archiver.errors import BadAnswerError, NotFoundError, WeatherError
from tests.wire.door import START, Asked, Clock, Door, reply, visit
from tests.wire.test_vendor_emulated import emulated

VIDEO = VideoId(7)


def test_everything_that_the_emulated_vendor_knows_is_had() -> None:
    """One call an answer, each counted as an extra."""

    async def story() -> None:
        async with emulated(videos=12, channels=1, playlists=60) as (vendor, client, _):
            ask, asked = client.extras, 0
            for video in vendor.world.account.videos.values():
                video_id = VideoId(video.id)
                answers = {name: await ask.answer(video_id, name) for name in extras.NAMES}
                asked += len(answers)
                tracks = json.loads(answers["captions"])
                assert [each["language"] for each in tracks] == [c.language for c in video.captions]
                assert json.loads(answers["details"])["title"] == video.title
                for language in extras.captions_to_fetch(answers["captions"]):
                    assert (await ask.caption(video_id, language)).startswith(b"WEBVTT")
                    asked += 1
            assert len(json.loads(await ask.metadata_fields())) == 2
            channel_id = ChannelId(next(iter(vendor.world.account.channels)))
            assert json.loads(await ask.channel(channel_id))["id"] == str(channel_id)
            playlists = await ask.playlists(channel_id)
            known = vendor.world.account.playlists
            assert [each.id for each in playlists] == list(known)
            members = await ask.playlist_videos(playlists[0].id)
            assert list(members) == known[playlists[0].id].videos
            assert client.calls.extras == asked + 1 + 1 + 2 + 1
            assert client.calls.list == 0

    asyncio.run(story())


def test_a_part_that_fails_holds_back_itself_alone() -> None:
    """A40: captions that answer 500 cost no other extra and no video a moment."""

    def answer(asked: Asked) -> web.Response:
        if "captions" in asked.path:
            return reply({"error": "server_error"}, 500)
        if "downloadable" in asked.path:
            return reply({"downloadable": {"status": "pending"}})
        return reply({"chapters": [], "video": {"id": "7"}})

    async def story() -> None:
        clock = Clock()
        async with Door(answer).open() as door, visit(door, clock) as client:
            for _ in range(20):
                with pytest.raises(BadAnswerError, match="500"):
                    await client.extras.answer(VIDEO, "captions")
                assert await client.extras.answer(VIDEO, "chapters") == "[]"
                assert client.allowance().calls > 0
                await client.status(JobKey(VIDEO))
            assert len(door.calls("captions")) == 4, "left alone for longer and longer"
            assert clock.at <= START + 1 + 2 + 4, "nobody waits longer than for the rate limit"
            [gate] = [gate for gate in client.weather.gates if not client.weather.is_open(gate)]
            assert gate == f"{door.url} (captions)"
            clock.at += 10
            with pytest.raises(BadAnswerError):
                await client.extras.answer(VIDEO, "captions")
            assert len(door.calls("captions")) == 5, "and then asked again"
            [trouble] = client.troubles()
            assert "500" in trouble.reason

    asyncio.run(story())


def test_an_outage_is_seen_as_one() -> None:
    """Details that answer 503, and connections that break, close the whole API."""

    async def story() -> None:
        clock = Clock()
        async with Door(lambda _: reply({}, 503)).open() as door, visit(door, clock) as client:
            with pytest.raises(WeatherError):
                await client.extras.answer(VIDEO, "details")
            assert client.allowance().calls == 0
            with pytest.raises(WeatherError) as held:
                await client.extras.answer(VIDEO, "labels")
            assert not held.value.sent
            clock.at += 1.5
            with pytest.raises(WeatherError):  # the probe, though a part's own
                await client.extras.answer(VIDEO, "labels")
            assert client.allowance().calls == 0
            assert len(door.calls()) == 2

    asyncio.run(story())


def test_a_part_is_asked_again_after_its_trouble() -> None:
    """A moment later, once; one answer, even a refusal, opens its gate."""
    left = [reply({}, 502), reply({"error": "not_found"}, 404)]

    async def story() -> None:
        clock = Clock()
        async with Door(lambda _: left.pop(0)).open() as door, visit(door, clock) as client:
            with pytest.raises(NotFoundError):
                await client.extras.caption(VIDEO, "en-00")
            assert all(client.weather.is_open(gate) for gate in client.weather.gates)
            assert len(door.calls()) == 2

    asyncio.run(story())
