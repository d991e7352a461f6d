"""What a watcher of a run knows at any moment, kept at the cost of a few additions an event.

No clock, no terminal: those who show it (``console``, ``console_lines``) bring theirs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from archiver.core.events import Event, Progressed, Stored, Superseded
from archiver.core.model import EXTRAS, Instant, Job, JobKey, JobState

_RATE_OVER_S = 15.0  # long enough to be calm, short enough to show that a line died
_TITLE_MOST = 200  # more fits no screen


@dataclass(slots=True)
class Transfer:
    """One running download: its title, what it had at its start, and what came since."""

    had: int
    total: int | None
    came: int = 0
    title: str = ""

    @property
    def bytes(self) -> int:
        """How much of the file is here."""
        return self.had + self.came


@dataclass(slots=True)
class Tally:
    """Counts, running downloads, and what is waited for.

    Attributes:
        counts: jobs by state; of all selected ones once ``expect`` was called, else of those seen.
        running: downloads by their job; their titles are the only ones in memory.
        here: bytes of files that are neither running nor stored: complete, or waiting to go on.
        waiting: when each file that the vendor prepares is looked at next.
        archived: files stored in this run.
        received_bytes: over the line in this run.
        wanted_bytes: of all selected files that are not archived; None where nobody said.
    """

    counts: Counter[JobState] = field(default_factory=Counter)
    running: dict[JobKey, Transfer] = field(default_factory=dict)
    here: dict[JobKey, int] = field(default_factory=dict)
    waiting: dict[JobKey, Instant] = field(default_factory=dict)
    archived: int = 0
    received_bytes: int = 0
    stored_bytes: int = 0
    wanted_bytes: int | None = None
    _seen: set[JobKey] | None = field(default_factory=set)
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def expect(self, counts: Mapping[JobState, int], wanted_bytes: int | None = None) -> None:
        """The whole selection, as the ledger counts it: from here on, counts are of all of it."""
        self.counts = Counter(counts)
        self._seen = None
        if wanted_bytes is not None:
            self.wanted_bytes = wanted_bytes + self.stored_bytes

    def began(self, step: str, job: Job, title: str = "") -> None:
        """A hand took up a job."""
        if step == "fetch":
            self.here.pop(job.key, None)
            self.running[job.key] = Transfer(
                job.saved.bytes, job.size_bytes, title=title[:_TITLE_MOST]
            )

    def received(self, job: Job, count: int) -> None:
        """Bytes came.  The hot path: two additions."""
        self.received_bytes += count
        transfer = self.running.get(job.key)
        if transfer is not None:
            transfer.came += count

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        """A fact is in the ledger."""
        if before.key.kind == EXTRAS:
            return  # they belong to a video that is counted
        fresh = isinstance(event, Superseded)  # the video is archived, by another version
        self._count(before, replace(after, state=JobState.ARCHIVED) if fresh else after)
        if after.state is JobState.REQUESTED:
            self.waiting[after.key] = after.due_at
        else:
            self.waiting.pop(after.key, None)
        match event:
            case Progressed(saved):
                transfer = self.running.get(after.key)
                if transfer is not None and saved.total is not None:
                    transfer.total = saved.total
            case Stored(holdings) | Superseded(holdings):
                self.archived += 1
                self.stored_bytes += holdings[0].bytes
                self._want(holdings[0].bytes - (after.expected_bytes or holdings[0].bytes))
                self.here.pop(after.key, None)
            case _:
                self.running.pop(after.key, None)
                self._keep(before, after)

    def sample(self, at: float) -> float:
        """Bytes a second over the last moments; *at* is a clock that never goes back."""
        samples = self._samples
        samples.append((at, self.received_bytes))
        while len(samples) > 2 and samples[1][0] <= at - _RATE_OVER_S:
            samples.popleft()
        since, then = samples[0]
        return (self.received_bytes - then) / (at - since) if at > since else 0.0

    @property
    def have_bytes(self) -> int:
        """Of the wanted bytes, how many are here."""
        here = sum(each.bytes for each in self.running.values()) + sum(self.here.values())
        return self.stored_bytes + here

    @property
    def next_look_at(self) -> Instant | None:
        """When the next file that is being prepared is looked at."""
        return min(self.waiting.values(), default=None)

    def seconds_left(self, rate: float) -> float:
        """How long at this rate; infinity where it cannot be said."""
        if self.wanted_bytes is None or rate <= 0:
            return float("inf")
        return max(0, self.wanted_bytes - self.have_bytes) / rate

    def first_running(self, most: int) -> list[tuple[JobKey, Transfer]]:
        """The longest-running downloads."""
        return list(islice(self.running.items(), most))

    def _keep(self, before: Job, after: Job) -> None:
        """What was saved of a file that broke off is still here."""
        if after.saved.bytes and not after.state.is_final:
            self.here[after.key] = after.saved.bytes
        else:
            self.here.pop(after.key, None)
        if after.state.is_final and not before.state.is_final:  # nobody waits for its bytes
            self._want(-(before.size_bytes or 0))

    def _want(self, more: int) -> None:
        if self.wanted_bytes is not None:
            self.wanted_bytes = max(0, self.wanted_bytes + more)

    def _count(self, before: Job, after: Job) -> None:
        # Where nobody said what the selection holds, what shows up is counted.
        if self._seen is not None and before.key not in self._seen:
            self._seen.add(before.key)
            self.counts[before.state] += 1
        if before.state is not after.state:
            self.counts[before.state] -= 1
            self.counts[after.state] += 1
