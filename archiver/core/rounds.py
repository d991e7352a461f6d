"""When the extras of a video are asked for: in rounds, each at an age.

Rule 1: within a round nothing is asked for twice; a new round asks for everything again.
Rule 2: pure; what a row of the ledger holds is read here and nowhere else: ``pending_at`` is when
the first round began, ``available_at`` when this one did.
"""

from __future__ import annotations

from dataclasses import dataclass

from archiver.core.events import Renewed
from archiver.core.extras import AGES_S, NIGHT_SLACK_S, due_again
from archiver.core.model import EXTRAS, NEVER, NOW, Instant, Job, JobKey, JobState, VideoId

FIELDS = "fields"  # the answer that names the custom metadata's fields, the same for all videos
CHANNEL = "channel"  # the answer about a channel


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, as JSON, and when."""

    raw: str
    asked_at: Instant


def key_of(video_id: VideoId, version: int) -> JobKey:
    """The job for the extras of a video: one a version, since another film has other captions."""
    return JobKey(video_id, EXTRAS, EXTRAS, version)


def first_round(video_id: VideoId, version: int, now: Instant) -> Job:
    """The extras of a video that is new, or was replaced."""
    return Job(key_of(video_id, version), pending_at=now, available_at=now)


def first_at(job: Job) -> Instant:
    """When the first round began: ages count from there."""
    return job.pending_at or NOW


def round_at(job: Job) -> Instant:
    """When this round began: an answer from before is to be asked for again."""
    return job.available_at or NOW


def next_at(job: Job, asked_at: Instant) -> Instant:
    """When the next round begins, for extras that were asked for at *asked_at*."""
    ages = (Instant(first_at(job) + age_s - NIGHT_SLACK_S) for age_s in AGES_S)
    return min((at for at in ages if at > asked_at), default=NEVER)


def asked_back(now: Instant) -> Renewed:
    """The fact that a round begins because a file of an earlier one was lost."""
    return Renewed(now, "a damaged file is asked for again")


def renewal(job: Job, now: Instant, *, refresh: bool) -> Renewed | None:
    """The fact that a new round begins; None where there is no reason for one.

    A round in which something is missing ends with the next age, too.
    """
    if refresh:
        return Renewed(now, "asked for again")
    if due_again(round_at(job), first_at(job), now) and job.state is not JobState.PARKED:
        return Renewed(now, "it came to an age at which it is looked at again")
    return None
