"""What is outstanding, and how much more may be: nothing is asked for that would run out.

Outstanding is what was asked for and is not yet saved.  Not asking for too much, rather than
trying again, is how a version never expires.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from archiver.core.model import DAY_S, NEVER, Instant, Job, JobState
from archiver.core.steps import Budget, Fetch, Poll, Request, Step
from archiver.met import met

_PATIENCE_S = 300.0  # the longest pause between two polls: by then most files were seen
_PATIENCE_FACTOR = 4.0  # times what most files take


def deadline(job: Job) -> Instant:
    """By when the file must be fetched: what the server said, else a day from first seen."""
    if job.link is not None and job.link.expires_at != NEVER:
        return job.link.expires_at
    return NEVER if job.available_at is None else Instant(job.available_at + DAY_S)


def is_outstanding(job: Job) -> bool:
    """A version was asked for, and its bytes are not all saved."""
    if job.state is JobState.DISCOVERED:
        return job.asked_at is not None
    return job.state in (JobState.REQUESTED, JobState.AVAILABLE)


def _weight(job: Job, now: Instant, generation_s: float) -> float:
    """How much of an outstanding version counts, from 1 down.

    One that is pending for much longer than others took may never come.  It counts less and less,
    so that a few which the vendor cannot make do not hold up all the others.
    """
    if job.state is JobState.AVAILABLE or job.asked_at is None:
        return 1.0
    patience_s = max(_PATIENCE_S, _PATIENCE_FACTOR * generation_s)
    return patience_s / max(patience_s, now - job.asked_at)


def _left_bytes(job: Job, typical_bytes: int) -> int:
    size = job.size_bytes
    return max(0, (typical_bytes if size is None else size) - job.saved.bytes)


class Spender:
    """One planning: what is left of the budget while steps are chosen."""

    def __init__(self, budget: Budget, active: Iterable[Job], now: Instant) -> None:
        self.budget, self.now = budget, now
        self.calls, self.polls, self.fetches = budget.calls, budget.polls, budget.fetches
        waiting = [
            (_weight(job, now, budget.generation_s), _left_bytes(job, budget.typical_bytes))
            for job in active
            if is_outstanding(job)
        ]
        self.files = sum(weight for weight, _ in waiting)
        self.bytes = sum(weight * left for weight, left in waiting)
        self.due_on_disk = sum(left for _, left in waiting)
        self.moving = any(weight == 1.0 for weight, _ in waiting)
        self.wakes: list[Instant] = []
        self.short_of_disk = self.short_of_calls = False
        self.line_is_idle = budget.line_is_idle
        self.late: Fetch | None = None  # the first that was passed over: it would not end

    def affords(self, job: Job, step: Step) -> bool:
        """Spend what *step* costs, if it is there."""
        match step:
            case Fetch():
                return self._fetch(job, step)
            case Request():
                return self._admits(job) and self._call()
            case Poll():
                if self.polls <= 0:
                    return False  # woken by the poll that ends
                if not self._call():
                    return False
                self.polls -= 1
                return True
            case _:
                return True

    def _call(self) -> bool:
        if self.calls <= 0:
            self.wakes.append(self.budget.more_at)
            self.short_of_calls = True
            return False
        self.calls -= 1
        return True

    def _fetch(self, job: Job, step: Fetch) -> bool:
        if self.fetches <= 0:
            return False  # woken by the download that ends
        closed_until = self.budget.closed.get(host_of(job))
        if closed_until is not None:
            self.wakes.append(closed_until)
            return False
        if self.now >= self.budget.ends_at:
            return False
        if not self._can_end(job):
            self.late = self.late or step
            return False
        self.fetches -= 1
        self.line_is_idle = False
        return True

    def _can_end(self, job: Job) -> bool:
        """A fetch starts if it can end at the measured rate.

        One that no window could hold starts all the same: what it saves is kept.
        """
        rate = self.budget.rate_bytes_s
        needs_s = 0.0 if rate is None else _left_bytes(job, self.budget.typical_bytes) / rate
        ends_at = deadline(job)
        says_so = job.link is not None and job.link.expires_at != NEVER
        if says_so and self.now + needs_s > ends_at and needs_s < 0.8 * self.budget.window_s:
            met("D36")  # it would take the line from those that can end, and end dead
            self.wakes.append(ends_at)
            return False
        return True

    def _admits(self, job: Job) -> bool:
        """Never ask for more than can be fetched before it runs out."""
        budget, size = self.budget, _left_bytes(job, self.budget.typical_bytes)
        if self.due_on_disk + size > budget.disk_bytes:
            self.short_of_disk = True
            return False
        if self.files >= budget.files_most:
            return False
        if self.moving and self.bytes + size > budget.bytes_most:
            met("A30")
            return False  # else a slow line still gets a file
        if not self._in_time(size):
            return False
        if self.calls > 0:
            self.files += 1
            self.bytes += size
            self.due_on_disk += size
            self.moving = True
        return True

    def _in_time(self, size: int) -> bool:
        """With a time limit: only what can be fetched by then, or still by the next run."""
        rate = self.budget.rate_bytes_s
        ready_at = self.now + self.budget.generation_s
        done_at = ready_at + (0.0 if rate is None else (self.bytes + size) / rate)
        if self.now >= self.budget.ends_at:
            return False
        # The next run has as much to fetch when it begins, and that takes as long.
        later_at = self.budget.next_run_at + (done_at - ready_at)
        return done_at <= self.budget.ends_at or ready_at + self.budget.window_s > later_at


def host_of(job: Job) -> str:
    """The origin of the job's address, as ``https://host:port``; "" where it has none."""
    if job.link is None:
        return ""
    parts = urlsplit(job.link.url)
    return f"{parts.scheme}://{parts.netloc}"
