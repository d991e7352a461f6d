"""The jobs of a run that are not final, kept in order: a plan looks only at what it may choose.

Rule 1: a job stands in one place: with those whose time has not come, by that time, or with those
that are due, in one queue for each kind of step, the most urgent first.
Rule 2: its place follows from the job and the time alone, so a plan depends on nothing else.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from enum import IntEnum
from typing import TypeAlias, TypeVar

from archiver.core.model import DAY_S, EXTRAS, NEVER, NOW, Instant, Job, JobKey, JobState, VideoId
from archiver.core.outstanding import Outstanding, is_outstanding

Urgency: TypeAlias = tuple[int, float, float, JobKey]
_Later: TypeAlias = tuple[Instant, JobKey]
Entry = TypeVar("Entry", Urgency, _Later)

_RANK = {
    JobState.FETCHED: 0,  # frees disk and finishes a file
    JobState.AVAILABLE: 1,  # the address is dying; earliest deadline first
    JobState.REQUESTED: 2,
    JobState.DISCOVERED: 3,  # and 4, where it may still be recorded
}
_LAST_RANK = 5


class Queue(IntEnum):
    """What a due job waits for, in the order in which a plan serves it."""

    FETCH = 0
    POLL = 1
    REQUEST = 2
    PUBLISH = 3
    EXTRAS = 4


def deadline(job: Job) -> Instant:
    """By when the file must be fetched: what the server said, else a day from first seen."""
    if job.link is not None and job.link.expires_at != NEVER:
        return job.link.expires_at
    return NEVER if job.available_at is None else Instant(job.available_at + DAY_S)


def urgency(job: Job) -> Urgency:
    """The order of jobs that are due."""
    if job.key.kind == EXTRAS:
        return (_LAST_RANK, NEVER, job.due_at, job.key)  # ``core.gathers`` knows whose come first
    # A version whose answer was lost may be available already: with the requested ones.
    asked = job.state is JobState.DISCOVERED and job.asked_at is not None
    rank = 2 if asked else _RANK[job.state]
    if rank < 3:
        return (rank, deadline(job), job.due_at, job.key)
    # What may still be recorded goes last: the later it is asked for, the surer it is whole.
    return (rank if job.fresh_at is None else rank + 1, deadline(job), job.delete_at, job.key)


def queue_of(job: Job) -> Queue:
    """Which step *job* needs when it is due."""
    if job.key.kind == EXTRAS:
        return Queue.EXTRAS
    match job.state:
        case JobState.FETCHED:
            return Queue.PUBLISH
        case JobState.AVAILABLE if job.link is not None:
            return Queue.FETCH
        case JobState.DISCOVERED if job.asked_at is None:
            return Queue.REQUEST
        case _:
            # Requested, or asked for with the answer lost: a GET tells, and asks for nothing.
            return Queue.POLL


class Agenda:
    """The live jobs of a run, and where each stands.

    Attributes:
        jobs: by key; changed by ``put`` and ``remove`` alone.
        states: how many videos stand in each state.
        stages: the state of each video.
        outstanding: what was asked for and is not saved.
    """

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self.jobs: dict[JobKey, Job] = {}
        self.states: Counter[JobState] = Counter()
        self.stages: dict[VideoId, JobState] = {}
        self.outstanding = Outstanding()
        self._later: list[_Later] = []
        self._due: dict[Queue, list[Urgency]] = {queue: [] for queue in Queue}
        self._place: dict[JobKey, Queue | None] = {}  # None: its time has not come
        self._settled_at = NOW
        for job in jobs:
            self.put(job)

    def put(self, job: Job) -> None:
        """*job* is as it stands now; a final one leaves."""
        self.remove(job.key)
        if job.state.is_final:
            return
        self.jobs[job.key] = job
        self._waits(job)
        if job.key.kind != EXTRAS:
            self.states[job.state] += 1
            self.stages[job.key.video_id] = job.state
            if is_outstanding(job):
                self.outstanding.add(job)

    def remove(self, key: JobKey) -> None:
        """*key* leaves, if it was there."""
        job = self.jobs.pop(key, None)
        if job is None:
            return
        self._leaves(job)
        if key.kind != EXTRAS:
            self.states[job.state] -= 1
            self.stages.pop(key.video_id, None)
            if is_outstanding(job):
                self.outstanding.remove(job)

    @property
    def videos(self) -> int:
        """How many of the jobs are no extras."""
        return self.states.total()

    def settle(self, now: Instant, longest_wait_s: float) -> None:
        """Move what is due by *now* into its queue.

        Due is also what waits for longer than any wait may be: a wrong clock set it.
        """
        if now < self._settled_at:  # the clock was set back: what was due may have to wait again
            for job in self.jobs.values():
                self._leaves(job)
                self._waits(job)
        self._settled_at = now
        later = self._later
        while later and later[0][0] <= now:
            self._falls_due(later[0][1])
        while later and later[-1][0] > now + longest_wait_s:
            self._falls_due(later[-1][1])

    def due(self, queue: Queue, busy: Collection[JobKey]) -> Iterator[tuple[Urgency, Job]]:
        """The jobs of a queue that no hand holds, most urgent first."""
        for entry in self._due[queue]:
            if entry[-1] not in busy:
                yield entry, self.jobs[entry[-1]]

    def next_due_at(self, busy: Collection[JobKey]) -> Instant:
        """When the first job falls due that no hand holds; NEVER where all are due."""
        return next((at for at, key in self._later if key not in busy), NEVER)

    def _waits(self, job: Job) -> None:
        insort(self._later, (job.due_at, job.key))
        self._place[job.key] = None

    def _falls_due(self, key: JobKey) -> None:
        job = self.jobs[key]
        self._leaves(job)
        queue = self._place[key] = queue_of(job)
        insort(self._due[queue], urgency(job))

    def _leaves(self, job: Job) -> None:
        queue = self._place.pop(job.key)
        if queue is None:
            _take(self._later, (job.due_at, job.key))
        else:
            _take(self._due[queue], urgency(job))


def _take(entries: list[Entry], entry: Entry) -> None:
    del entries[bisect_left(entries, entry)]
