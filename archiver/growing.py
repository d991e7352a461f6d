"""One look at a young video before its file is asked for: it may still be recorded.

Rule: what the look does not tell holds nothing up; the POST finds out.
"""

from __future__ import annotations

import json
from typing import Protocol

from archiver.adapters.vendor import wire
from archiver.core.extras import DETAILS
from archiver.core.listing import SETTLES_S, differs
from archiver.core.model import Instant, Job
from archiver.deletion import Answers
from archiver.errors import BadAnswerError, DeniedError, NotFoundError, WeatherError
from archiver.ports import Clock


class Memory(Protocol):
    """Where answers are kept, so that nobody asks again."""

    async def keep_answer(self, video_id: int, name: str, raw: str, at: Instant) -> None:
        """Keep what was answered about a video's extras, as JSON."""
        ...


class Growth:
    """Tells videos that grow from those that are whole."""

    def __init__(self, to: Answers, memory: Memory, clock: Clock) -> None:
        self._to, self._memory, self._clock = to, memory, clock

    async def is_seen(self, job: Job) -> bool:
        """The video is larger or longer than it was listed ten minutes ago, or more.

        One that was listed a moment ago is not looked at: a run waits for nobody.
        """
        listed_at = job.fresh_at
        if listed_at is None or self._clock.now() - listed_at < SETTLES_S:
            return False
        try:
            raw = await self._to.answer(job.key.video_id, DETAILS)
        except (WeatherError, NotFoundError, DeniedError, BadAnswerError):
            return False
        await self._memory.keep_answer(job.key.video_id, DETAILS, raw, self._clock.now())
        seen = wire.video(json.loads(raw))
        return seen is not None and (seen.recording or differs(job, seen))
