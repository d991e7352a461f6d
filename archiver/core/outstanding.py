"""What was asked for and is not yet saved, as running totals: no plan has to add it up again."""

from __future__ import annotations

from dataclasses import dataclass

from archiver.core.model import Job, JobKey, JobState

_PATIENCE_S = 300.0  # the longest pause between two polls: by then most files were seen
_PATIENCE_FACTOR = 4.0  # times what most files take


def is_outstanding(job: Job) -> bool:
    """A version was asked for, and its bytes are not all saved."""
    if job.state is JobState.DISCOVERED:
        return job.asked_at is not None
    return job.state in (JobState.REQUESTED, JobState.AVAILABLE)


def left_bytes(job: Job, typical_bytes: int) -> int:
    """What is still to be fetched of a file; one of unknown size is taken for a typical one."""
    size = job.size_bytes
    return max(0, (typical_bytes if size is None else size) - job.saved.bytes)


@dataclass(frozen=True, slots=True)
class Load:
    """All that is outstanding, at one moment.

    Attributes:
        files: how many, and ``bytes`` how much is left of them, each by its weight.
        disk_bytes: what they will take on the disk, whatever their weight.
        is_moving: one of them counts in full.
    """

    files: float
    bytes: float
    disk_bytes: int
    is_moving: bool


class Outstanding:
    """The outstanding versions of a run; whoever adds a job removes the same one."""

    def __init__(self) -> None:
        self.count = 0
        self._bytes = self._unsized = 0
        self._odd: dict[JobKey, Job] = {}  # those that cannot be told by a sum

    def add(self, job: Job) -> None:
        """*job* is outstanding."""
        self._count(job, 1)
        if _is_odd(job):
            self._odd[job.key] = job

    def remove(self, job: Job) -> None:
        """It is no longer, or not as it was."""
        self._count(job, -1)
        self._odd.pop(job.key, None)

    def load(self, typical_bytes: int, generation_s: float) -> Load:
        """All of them together, as far as each is likely to come."""
        odd = [(_weight(j, generation_s), left_bytes(j, typical_bytes)) for j in self._odd.values()]
        plain_bytes = self._bytes + self._unsized * typical_bytes
        plain = self.count - len(odd)
        return Load(
            files=plain + sum(weight for weight, _ in odd),
            bytes=plain_bytes + sum(weight * left for weight, left in odd),
            disk_bytes=plain_bytes + sum(left for _, left in odd),
            is_moving=plain > 0 or any(weight == 1.0 for weight, _ in odd),
        )

    def _count(self, job: Job, change: int) -> None:
        self.count += change
        if _is_odd(job):
            return
        if job.size_bytes is None:
            self._unsized += change
        else:
            self._bytes += change * left_bytes(job, 0)


def _seen_pending_s(job: Job) -> float:
    """For how long the vendor has been saying that the version is not made yet."""
    if job.state is JobState.AVAILABLE or job.asked_at is None or job.pending_at is None:
        return 0.0
    return job.pending_at - job.asked_at


def _is_odd(job: Job) -> bool:
    return _seen_pending_s(job) > _PATIENCE_S or (job.size_bytes is None and job.saved.bytes > 0)


def _weight(job: Job, generation_s: float) -> float:
    """How much of an outstanding version counts, from 1 down.

    One that is pending for much longer than others took may never come.  It counts less and less,
    so that a few which the vendor cannot make do not hold up all the others.  What counts is what
    the vendor said: while nobody could ask, a version grows no less likely.
    """
    patience_s = max(_PATIENCE_S, _PATIENCE_FACTOR * generation_s)
    return patience_s / max(patience_s, _seen_pending_s(job))
