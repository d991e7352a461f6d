"""The API's origin: what the reference says, in its own odd words."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any
from urllib.parse import urlencode

import pytest
from yarl import URL

from archiver.emulator.account import Caption
from archiver.emulator.config import SecretStyle
from archiver.emulator.world import World
from tests.emulator.visitor import Visitor, visit


def test_a_file_is_pending_then_available_then_gone_then_made_anew() -> None:
    async def story() -> None:
        async with visit(generation_s=(0.15, 0.15), window_s=0.6) as visitor:
            assert (await visitor.status())["status"] == "unavailable"
            assert await visitor.status("POST") == {
                "status": "pending",
                "download_url": None,
                "expires_at": None,
            }
            assert (await visitor.status("POST"))["status"] == "pending"
            url = await visitor.address()
            assert await visitor.address() == url, "a second POST begins nothing"
            first = await visitor.fetch(url)
            assert first.body == visitor.truth()
            await asyncio.sleep(0.65)
            assert (await visitor.fetch(url)).status == 403
            assert (await visitor.status())["status"] == "unavailable"
            again = await visitor.address()
            assert again != url
            second = await visitor.fetch(again)
            assert (second.body, second.headers["ETag"]) == (first.body, first.headers["ETag"])
            assert visitor.emulator.stats["expired"] == 0
            assert visitor.emulator.stats["versions"] == 2

    asyncio.run(story())


def test_a_file_that_nobody_fetches_is_counted_as_expired() -> None:
    async def story() -> None:
        async with visit(window_s=0.05) as visitor:
            await visitor.address()
            await asyncio.sleep(0.06)
            assert visitor.emulator.stats["expired"] == 1

    asyncio.run(story())


def test_listings_speak_two_dialects_of_paging() -> None:
    async def story() -> None:
        async with visit(videos=7, channels=3, private_share=0.0) as visitor:
            first = await visitor.json("/users/self/channels.json?pagesize=2")
            assert isinstance(first["channels"], dict)
            more = await visitor.call(first["paging"]["next"]["href"])
            assert more.status == 200
            same = await visitor.json("/users/self/channels.json?pagesize=2&page=2")
            assert list(same["channels"]) == list(first["channels"]), "the wrong word is ignored"
            reasons = {one["authority"]["reason"] for one in first["channels"].values()}
            assert reasons == {"own"}
            channel = next(iter(first["channels"]))
            page = await visitor.json(f"/channels/{channel}/videos.json?pagesize=2")
            assert len(page["videos"]) == 2
            assert "page=2" in page["paging"]["next"]
            wrong = await visitor.json(f"/channels/{channel}/videos.json?pagesize=2&p=2")
            assert wrong["videos"] == page["videos"]
            assert all(isinstance(video["file_size"], str) for video in page["videos"])
            named = await visitor.json("/channels/channel-1.json")
            assert named["channel"]["id"] == channel

    asyncio.run(story())


def test_a_channel_shows_public_videos_unless_asked_for_all() -> None:
    async def story() -> None:
        async with visit(videos=60, private_share=0.5) as visitor:
            channel = next(iter(visitor.emulator.world.account.channels))
            path = f"/channels/{channel}/videos.json"
            public = (await visitor.json(path))["videos"]
            assert {video["protect"] for video in public} == {"public"}
            both = await visitor.json(f"{path}?filter[protect]=public,private&pagesize=999")
            assert len(both["videos"]) == 50, "a page has at most fifty"
            rest = await visitor.call(both["paging"]["next"])
            assert rest.body.count(b'"protect"') == 10, "the filter stays in the link"
            own = await visitor.json("/users/self/videos.json")
            assert {video["protect"] for video in own["videos"]} == {"public", "private"}

    asyncio.run(story())


def test_playlists_and_the_things_that_belong_to_a_video() -> None:
    async def story() -> None:
        async with visit(videos=40, channels=3) as visitor:
            account = visitor.emulator.world.account
            channel = next(iter(account.channels))
            listed = await visitor.json(f"/channels/{channel}/playlists.json")
            assert listed["paging"]["item_count"] == 1
            playlist = listed["playlists"][0]["id"]
            members = await visitor.json(f"/playlists/{playlist}/videos.json")
            expected = [str(member) for member in account.playlists[int(playlist)].videos]
            assert [video["id"] for video in members["videos"]] == expected
            assert (await visitor.json(f"/playlists/{playlist}.json"))["playlist"]["id"] == playlist
            own = [video for video in account.videos.values() if video.channel_id == channel]
            with_captions = next(video for video in own if video.captions)
            base = f"/videos/{with_captions.id}"
            detail = (await visitor.json(f"{base}.json"))["video"]
            assert {"owner", "schedule", "tinyurl", "chapters"} <= set(detail)
            tracks = (await visitor.json(f"{base}/captions.json"))["captions"]
            text = await visitor.call(f"{base}/captions/{tracks[0]['language']}/vtt")
            assert text.body.startswith(b"WEBVTT")
            for name in ("chapters", "labels", "custom-metadata", "expiration", "audio/tracks"):
                await visitor.json(f"{base}/{name}.json")
            fields = await visitor.json("/custom-metadata-fields.json?filter[type]=video")
            assert fields["fields"]
            picture = await visitor.fetch(detail["thumbnail"]["image_1920x1080"])
            assert picture.body.startswith(b"\xff\xd8\xff")
            smaller = await visitor.fetch(detail["thumbnail"]["image_320x180"])
            assert smaller.body != picture.body, "each size is a picture of its own"
            again = (await visitor.json(f"{base}.json"))["video"]
            assert again["views"] != detail["views"]
            assert again["thumbnail"] != detail["thumbnail"], "signed anew"
            shared = next(
                video
                for video in account.videos.values()
                if video not in own and not account.channels[video.channel_id or 0].own
            )
            refused = await visitor.call(f"/videos/{shared.id}/captions.json")
            assert (refused.status, refused.body) == (403, b'{"error": "lack_of_ownership"}')

    asyncio.run(story())


def test_a_stranger_gets_401_and_an_unknown_thing_404() -> None:
    async def story() -> None:
        async with visit() as visitor:
            missing = await visitor.call("/videos/1/downloadable/mp4.json", "POST")
            assert (missing.status, missing.body) == (404, b'{"error": "not_found"}')
            assert (await visitor.call("/nowhere.json")).status == 404
            visitor.emulator.tokens.revoke()
            assert (await visitor.call("/users/self/videos.json")).status == 401

    asyncio.run(story())


def test_the_quota_is_counted_shown_and_refused() -> None:
    async def story() -> None:
        async with visit(rate_limit=2, rate_period_s=3600.0) as visitor:
            said = [await visitor.call("/users/self/videos.json") for _ in range(3)]
            assert [one.status for one in said] == [200, 200, 429]
            assert [one.headers["X-RateLimit-Remaining"] for one in said] == ["1", "0", "0"]
            assert b"too_many_requests" in said[2].body
            unlimited = await visitor.call(f"/videos/{visitor.video_id}/labels.json")
            assert unlimited.status == 200
            assert visitor.emulator.stats["rate_limited"] == 1

    asyncio.run(story())


async def token(visitor: Visitor, headers: dict[str, str], **form: str) -> tuple[int, Any]:
    async with visitor.session.post(
        visitor.emulator.token_url, data=form, headers=headers
    ) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("style", ["body", "raw-basic", "basic"])
def test_one_way_of_sending_the_secret_is_accepted(style: SecretStyle) -> None:
    async def story() -> None:
        async with visit(secret_style=style) as visitor:
            name, secret = visitor.emulator.client_id, visitor.emulator.client_secret
            encoded = base64.b64encode(f"{name}:{secret}".encode()).decode()
            form = {"grant_type": "client_credentials", "client_id": name, "device_name": "test"}
            ways: dict[str, tuple[dict[str, str], dict[str, str]]] = {
                "body": ({}, {**form, "client_secret": secret}),
                "raw-basic": ({"Authorization": f"Basic {secret}"}, form),
                "basic": ({"Authorization": f"Basic {encoded}"}, form),
            }
            for way, (headers, fields) in ways.items():
                status, said = await token(visitor, headers, **fields)
                assert (status == 200) == (way == style), (way, said)
                assert status == 200 or said["error"] == "invalid_client"

    asyncio.run(story())


def test_tokens_are_refreshed_once_and_run_out() -> None:
    async def story() -> None:
        async with visit(token_life_s=0.3) as visitor:
            known = {"client_id": visitor.emulator.client_id}
            secret = {"client_secret": visitor.emulator.client_secret, "device_name": "test"}
            form = {"grant_type": "client_credentials", **known, **secret}
            status, said = await token(visitor, {}, **form)
            assert (status, said["token_type"]) == (200, "bearer")
            again = {"grant_type": "refresh_token", "refresh_token": said["refresh_token"], **known}
            assert (await token(visitor, {}, **again))[0] == 200
            assert (await token(visitor, {}, **again))[1]["error"] == "invalid_grant"
            assert (await token(visitor, {}, grant_type="password"))[0] == 501
            assert (await token(visitor, {}))[1]["error"] == "invalid_request"
            await asyncio.sleep(0.35)
            assert (await visitor.call("/users/self/videos.json")).status == 401

    asyncio.run(story())


def test_an_owner_agrees_and_the_code_is_spent_once() -> None:
    async def story() -> None:
        async with visit() as visitor:
            digest = hashlib.sha256(b"verifier").digest()
            query = {
                "response_type": "code",
                "client_id": visitor.emulator.client_id,
                "redirect_uri": "http://127.0.0.1:1/back",
                "state": "s",
                "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
                "code_challenge_method": "S256",
            }
            said = await visitor.fetch(f"{visitor.emulator.authorize_url}?{urlencode(query)}")
            back = URL(said.headers["Location"])
            assert (back.path, back.query["state"]) == ("/back", "s")
            form = {
                "grant_type": "authorization_code",
                "client_id": visitor.emulator.client_id,
                "code": back.query["code"],
                "redirect_uri": query["redirect_uri"],
                "code_verifier": "verifier",
            }
            status, tokens = await token(visitor, {}, **form)
            assert (status, tokens["token_type"]) == (200, "bearer")
            assert (await token(visitor, {}, **form))[1]["error"] == "invalid_grant"
            revoked = visitor.emulator.token_url + "/revoke"
            async with visitor.session.post(revoked, data={"token": tokens["access_token"]}) as one:
                assert one.status == 200
            assert not visitor.emulator.tokens.is_live(
                tokens["access_token"], visitor.emulator.now()
            )
            assert visitor.emulator.tokens.is_live(tokens["refresh_token"], visitor.emulator.now())
            form = {"grant_type": "refresh_token", "client_id": visitor.emulator.client_id}
            status, fresh = await token(visitor, {}, **form, refresh_token=tokens["refresh_token"])
            assert status == 200
            async with visitor.session.post(revoked, data={"token": fresh["refresh_token"]}) as one:
                assert one.status == 200
            for each in (*tokens.values(), *fresh.values()):
                assert not visitor.emulator.tokens.is_live(str(each), visitor.emulator.now())
            bad = await visitor.fetch(f"{visitor.emulator.authorize_url}?response_type=code")
            assert bad.status == 400

    asyncio.run(story())


def test_the_world_can_be_changed_and_read_from_outside() -> None:
    async def story() -> None:
        async with visit() as visitor:
            api, video = visitor.emulator.api_url, str(visitor.video_id)
            operations = {
                "add": [{"title": "New", "size": 50_000}, {"title": "Live", "recording": True}],
                "replace": {"id": video, "size": 70_000},
                "rename": {"id": video, "title": "Renamed"},
                "faults": ["html*1"],
                "line_bytes_s": 5_000_000,
            }
            async with visitor.session.post(f"{api}/_emulator/world", json=operations) as response:
                assert response.status == 200
                added = (await response.json())["added"]
            async with visitor.session.post(f"{api}/_emulator/world", json={"no": 1}) as response:
                assert response.status == 400
            assert (await visitor.call("/users/self/videos.json")).body.startswith(b"<!DOCTYPE")
            listed = {v["id"]: v for v in (await visitor.json("/users/self/videos.json"))["videos"]}
            assert listed[added[0]]["file_size"] == "50000"
            assert (listed[added[1]]["length"], listed[added[1]]["file_size"]) == ("0", "0")
            assert (listed[video]["title"], listed[video]["file_size"]) == ("Renamed", "70000")
            async with visitor.session.get(f"{api}/_emulator/sha256/{video}/mp4") as response:
                assert (await response.json())["size"] == 70_000
            async with visitor.session.get(f"{api}/_emulator/stats") as response:
                assert (await response.json())["faults"] == {"html": 1}

    asyncio.run(story())


def test_what_belongs_to_a_video_can_be_changed_from_outside() -> None:
    """Captions are finished and corrected, a picture and a label chosen."""

    async def story() -> None:
        async with visit() as visitor:
            api, video = visitor.emulator.api_url, str(visitor.video_id)
            base, text = f"/videos/{video}", f"/videos/{video}/captions/nl-00/vtt"
            shown = (await visitor.json(f"{base}.json"))["video"]["thumbnail"]["default"]
            before = (await visitor.call(text)).status, (await visitor.fetch(shown)).body
            assert before[0] == 404

            async def change(**operation: object) -> None:
                url = f"{api}/_emulator/world"
                async with visitor.session.post(url, json=operation) as response:
                    assert response.status == 200

            visitor.emulator.world.account.videos[int(video)].captions.append(
                Caption("nl-00", status="processing")
            )
            assert (await visitor.call(text)).status == 404
            await change(finish_caption={"id": video, "language": "nl-00"})
            first = (await visitor.call(text)).body
            assert first.startswith(b"WEBVTT")
            await change(edit_caption=[{"id": video, "language": "nl-00"}])
            assert (await visitor.call(text)).body != first
            await change(finish_caption={"id": video, "language": "pt-BR"})
            tracks = (await visitor.json(f"{base}/captions.json"))["captions"]
            assert {"nl-00", "pt-BR"} <= {track["language"] for track in tracks}
            await change(new_picture=[video], label={"id": video, "label": "kept"})
            assert (await visitor.fetch(shown)).body != before[1]
            labels = (await visitor.json(f"{base}/labels.json"))["labels"]
            assert "kept" in [label["label_name"] for label in labels.values()]
            counted = visitor.emulator.stats["extras_by_path"]
            assert (counted[text], counted[f"{base}.json"]) == (4, 1)

    asyncio.run(story())


def test_equal_seeds_make_equal_worlds() -> None:
    assert World().account == World().account
    titles = {video.title for video in World().account.videos.values()}
    assert any(".." in title for title in titles)
