"""The live window of a run: the jobs that are worth planning now, in memory.

Rule: the ledger is read only to refill it, and a row that was read never replaces a job that
changed since the read began.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from archiver.core.agenda import Agenda
from archiver.core.model import EXTRAS, NEVER, NOW, Instant, Job, JobKey, JobState
from archiver.met import met
from archiver.ports import Ledger

WINDOW = 200  # discovered jobs in memory: planning costs the window only
_BEGUN = (JobState.REQUESTED, JobState.AVAILABLE, JobState.FETCHED, JobState.ARCHIVED)


class LiveWindow:
    """The jobs of one run's selection that are not final, as far as they are of use now.

    Attributes:
        agenda: every video in flight, the next that are listed only, and their extras.
    """

    def __init__(self, ledger: Ledger, variant: str, *, extras: bool) -> None:
        self._ledger, self._variant, self._extras = ledger, variant, extras
        self.agenda = Agenda()
        self._touched: set[JobKey] = set()
        self._more, self._next_due_at = True, NOW
        self._is_stale = extras  # other extras may be of use by now than those in memory
        self._more_extras, self._extras_due_at = False, NEVER

    @property
    def jobs(self) -> Mapping[JobKey, Job]:
        """The same, by key."""
        return self.agenda.jobs

    @property
    def videos(self) -> int:
        """How many of them are no extras."""
        return self.agenda.videos

    @property
    def is_complete(self) -> bool:
        """The ledger has no other job that is of use now."""
        return not (self._more or self._more_extras or self._is_stale)

    @property
    def next_due_at(self) -> Instant:
        """When the first job outside of the window becomes due."""
        return min(self._next_due_at, self._extras_due_at)

    def put(self, before: Job, after: Job) -> None:
        """A job changed: it stays, or goes if it is final."""
        self._touched.add(after.key)
        self.agenda.put(after)
        if self._extras and after.state in _BEGUN and before.state not in _BEGUN:
            self._is_stale = True  # what belongs to it may be asked for now

    async def leave(self, key: JobKey) -> None:
        """Leave a job for the next run."""
        self.agenda.remove(key)
        await self._ledger.leave(key)

    async def refill(self, now: Instant, busy: Collection[JobKey]) -> None:
        """Read the ledger again, where more is to be had and little of it is left."""
        fresh = self.agenda.states[JobState.DISCOVERED]
        if (self._more and fresh < WINDOW // 4) or now >= self._next_due_at:
            self._more, self._next_due_at = await self._read(now, self._variant, busy)
        is_short = self._more_extras and len(self.jobs) - self.videos < WINDOW // 4
        if is_short or self._is_stale or now >= self._extras_due_at:
            self._is_stale = False
            self._more_extras, self._extras_due_at = await self._read(now, EXTRAS, busy)

    async def _read(
        self, now: Instant, variant: str, busy: Collection[JobKey]
    ) -> tuple[bool, Instant]:
        self._touched.clear()
        window = await self._ledger.window(now, variant, WINDOW)
        if window.more:
            met("L08", "O18")  # what is not at hand stays in the ledger
        for job in window.jobs:
            # A row that changed since the read began is older than what is in memory.
            if job.key not in self._touched and job.key not in busy:
                self.agenda.put(job)
        return window.more, window.next_due_at
