"""What is outstanding, and how much more may be: nothing is asked for that would run out.

Outstanding is what was asked for and is not yet saved.  Not asking for too much, rather than
trying again, is how a version never expires.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from archiver.core.agenda import deadline
from archiver.core.model import NEVER, Instant, Job
from archiver.core.outstanding import Outstanding, left_bytes
from archiver.core.sharing import Sharing
from archiver.core.steps import Budget, Fetch, Poll, Request, Step
from archiver.met import met


class Spender:
    """One planning: what is left of the budget while steps are chosen."""

    def __init__(
        self, budget: Budget, outstanding: Outstanding, sharing: Sharing, now: Instant
    ) -> None:
        self.budget, self.now, self._sharing = budget, now, sharing
        self.calls, self.polls, self.fetches = budget.calls, budget.polls, budget.fetches
        load = outstanding.load(budget.typical_bytes, budget.generation_s)
        self.files, self.bytes = load.files, load.bytes
        self.due_on_disk, self.moving = load.disk_bytes, load.is_moving
        self.wakes: list[Instant] = []
        self.short_of_disk = self.short_of_calls = False
        self.line_is_idle = budget.line_is_idle
        self.late: Fetch | None = None  # the first that was passed over: it would not end
        self._is_full = False  # whose address ends later must not share the line now

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

    def is_over(self, step: Step) -> bool:
        """*step* could not be afforded, and no other of its kind can be, whatever the job."""
        match step:
            case Fetch():
                return self.fetches <= 0 or self._is_full
            case Poll():
                return self.polls <= 0 or self.calls <= 0
            case _:
                return self.files >= self.budget.files_most or self.short_of_calls

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
        held_until = self._sharing.held_until(job)
        if held_until is not None:
            met("D36")
            self.wakes.append(held_until)
            self._is_full = True
            return False
        self._sharing.begins(job)
        self.fetches -= 1
        self.line_is_idle = False
        return True

    def _can_end(self, job: Job) -> bool:
        """A fetch starts if it can end at the measured rate.

        One that no window could hold starts all the same: what it saves is kept.
        """
        rate = self.budget.rate_bytes_s
        needs_s = 0.0 if rate is None else left_bytes(job, self.budget.typical_bytes) / rate
        ends_at = deadline(job)
        says_so = job.link is not None and job.link.expires_at != NEVER
        if says_so and self.now + needs_s > ends_at and needs_s < 0.8 * self.budget.window_s:
            met("D36")  # it would take the line from those that can end, and end dead
            self.wakes.append(ends_at)
            return False
        return True

    def _admits(self, job: Job) -> bool:
        """Never ask for more than can be fetched before it runs out."""
        budget, size = self.budget, left_bytes(job, self.budget.typical_bytes)
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
