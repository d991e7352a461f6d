"""What one line of a listing means for what is already known of its video.

Rule 1: pure; the ledger supplies what it knows and writes what comes back.
Rule 2: a listing never takes anything away: nothing becomes ``gone`` because it is not listed.
Rule 3: a value the vendor does not tell is no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from archiver.core.events import Event, Reopened, Skipped
from archiver.core.lifecycle import apply
from archiver.core.model import Instant, Job, JobKey, JobState, Video, changed
from archiver.met import met

Word: TypeAlias = Literal["new", "changed", "renamed", "reopened", "skipped", "same"]
WORDS: tuple[Word, ...] = ("new", "changed", "renamed", "reopened", "skipped", "same")

LENGTH_TOLERANCE_S = 1.0  # two pages of the API round one length differently
GONE_AT_LEAST_S = 20 * 3600.0  # one reopening a night: a listing may lag behind a deletion
STILL_RECORDING = "still being recorded"
ENDED = "no longer being recorded"
RELISTED = "listed again"
SETTLES_S = 600.0  # two sizes so far apart in time tell whether a video grows
FRESH_S = 4 * 3600.0  # added so short a time ago, it may still be recorded
REPLACED_SHARE = 0.1  # of the archive: more than that in one night is no owner's doing
REPLACED_LEAST = 3  # of a handful, a tenth is soon replaced
HELD = "looks replaced, like many others: left for --accept-replaced"
ACCEPTED = "replaced, which was accepted"


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows of a listed video: its last description, and the newest job.

    ``changed_at`` is when the job's row was last written: for a ``gone`` job, when it went.
    """

    video: Video
    job: Job
    changed_at: Instant


@dataclass(frozen=True, slots=True)
class Change:
    """What a listing's line asks of the ledger.

    ``job`` is the row to write, as it stands after ``event``; None where nothing changes.
    ``event`` is the fact to append to the event log, if there is one.  Whatever the word, the
    video's own row takes over what was seen.
    """

    word: Word
    job: Job | None = None
    event: Event | None = None


def listed(known: Known | None, seen: Video, now: Instant, variant: str) -> Change:
    """Compare a listed video with what is known of it.

    Args:
        known: None where the ledger has no job for this video in *variant*.
        seen: the video as the listing gives it now.
        variant: of the file that is wanted, where the video is new.
    """
    if known is None:
        return _first_seen(seen, now, variant)
    change = _of_job(known, seen, now)
    if change.word == "same" and seen.title != known.video.title:
        return replace(change, word="renamed")
    return change


def _first_seen(seen: Video, now: Instant, variant: str) -> Change:
    job = _expecting(Job(JobKey(seen.id, variant=variant)), seen, now)
    return _skipped(job) if seen.recording else Change("new", job)


def _of_job(known: Known, seen: Video, now: Instant) -> Change:
    # abs: it was written in the future, by a clock that was wrong.
    job, age_s = known.job, abs(now - known.changed_at)
    if seen.recording:  # its length and size are not what they will be: nothing to compare
        waits = job.state is JobState.DISCOVERED and job.asked_at is None
        return _skipped(job) if waits else Change("same")
    match job.state:
        case JobState.SKIPPED if known.video.recording:
            return _reopened(job, seen, now, ENDED)
        case JobState.SKIPPED if age_s >= SETTLES_S:
            # It grew when it was seen last: looked at once more before it is asked for.
            return _reopened(job, seen, now, ENDED, may_grow=True)
        case JobState.GONE if age_s >= GONE_AT_LEAST_S:
            return _reopened(job, seen, now, RELISTED)
        case JobState.ARCHIVED if differs(job, seen):
            met("A41")
            key = job.key._replace(version=job.key.version + 1)
            return Change("changed", _expecting(Job(key, delete_at=job.delete_at), seen, now))
        case JobState.ARCHIVED:
            return _same(job, _completed(job, seen))
        case JobState.DISCOVERED if _grows(job, seen, age_s):
            return _skipped(_completed(_expecting(job, seen, now), job))
        case JobState.DISCOVERED if job.asked_at is None:
            return _same(job, _completed(_expecting(job, seen, now), job))
        case _:
            # What was asked for keeps the values it was asked with: a later listing that says
            # otherwise is then seen as a replacement.
            return Change("same")


def differs(job: Job, seen: Video) -> bool:
    """The listing describes another file than the one that *job* asked for."""
    sizes = job.expected_bytes, seen.size_bytes
    if None not in sizes and sizes[0] != sizes[1]:
        return True
    before, after = job.expected_s, seen.length_s
    return before is not None and after is not None and abs(before - after) >= LENGTH_TOLERANCE_S


def _grows(job: Job, seen: Video, age_s: float) -> bool:
    """It was listed with other values ten minutes ago, or more; nothing was done for it yet.

    A POST that never got through is nothing, though it left a reason.
    """
    came_to_nothing = job.failures or job.ran_out or job.sha256 is not None
    untouched = job.asked_at is None and job.reason != HELD and not came_to_nothing
    return untouched and age_s >= SETTLES_S and differs(job, seen)


def asked(job: Job, seen: Video) -> Job:
    """*job* as it is asked for now: it expects the file that the last listing described.

    Not the one that an earlier version, which was never fetched, was asked for with: the listing
    after this one would take the very file that came for a replacement of it.
    """
    if seen.recording:
        return job
    expecting = changed(job, expected_bytes=seen.size_bytes, expected_s=seen.length_s)
    return _completed(expecting, job)


def is_unasked_replacement(job: Job) -> bool:
    """*job* is a video's next version that only a listing speaks of: nothing was done for it yet.

    A version that was asked for once and came back has a reason, as has a damaged one.
    """
    waits = job.state is JobState.DISCOVERED and job.asked_at is None
    return waits and job.key.version > 1 and job.reason in ("", HELD)


def looks_replaced(count: int, stored: int = 0) -> bool:
    """So many of *stored* archived videos cannot all have been replaced since the last night."""
    return count >= REPLACED_LEAST and count > stored * REPLACED_SHARE


def _skipped(job: Job) -> Change:
    event = Skipped(STILL_RECORDING)
    return Change("skipped", apply(job, event), event)


def _reopened(
    job: Job, seen: Video, now: Instant, reason: str, *, may_grow: bool = False
) -> Change:
    event = Reopened(reason)
    wanted = _expecting(apply(job, event), seen, now)
    return Change("reopened", changed(wanted, fresh_at=now) if may_grow else wanted, event)


def _same(before: Job, after: Job) -> Change:
    return Change("same", None if after == before else after)


def _expecting(job: Job, seen: Video, now: Instant) -> Job:
    fresh_at = job.fresh_at
    if seen.added_at is not None and abs(now - seen.added_at) < FRESH_S:
        fresh_at = now
    elif fresh_at is not None and abs(now - fresh_at) >= FRESH_S:
        fresh_at = None
    return changed(job, expected_bytes=seen.size_bytes, expected_s=seen.length_s, fresh_at=fresh_at)


def _completed(job: Job, other: Video | Job) -> Job:
    """Fill in what *job* does not expect yet from what *other* says; never overwrite."""
    if isinstance(other, Job):
        size_bytes, length_s = other.expected_bytes, other.expected_s
    else:
        size_bytes, length_s = other.size_bytes, other.length_s
    return changed(
        job,
        expected_bytes=size_bytes if job.expected_bytes is None else job.expected_bytes,
        expected_s=length_s if job.expected_s is None else job.expected_s,
    )
