"""The download host: another origin, signed addresses that die, ranges, one shared line.

Rule 1: no credential is wanted here, and each one that arrives is counted as a leak.
Rule 2: what a fault sends is really sent; what it does not send was never computed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from aiohttp import web

from archiver.emulator import pictures, wire
from archiver.emulator.bodies import Bodies, Reply
from archiver.emulator.line import Line
from archiver.emulator.ranges import wanted
from archiver.emulator.stats import Stats
from archiver.emulator.world import Version, World

KINDS = {"mp4": "video/mp4", "flv": "video/x-flv"}
REST = re.compile(r"bytes=0*[1-9]\d*-")
SECRETS = ("access_token", "token", "client_secret", "refresh_token")
REFUSED = "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"
HTML = "<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"
# One of these ends the request before any byte of the video.
EARLY = (
    "expire-early",
    "link-gone",
    "cdn-503",
    "cdn-429",
    "reset-before-header",
    "redirect",
    "redirect-loop",
    "redirect-to-api",
    "redirect-to-metadata",
    "redirect-to-file",
    "html-body",
    "json-body",
    "empty-file",
)
RANGED = ("range-416", "wrong-range", "multipart-range", "ignore-range", "wrong-bytes")


class DownloadDoor:
    """The handler of the download host.

    Args:
        world: the vendor.
        stats: counters.
        line: what all downloads share.
        date: the Date header for a path.
        now: the vendor's clock.
        urls: the API's and the download host's origins.
    """

    def __init__(
        self,
        world: World,
        stats: Stats,
        line: Line,
        date: Callable[[str], str],
        now: Callable[[], float],
        urls: tuple[str, str],
    ) -> None:
        self._world, self._stats, self._now = world, stats, now
        self._api, self._own = urls
        self._bodies = Bodies(world, stats, line, date)
        self._tags = random.Random(f"tags {world.config.seed}")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request, or cuts it off."""
        self._watch_for_secrets(request)
        try:
            room, _, name = request.path.removeprefix("/").partition("/")
            if room == "thumbnail":
                self._stats.calls["thumbnails"] += 1
                self._stats.extras[request.path] += 1
                return pictures.answered(self._world, name)
            if room == "loop":
                return self._moved(f"{self._own}/loop/{name}?{request.query_string}")
            if room not in ("v", "moved"):
                return _refusal(404)
            with self._stats.downloading.one_more():
                return await self._file(request, name, moved=room == "moved")
        except wire.Cut:
            return wire.nothing()
        except ConnectionError:
            return wire.nothing()  # the client went away: its right

    def _watch_for_secrets(self, request: web.Request) -> None:
        leaks = {"Authorization", "Cookie", "Proxy-Authorization"} & {
            name.title() for name in request.headers
        }
        if leaks or any(name in request.query for name in SECRETS):
            self._stats.credential_leaks += 1

    async def _file(self, request: web.Request, path: str, *, moved: bool) -> web.StreamResponse:
        if request.method == "GET":
            self._stats.calls["downloads"] += 1
            self._stats.calls["ranges"] += "Range" in request.headers
        query = request.query
        version = self._world.address(path, query.get("e", ""), query.get("s", ""), self._now())
        if version is None:
            self._stats.late_downloads += self._world.is_late(path, self._now())
            return _refusal(403)
        resource = f"{version.video_id}/{version.format}"
        if request.method == "GET":
            names = tuple(name for name in EARLY if not (moved and name.startswith("redirect")))
            struck = self._world.faults.first(names, resource)
            if struck is not None:
                return self._early(request, version, struck)
        reply = self._reply(request, version, resource)
        if reply is None:
            total = {"Content-Range": f"bytes */{version.content.size}"}
            return web.Response(status=416, headers=total)
        if request.method == "HEAD":
            length = {"Content-Length": str(reply.length)}
            return web.Response(status=reply.status, headers={**reply.headers, **length})
        self._watch_the_joints(request, reply)
        return await self._bodies.send(request, reply, resource)

    def _watch_the_joints(self, request: web.Request, reply: Reply) -> None:
        """Counts a rest that is asked for without saying of which state of the file."""
        version = reply.version
        wanted = request.headers.get("Range", "")
        rest = REST.fullmatch(wanted) is not None
        guarded = "If-Range" in request.headers or wanted in version.passed_over
        self._stats.unguarded_ranges += rest and version.told and not guarded
        if rest and reply.status == 200:
            version.passed_over.add(wanted)
        etag = reply.headers.get("ETag", "")
        version.told = etag.startswith('"') or "Last-Modified" in reply.headers

    def _early(self, request: web.Request, version: Version, name: str) -> web.StreamResponse:
        location = self._elsewhere(request, version).get(name)
        if location is not None:
            return self._moved(location)
        match name:
            case "expire-early" | "link-gone":
                version.link_alive = False
                return _refusal(403 if name == "expire-early" else 410)
            case "cdn-503" | "cdn-429":
                return _refusal(int(name[-3:]), {"Retry-After": "1"})
            case "html-body":
                return web.Response(body=HTML.encode(), headers={"Content-Type": "video/mp4"})
            case "json-body":
                return web.json_response({"error": "expired"})
            case "empty-file":
                return web.Response(body=b"", headers={"Content-Type": "video/mp4"})
            case _:
                raise wire.reset(request)

    def _elsewhere(self, request: web.Request, version: Version) -> dict[str, str]:
        """Where each of the redirects leads."""
        place = f"{version.path}?{request.query_string}"
        return {
            "redirect": f"{self._own}/moved/{place}",
            "redirect-loop": f"{self._own}/loop/{place}",
            "redirect-to-api": f"{self._api}/videos/{version.video_id}.json",
            "redirect-to-metadata": "http://169.254.169.254/latest/meta-data/",
            "redirect-to-file": "file:///etc/passwd",
        }

    def _moved(self, location: str) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    def _reply(self, request: web.Request, version: Version, resource: str) -> Reply | None:
        """The right answer, bent by the faults about ranges; None for 416."""
        faults, content = self._world.faults, version.content
        etag, headers = self._validators(version, resource)
        headers["Content-Type"] = KINDS[version.format]
        if faults.strikes("no-range-support", resource):
            return Reply(version, 200, 0, content.size, headers)
        headers["Accept-Ranges"] = "bytes"
        part = wanted(request.headers, content.size, etag, headers.get("Last-Modified"))
        if part is None:
            return None
        if part.whole:
            return Reply(version, 200, 0, content.size, headers)
        struck = faults.first(RANGED, resource) if request.method == "GET" else None
        if struck == "range-416":
            return None
        if struck == "ignore-range":
            return Reply(version, 200, 0, content.size, headers)
        start, end = part.start, part.end
        if struck == "wrong-range":
            start, end = (start // 2, end) if start else (min(1, end - 1), end)
        shown = f"bytes {start}-{end - 1}/{content.size}"
        if struck == "multipart-range":
            return Reply(version, 206, start, end, headers, multipart=shown)
        if struck == "wrong-bytes":
            # As many bytes as announced, from a place a little earlier or later.
            start, end = (start - 1, end - 1) if start else (start + 1, end + 1)
        return Reply(version, 206, start, end, {**headers, "Content-Range": shown})

    def _validators(self, version: Version, resource: str) -> tuple[str | None, dict[str, str]]:
        faults, etag = self._world.faults, version.content.etag
        headers: dict[str, str] = {}
        if faults.strikes("no-etag", resource):
            etag = ""
        elif faults.strikes("weak-etag", resource):
            etag = f"W/{etag}"
        elif faults.strikes("etag-per-request", resource):
            etag = f'"{self._tags.randbytes(8).hex()}"'
        if etag:
            headers["ETag"] = etag
        if not faults.strikes("no-last-modified", resource):
            headers["Last-Modified"] = wire.http_date(version.last_modified)
        return etag or None, headers


def _refusal(status: int, headers: dict[str, str] | None = None) -> web.Response:
    kind = {"Content-Type": "application/xml", **(headers or {})}
    return web.Response(status=status, body=REFUSED.encode(), headers=kind)
