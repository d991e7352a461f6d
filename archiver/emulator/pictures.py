"""Thumbnails at the download host: real pictures, each of a video and a size other bytes.

No credential is wanted here; ``archiver.emulator.download`` counts each that arrives.
"""

from __future__ import annotations

import re

from aiohttp import web

from archiver.emulator.account import Video
from archiver.emulator.media import sample
from archiver.emulator.world import World

PLACE = re.compile(r"(\d+)/(\d+x\d+)\.jpg")
FAULTS = (
    "picture-missing", "picture-503", "picture-html", "picture-svg", "picture-cut",
    "picture-elsewhere",
)  # fmt: skip
HTML = b"<!DOCTYPE html><html><body><h1>Not here</h1></body></html>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
METADATA = "http://169.254.169.254/latest/meta-data/"


def picture(video: Video, size: str) -> bytes:
    """The JPEG of a video in a size: the sample with a comment of its own (ITU-T T.81, B.2.4.5)."""
    said = f"{video.id} {size} {video.edition.replaced} {video.pictures}".encode()
    comment = b"\xff\xfe" + (len(said) + 2).to_bytes(2, "big") + said
    content = sample("sample.jpg")
    return content[:2] + comment + content[2:]


def answered(world: World, name: str) -> web.Response:
    """The answer to ``GET /thumbnail/NAME``, bent by the faults about pictures."""
    match = PLACE.fullmatch(name)
    video = world.account.videos.get(int(match[1])) if match else None
    if match is None or video is None:
        return web.Response(status=404)
    content = picture(video, match[2])
    match world.faults.first(FAULTS, name):
        case "picture-missing":
            return web.Response(status=404)
        case "picture-503":
            return web.Response(status=503)
        case "picture-html":
            content = HTML
        case "picture-svg":
            content = SVG
        case "picture-cut":
            return _cut(content)
        case "picture-elsewhere":
            return web.Response(status=302, headers={"Location": METADATA})
        case _:
            pass
    return web.Response(body=content, content_type="image/jpeg")


def _cut(content: bytes) -> web.Response:
    """Half of it, though all of it is announced; the library closes the connection then."""
    response = web.Response(body=content[: len(content) // 2], content_type="image/jpeg")
    response.headers["Content-Length"] = str(len(content))
    response.force_close()
    return response
