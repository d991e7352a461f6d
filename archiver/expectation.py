"""What a run would do, in numbers: counted video by video while a plan lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archiver.core import rounds
from archiver.core.extras import EXPIRATION, may_be_deleted, names_to_ask
from archiver.core.listing import is_unasked_replacement, looks_replaced
from archiver.core.model import NEVER, Instant, Job, JobState, Video, VideoId
from archiver.core.summary import SCHEMA, ApiCalls, iso
from archiver.run_options import RunOptions

_CALLS_A_VIDEO = 2  # one request and, with what is learnt, about one poll
_CALLS_A_CHANNEL = 2  # its details and its playlists; what is in those is not known before


@dataclass(slots=True)
class PlanReport:
    """What a run would do.  Bytes are what the listing says; unknown sizes are guessed.

    ``changed`` are replaced videos; ``held`` of them are left for ``--accept-replaced``.
    """

    selected: int = 0
    new: int = 0
    changed: int = 0
    held: int = 0
    archived: int = 0
    parked: int = 0
    bytes_to_fetch: int = 0
    api_calls_expected: int = 0
    extras_calls_expected: int = 0
    seconds_expected: float = 0.0
    disk_free: int | None = None
    first_to_be_deleted: dict[str, Any] | None = None
    names: list[str] = field(default_factory=list)
    wanted: dict[VideoId, Video] = field(default_factory=dict)  # what is to be archived
    _replaced: dict[VideoId, int] = field(default_factory=dict)  # for which nothing was done: bytes

    def as_json(self) -> dict[str, Any]:
        """The object of ``plan --json``."""
        return {
            "schema": SCHEMA,
            "videos": {
                "selected": self.selected, "new": self.new, "changed": self.changed,
                "held": self.held, "archived": self.archived, "parked": self.parked,
            },
            "bytes_to_fetch": self.bytes_to_fetch,
            "api_calls_expected": self.api_calls_expected,
            "extras_calls_expected": self.extras_calls_expected,
            "seconds_expected": self.seconds_expected,
            "disk": {"free": self.disk_free, "needed": self.bytes_to_fetch},
            "first_to_be_deleted": self.first_to_be_deleted,
            "names_preview": self.names,
        }  # fmt: skip

    def add(self, job: Job, video: Video, typical_bytes: int) -> None:
        """Count one selected video in, by its newest job as a run would have it."""
        self.selected += 1
        if job.state is JobState.ARCHIVED:
            self.archived += 1
            return
        if job.state in (JobState.GONE, JobState.SKIPPED):
            return
        if job.state is JobState.PARKED:
            self.parked += 1
        elif job.key.version > 1:
            self.changed += 1
        else:
            self.new += 1
        size = typical_bytes if job.size_bytes is None else job.size_bytes
        wanted = max(0, size - job.saved.bytes)
        self.bytes_to_fetch += wanted
        self.wanted[video.id] = video
        if is_unasked_replacement(job):
            self._replaced[video.id] = wanted
        self.date(video.id, job.delete_at)

    def doubt(self, archived: int) -> bool:
        """Leave what looks replaced, where it is too much to be true; whether it is.

        Args:
            archived: how many videos of the whole archive are archived in their newest version,
                what a listing calls replaced among them.
        """
        if not looks_replaced(len(self._replaced), archived):
            return False
        self.held = len(self._replaced)
        for number, size in self._replaced.items():
            self.bytes_to_fetch -= size
            del self.wanted[number]
        return True

    def date(self, number: VideoId, at: Instant) -> None:
        """The vendor deletes a video that is not archived yet."""
        known = self.first_to_be_deleted
        if at != NEVER and (known is None or str(iso(at)) < str(known["at"])):
            title = self.wanted[number].title
            self.first_to_be_deleted = {"video": str(number), "title": title, "at": iso(at)}

    def undated(self, now: Instant) -> list[VideoId]:
        """What is to be archived and may have a date of deletion, oldest first."""
        young = [video for video in self.wanted.values() if may_be_deleted(video, now)]
        young.sort(key=lambda video: video.added_at or video.created_at or NEVER)
        return [video.id for video in young]

    def expect_rounds(
        self, stored: Sequence[Video], jobs: Mapping[VideoId, Job], now: Instant, *, refresh: bool
    ) -> None:
        """Count the calls for the extras of archived videos in.

        Args:
            jobs: the newest round of each that had one.
        """
        for video in stored:
            job = jobs.get(video.id)
            if job is None or rounds.renewal(job, now, refresh=refresh) is not None:
                self.extras_calls_expected += len(names_to_ask(video, now))
            elif job.state is JobState.DISCOVERED:
                self.extras_calls_expected += 1  # something is missing: one call may bring it

    def expect_calls(self, made: ApiCalls, options: RunOptions, now: Instant) -> None:
        """A run makes the calls that were made for the plan, those for each file, and for extras.

        Call it last: dates that were asked for are not asked for again.
        """
        if options.extras:
            channels = {video.channel_id for video in self.wanted.values()} - {None}
            self.extras_calls_expected += _CALLS_A_CHANNEL * len(channels)
            for video in self.wanted.values():
                self.extras_calls_expected += len(names_to_ask(video, now, (EXPIRATION,)))
        most = options.extras_calls
        if most is not None:
            self.extras_calls_expected = min(self.extras_calls_expected, max(0, most - made.extras))
        self.extras_calls_expected += made.extras
        files = _CALLS_A_VIDEO * len(self.wanted)
        self.api_calls_expected = made.list + files + self.extras_calls_expected
