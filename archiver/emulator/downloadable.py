"""The heart of the API: asking for a file and asking after it, with all that can be said wrong.

Source: "Download your videos".  Clockless, like the world.
"""

from __future__ import annotations

import math
from typing import Any

from archiver.core.model import Format
from archiver.emulator.answers import Json
from archiver.emulator.world import Version, World

NOT_FOUND: Json = {"error": "not_found"}
DENIED: Json = {"error": "lack_of_ownership"}


class Downloadables:
    """Answers to ``POST`` and ``GET /videos/{id}/downloadable/{format}.json``.

    Args:
        world: whose.
        download_url: the origin that addresses lead to.
    """

    def __init__(self, world: World, download_url: str) -> None:
        self._world, self._downloads = world, download_url

    def answer(self, method: str, video_id: int, format_: Format, now: float) -> tuple[int, Json]:
        """The HTTP status and the JSON of one call."""
        faults, resource = self._world.faults, f"{video_id}/{format_}"
        known = video_id in self._world.account.videos
        if not known or faults.strikes("not-found", resource):
            return 404, NOT_FOUND
        if faults.strikes("denied", resource):
            return 403, DENIED
        if method == "POST":
            if faults.strikes("unavailable", resource):
                return 200, _said("unavailable")
            return 200, self._shown(self._world.request(video_id, format_, now), now)
        version = self._world.poll(video_id, format_)
        if version is None:
            return 200, _said("unavailable")
        if faults.strikes("forget", resource):
            self._world.forget(video_id, format_)
            return 404, NOT_FOUND
        return 200, self._shown(version, now)

    def _shown(self, version: Version, now: float) -> Json:
        faults, resource = self._world.faults, f"{version.video_id}/{version.format}"
        status = version.status(now)
        if status != "unavailable" and faults.strikes("unknown-status", resource):
            return _said("processing")
        if status != "available":
            return _said(status)
        if version.seen and faults.strikes("flap", resource):
            return _said("pending")
        if version.seen and faults.strikes("other-address", resource):
            version.expires_at += 1
        version.seen = True
        url: str | None = f"{self._downloads}/v/{version.path}?{self._world.query(version)}"
        if faults.strikes("url-null", resource):
            url = None
        said = _said("available", url, self._expiry(version, resource, now))
        if faults.strikes("expires-missing", resource):
            del said["downloadable"]["expires_at"]
        return said

    def _expiry(self, version: Version, resource: str, now: float) -> Any:
        faults = self._world.faults
        if math.isinf(version.expires_at) or faults.strikes("expires-null", resource):
            return None
        expires_at = int(version.expires_at)
        if faults.strikes("expires-past", resource):
            return int(now) - 60
        if faults.strikes("expires-string", resource):
            return str(expires_at)
        if faults.strikes("expires-ms", resource):
            return expires_at * 1000
        return expires_at


def _said(status: str, url: str | None = None, expires_at: Any = None) -> Json:
    return {"downloadable": {"status": status, "download_url": url, "expires_at": expires_at}}
