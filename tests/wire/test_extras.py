"""Extras over the wire: what the vendor says of a video and a channel, whatever it says."""

from __future__ import annotations

import asyncio
import json

from archiver.core import extras
from archiver.core.model import ChannelId, VideoId
from tests.wire.test_vendor_emulated import emulated


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
