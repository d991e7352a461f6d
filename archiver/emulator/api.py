"""The API's origin: authorisation, quota, routes, and the ways in which an API fails.

The order is that of a real service: the connection, the token, the quota, the work, the answer.
So a 401 costs no quota, a 503 does no work, and a lost answer has done it.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

from archiver.core.model import Format
from archiver.emulator import answers, wire
from archiver.emulator.account import Channel, Video
from archiver.emulator.answers import Json
from archiver.emulator.downloadable import DENIED, NOT_FOUND, Downloadables
from archiver.emulator.envelope import HTML, Answer, in_json, sent
from archiver.emulator.listings import Listings
from archiver.emulator.stats import Stats
from archiver.emulator.tokens import Quota, Tokens
from archiver.emulator.world import World

GARBLED = ("html", "empty-body", "cut-json", "deep-json", "huge-json", "odd-json", "wrong-types")
ODD_JSON = b', "odd": NaN, "odd": "\\ud800", "big": 1' + b"0" * 400 + b', "far": -Infinity}'
DOWNLOADABLE = re.compile(r"/videos/(\d+)/downloadable/(mp4|flv)\.json")
LIST = re.compile(r"/users/self/.*|/(channels|playlists)/[^/]+/(videos|playlists)\.json")
UNLIMITED = re.compile(r"/videos/\d+/(labels|custom-metadata|expiration|audio/tracks)\.json")


def _unauthorized(error: str) -> Answer:
    body = {"error": error, "error_description": "The access token is missing or not valid."}
    return in_json(401, body, {"WWW-Authenticate": 'Bearer realm="api"'})


class ApiDoor:
    """The handler of the API's origin.

    Args:
        world: the vendor.
        tokens: who may speak.
        quota: how often.
        stats: counters.
        now: the vendor's clock.
        urls: the API's and the download host's origins.
    """

    def __init__(
        self,
        world: World,
        tokens: Tokens,
        quota: Quota,
        stats: Stats,
        now: Callable[[], float],
        urls: tuple[str, str],
    ) -> None:
        self._world, self._tokens, self._quota, self._stats = world, tokens, quota, stats
        self._now, (self._api, downloads) = now, urls
        self._lists = Listings(world, self._api, downloads)
        self._files = Downloadables(world, downloads)
        self._chance = random.Random(f"api {world.config.seed}")
        self._looks: Counter[int] = Counter()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request, or cuts it off."""
        self._count(request)
        polls = request.method == "GET" and DOWNLOADABLE.fullmatch(request.path) is not None
        try:
            with self._stats.api.one_more():
                if not polls:
                    return sent(await self._answer(request))
                with self._stats.polling.one_more():
                    return sent(await self._answer(request))
        except wire.Cut:
            return wire.nothing()

    def _count(self, request: web.Request) -> None:
        match = DOWNLOADABLE.fullmatch(request.path)
        if match is None:
            is_list = LIST.fullmatch(request.path) is not None
            self._stats.calls["lists" if is_list else "details"] += 1
            if not is_list:
                self._stats.extras[request.path] += 1
            return
        name = f"{match[1]}/{match[2]}"
        posts = request.method == "POST"
        self._stats.calls["posts" if posts else "polls"] += 1
        (self._stats.posts if posts else self._stats.polls)[name] += 1

    async def _answer(self, request: web.Request) -> Answer:
        faults, path = self._world.faults, request.path
        if faults.strikes("reset", path):
            raise wire.reset(request)
        if faults.strikes("slow-answer", path):
            await asyncio.sleep(self._world.config.slow_answer_s)
        refusal, headers = self._refused(request)
        if refusal is not None:
            return refusal
        answer = self._routed(request)
        if request.method == "POST" and faults.strikes("lost-answer", path):
            raise wire.reset(request)
        answer.headers.update(headers)
        if answer.status == 200:
            self._garble(answer, path)
        return answer

    def _refused(self, request: web.Request) -> tuple[Answer | None, dict[str, str]]:
        """The answer of one who does not get in, and the quota's headers for one who does."""
        faults, path, now = self._world.faults, request.path, self._now()
        sent = request.headers.get("Authorization", "")
        if faults.strikes("revoke-token", path):
            self._tokens.revoke(sent.partition(" ")[2])
        if not self._tokens.is_good(sent, now) or faults.strikes("unauthorized", path):
            self._stats.calls["unauthorized"] += 1
            return _unauthorized("invalid_token" if sent else "missing_token"), {}
        struck = faults.first(("throttle", "throttle-bare", "throttle-odd"), path)
        if struck is not None:
            return self._throttled(struck, now), {}
        headers: dict[str, str] = {}
        if not UNLIMITED.fullmatch(path):
            allowed, headers = self._quota.spend(now)
            if not allowed:
                return in_json(429, {"error": "too_many_requests"}, headers), {}
        errors = ("error-500", "error-502", "error-503", "error-504")
        broken = (*errors, *(("list-503",) if LIST.fullmatch(path) else ()))
        struck = faults.first(broken, path)
        if struck is not None:
            return in_json(int(struck[-3:]), {"error": "server_error"}), {}
        return None, headers

    def _throttled(self, name: str, now: float) -> Answer:
        """A 429 out of turn."""
        self._quota.limited += 1
        headers: dict[str, str] = {}
        if name != "throttle-bare":
            headers = {**self._quota.headers(now, always=True), "X-RateLimit-Remaining": "0"}
        if name == "throttle-odd":
            odd = (str(int(now) - 3600), str(int(now * 1000) + 500), "1", "soon", "-5", "1e309", "")
            headers["X-RateLimit-Reset"] = self._chance.choice(odd)
        return in_json(429, {"error": "too_many_requests"}, headers)

    def _garble(self, answer: Answer, path: str) -> None:
        if answer.kind != "application/json":
            names: tuple[str, ...] = ("html", "empty-body")
        else:
            names = (*GARBLED, "list-html") if LIST.fullmatch(path) else GARBLED
        match self._world.faults.first(names, path):
            case "html" | "list-html":
                answer.body, answer.kind = HTML.encode(), "text/html"
            case "empty-body":
                answer.body = b""
            case "cut-json":
                answer.body = answer.body[: len(answer.body) // 2]
            case "deep-json":
                answer.body = b"[" * 100_000 + b"]" * 100_000
            case "huge-json":
                answer.body = b" " * 20_000_000 + answer.body
            case "odd-json":
                answer.body = answer.body[:-1] + ODD_JSON
            case "wrong-types":
                answer.body = json.dumps(self._mistyped(json.loads(answer.body))).encode()
            case _:
                pass

    def _mistyped(self, body: Json) -> Json:
        deeper = self._chance.random() < 0.5
        return {
            name: self._mistyped(part) if deeper and isinstance(part, dict) else _other_type(part)
            for name, part in body.items()
        }

    # Routes

    def _routed(self, request: web.Request) -> Answer:
        path, query = request.path, dict(request.query)
        match = DOWNLOADABLE.fullmatch(path)
        if match is not None:
            format_: Format = "flv" if match[2] == "flv" else "mp4"
            method = "POST" if request.method == "POST" else "GET"
            return in_json(*self._files.answer(method, int(match[1]), format_, self._now()))
        if request.method not in ("GET", "HEAD"):
            return in_json(405, {"error": "method_not_allowed"})
        if path == "/users/self/channels.json":
            return in_json(200, self._lists.channels(path, query))
        if path == "/users/self/videos.json":
            return in_json(200, self._lists.own_videos(path, query))
        if path == "/custom-metadata-fields.json":
            return in_json(200, answers.metadata_fields())
        room, _, rest = path.removeprefix("/").partition("/")
        routes = {"channels": self._channel, "playlists": self._playlist, "videos": self._video}
        name, _, part = rest.removesuffix(".json").partition("/")
        route = routes.get(room)
        found = None if route is None else route(name, part, path, query)
        return found or in_json(404, NOT_FOUND)

    def _channel(self, name: str, part: str, path: str, query: dict[str, str]) -> Answer | None:
        channels = self._world.account.channels
        by_name: dict[str, Channel] = {one.name: one for one in channels.values()}
        channel = channels.get(int(name)) if name.isdecimal() else by_name.get(name)
        if channel is None:
            return None
        if part == "videos":
            return in_json(200, self._lists.channel_videos(path, query, channel))
        if part == "playlists":
            return in_json(200, self._lists.playlists(path, query, channel.id))
        return None if part else in_json(200, {"channel": answers.channel(channel, self._api)})

    def _playlist(self, name: str, part: str, path: str, query: dict[str, str]) -> Answer | None:
        playlist = self._world.account.playlists.get(int(name)) if name.isdecimal() else None
        if playlist is None or part not in ("", "videos"):
            return None
        if part == "videos":
            return in_json(200, self._lists.playlist_videos(path, query, playlist.videos))
        return in_json(200, {"playlist": answers.playlist(playlist)})

    def _video(self, name: str, part: str, path: str, _query: dict[str, str]) -> Answer | None:
        video = self._world.account.videos.get(int(name)) if name.isdecimal() else None
        if video is None:
            return None
        if not part:
            detail = answers.detailed_video(self._lists.video(video), video, self._looks[video.id])
            self._looks[video.id] += 1
            return in_json(200, {"video": detail})
        struck = self._world.faults.first(("extra-denied", "extra-missing"), path)
        if struck == "extra-missing":
            return None
        if struck == "extra-denied" or not self._owns(video):
            return in_json(403, DENIED)
        if path.endswith("/vtt"):
            return self._vtt(video, part.removeprefix("captions/").removesuffix("/vtt"), path)
        record = answers.record(video, part)
        if part == "captions" and record and self._world.faults.strikes("odd-captions", path):
            record = answers.odd_captions(record)
        return None if record is None else in_json(200, record)

    def _vtt(self, video: Video, language: str, path: str) -> Answer | None:
        text = answers.vtt(video, language)
        if text is None:
            return None
        match self._world.faults.first(("caption-html", "caption-text"), path):
            case "caption-html":
                return Answer(200, HTML.encode(), "text/html")
            case "caption-text":
                return Answer(200, b"1\n00:00:00,000 --> 00:00:01,000\nnot WebVTT\n", "text/vtt")
            case _:
                return Answer(200, text.encode(), "text/vtt")

    def _owns(self, video: Video) -> bool:
        channel = self._world.account.channels.get(video.channel_id or 0)
        return channel is None or channel.own


def _other_type(part: Any) -> Any:
    match part:
        case dict():
            return []
        case list():
            return {}
        case str():
            return [1]
        case _:
            return "nonsense"
