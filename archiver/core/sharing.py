"""Downloads that share a line: which of them end before their addresses do.

A line is shared equally by what it carries.  So a file is through when each of the others has got
as much as it needs, or all of its own if that is less: the sum of these over the line's rate.

Rule 1: nothing begins behind which a file whose address ends sooner might not end in time.
Rule 2: what even the whole line could not bring in time holds nobody back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from archiver.core.agenda import Agenda, deadline
from archiver.core.model import NEVER, Instant, Job, JobKey, JobState
from archiver.core.outstanding import left_bytes
from archiver.core.steps import Budget, Policy

_SURE = 0.8  # of the time that is left may be planned for: a rate is never quite known
_SPARE = 0.25  # of what a file takes alone: so long before its address it is to end


def margin_s(
    expires_at: Instant, asked_at: Instant | None, window_s: float, policy: Policy
) -> float:
    """How close to its end an address counts as dead: it scales with the window.

    An address cannot have lived longer than since it was asked for, so a short window shows in
    the very first address, before any was learnt.
    """
    life_s = window_s if asked_at is None else min(window_s, max(0.0, expires_at - asked_at))
    return min(policy.margin_most_s, policy.margin_share * life_s)


@dataclass(frozen=True, slots=True)
class _Carried:
    """A file on the line: how large, what is left of it, and when it is dead, if anybody says."""

    bytes: int
    left_bytes: int
    deadline: Instant
    dead_at: Instant


class Sharing:
    """One planning: the downloads that run, and those that the plan begins."""

    def __init__(
        self, agenda: Agenda, busy: Collection[JobKey], now: Instant, budget: Budget, policy: Policy
    ) -> None:
        self._now, self._budget, self._policy = now, budget, policy
        self._jobs, self._busy = agenda.jobs, busy

    @cached_property
    def _carried(self) -> list[_Carried]:
        """Most plans begin no download, and do not ask."""
        running = [self._jobs[key] for key in self._busy if key in self._jobs]
        return [self._of(job) for job in running if job.state is JobState.AVAILABLE]

    def begins(self, job: Job) -> None:
        """*job*'s download begins now."""
        self._carried.append(self._of(job))

    def held_until(self, job: Job) -> Instant | None:
        """When *job*'s download may begin, as far as can be told; None: now."""
        rate, new = self._budget.rate_bytes_s, self._of(job)
        if rate is None:
            return None
        sooner = [each for each in self._carried if each.deadline < new.deadline]
        waits = [self._wait_s(each, new, rate) for each in sooner]
        wait_s = max(waits, default=0.0)
        return Instant(self._now + wait_s) if wait_s > 0 else None

    def _wait_s(self, sooner: _Carried, new: _Carried, rate: float) -> float:
        """How long *new* must wait so that *sooner*, which the line carries, ends in time."""
        time_s, left = sooner.dead_at - self._now, sooner.left_bytes
        if _SURE * left / rate > time_s:
            return 0.0  # not even if the line is a little faster than was measured
        plan_s = _SURE * (time_s - _SPARE * sooner.bytes / rate)
        if (len(self._carried) + 1) * left / rate <= plan_s:
            return 0.0  # without adding up: it is nearly always so
        needs_s = sum(min(left, each.left_bytes) for each in (*self._carried, new)) / rate
        # In a second the line carries a second of what is needed, and one of the time is gone.
        return min(time_s, (needs_s - plan_s) / (1.0 - _SURE))

    def _of(self, job: Job) -> _Carried:
        budget, ends_at = self._budget, deadline(job)
        size = budget.typical_bytes if job.size_bytes is None else job.size_bytes
        left = left_bytes(job, budget.typical_bytes)
        if job.link is None or job.link.expires_at == NEVER:
            return _Carried(size, left, ends_at, NEVER)
        margin = margin_s(ends_at, job.asked_at, budget.window_s, self._policy)
        return _Carried(size, left, ends_at, Instant(ends_at - margin))
