"""When the vendor deletes videos: asked before anything is archived, so that those go first.

Rule 1: asked only of videos that are not safe yet and young enough to have a date: the vendor
deletes what nobody saved thirty days after a broadcast.
Rule 2: a date that cannot be had holds nothing up: weather and the rate limit end the asking.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Protocol

import anyio

from archiver.adapters.vendor.values import instant, mapping
from archiver.core.extras import EXPIRATION, NOT_THERE
from archiver.core.model import NEVER, Instant, VideoId
from archiver.errors import (
    AuthError,
    BadAnswerError,
    DeniedError,
    NotFoundError,
    WeatherError,
)


class Answers(Protocol):
    """Who answers about single videos."""

    async def answer(self, video_id: VideoId, name: str) -> str:
        """See ``adapters.vendor.extras.ExtrasClient``."""
        ...


def deleted_at(raw: str) -> Instant:
    """When the vendor deletes the video, by its answer; NEVER where it says nothing sensible."""
    answer = mapping(json.loads(raw))
    at = None if answer.get("rule") == "never" else instant(answer.get("expires_at"))
    return NEVER if at is None else at


async def ask(to: Answers, videos: Iterable[VideoId], most: int) -> dict[VideoId, str]:
    """The vendor's answers about the deletion of *videos*, as JSON, as far as they can be had.

    Args:
        videos: those whose time may be nearest first.
        most: calls at a time.
    """
    found: dict[VideoId, str] = {}
    waiting = iter(videos)
    ended = False

    async def work() -> None:
        nonlocal ended
        for number in waiting:
            try:
                found[number] = await to.answer(number, EXPIRATION)
            except (NotFoundError, DeniedError):
                found[number] = NOT_THERE  # an answer too: nobody need ask again
            except BadAnswerError:
                pass  # of this video nobody tells
            except (WeatherError, AuthError):
                ended = True  # the run finds out by itself what that means for it
            if ended:
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(most):
            tasks.start_soon(work)
    return found
