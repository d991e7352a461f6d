"""The emulator's own addresses: counters, checksums, and changes to the world from outside.

They belong to the test, not to the vendor: no token, no quota, no faults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from archiver.core.model import Format
from archiver.emulator.line import Line
from archiver.emulator.tokens import Tokens
from archiver.emulator.world import World


class ControlDoor:
    """The handlers below ``/_emulator/``.

    Args:
        world: what is looked at and changed.
        tokens: can be revoked.
        line: can be narrowed.
        stats: the whole picture as JSON.
    """

    def __init__(
        self, world: World, tokens: Tokens, line: Line, stats: Callable[[], dict[str, Any]]
    ) -> None:
        self._world, self._tokens, self._line, self._stats = world, tokens, line, stats

    def add_routes(self, app: web.Application) -> None:
        """Makes them reachable."""
        app.router.add_get("/_emulator/stats", self._get_stats)
        app.router.add_get("/_emulator/sha256/{video_id}/{format}", self._get_sha256)
        app.router.add_get("/_emulator/videos", self._get_videos)
        app.router.add_post("/_emulator/world", self._post_world)

    async def _get_stats(self, _request: web.Request) -> web.Response:
        return web.json_response(self._stats())

    async def _get_sha256(self, request: web.Request) -> web.Response:
        video_id = int(request.match_info["video_id"])
        format_: Format = "flv" if request.match_info["format"] == "flv" else "mp4"
        contents = self._world.contents(video_id, format_)
        if not contents:
            return web.json_response({"error": "not_found"}, status=404)
        every = [content.sha256() for content in contents]
        size = contents[-1].size
        return web.json_response({"sha256": every[-1], "size": size, "all": every})

    async def _get_videos(self, _request: web.Request) -> web.Response:
        videos = self._world.account.videos.values()
        return web.json_response(
            [
                {
                    "id": str(video.id),
                    "title": video.title,
                    "size": self._world.content(video.id, "mp4").size,
                    "protect": video.protect,
                }
                for video in videos
            ]
        )

    async def _post_world(self, request: web.Request) -> web.Response:
        """Changes the world: an object of operations, each with one object or a list of them."""
        try:
            added = [
                identifier
                for name, operands in (await request.json()).items()
                for operand in self._operands(name, operands)
                for identifier in self._operate(name, operand)
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        return web.json_response({"added": added})

    def _operands(self, name: str, operands: Any) -> list[Any]:
        return operands if isinstance(operands, list) and name != "faults" else [operands]

    def _operate(self, name: str, operand: Any) -> list[str]:
        world = self._world
        match name:
            case "add":
                return [str(world.add_video(**operand).id)]
            case "replace":
                world.replace_video(
                    int(operand["id"]), size=operand.get("size"), length_s=operand.get("length_s")
                )
            case "rename":
                world.rename_video(int(operand["id"]), operand["title"])
            case "delete":
                world.delete_video(int(operand))
            case "bump":
                world.bump_video(int(operand))
            case "faults":
                world.faults.set(operand)
            case "line_bytes_s":
                self._line.bytes_s = None if operand is None else float(operand)
            case "revoke":
                self._tokens.revoke()
            case _:
                self._operate_on_extras(name, operand)
        return []

    def _operate_on_extras(self, name: str, operand: Any) -> None:
        world = self._world
        match name:
            case "finish_caption":
                world.finish_caption(int(operand["id"]), operand["language"])
            case "edit_caption":
                world.edit_caption(int(operand["id"]), operand["language"])
            case "new_picture":
                world.new_picture(int(operand))
            case "label":
                world.label_video(int(operand["id"]), operand["label"])
            case _:
                raise ValueError(f"no operation is named {name!r}")
