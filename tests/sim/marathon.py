"""A large account in one night without misfortune: how near a run comes to what nobody could beat.

The decisions are the program's own; the vendor, the line and the time are arithmetic.  What comes
out is compared with a lower bound: the largest of the slowest file to be made, the bytes over the
line, and the calls over the limit, where two calls a video and the listing are counted.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from archiver.core import pacing
from archiver.core.events import Event, Fetched
from archiver.core.learning import Learnt
from archiver.core.model import DAY_S, Instant, Job, JobKey, JobState, VideoId
from archiver.core.steps import Budget
from archiver.window import WINDOW
from tests.sim.core_night import Night
from tests.sim.fate import Fate
from tests.sim.line import Line
from tests.sim.setting import OPENED_AT
from tests.sim.studio import Studio

PAGE = 50  # videos on a page of the account's listing
DOWNLOADS, REQUESTS = 8, 8  # as without options


@dataclass(frozen=True, slots=True)
class Account:
    """What there is to archive, and over what.

    Attributes:
        mean_bytes: of a file.
        spread: of the natural logarithm of the sizes; 0: all are equal.
        generation_s: the mean; drawn from an exponential distribution, the hardest to foresee.
        calls_most: API calls in ``period_s``.
    """

    videos: int
    mean_bytes: float
    spread: float
    rate_bytes_s: float = 125e6
    generation_s: float = 180.0
    window_s: float = DAY_S
    calls_most: int = 5_000
    period_s: float = 3600.0
    seed: int = 1


def long(videos: int, seed: int = 1) -> Account:
    """Recordings of hours: the line binds."""
    return Account(videos, 1.2e9, 1.0, seed=seed)


def short(videos: int, seed: int = 1) -> Account:
    """Clips of seconds: the calls bind."""
    return Account(videos, 20e6, 0.0, seed=seed)


@dataclass(slots=True)
class Measured:
    """What a run took, and what it could not have taken less of."""

    videos: int = 0
    makespan_s: float = 0.0
    made_s: float = 0.0  # the slowest file to be made
    line_s: float = 0.0  # all bytes, back to back
    calls_s: float = 0.0  # two calls a video and the listing
    calls: int = 0  # behind the listing
    expired: int = 0
    overtime: int = 0  # downloads that were not through when their address was dead
    idle_s: float = 0.0  # of the line, from the first request to the last byte
    most_outstanding: int = 0
    latencies_s: list[float] = field(default_factory=list)  # from available to the last byte

    @property
    def bound_s(self) -> float:
        """The lower bound."""
        return max(self.made_s, self.line_s, self.calls_s)

    @property
    def ratio(self) -> float:
        """How far above it: 1 is perfect."""
        return self.makespan_s / self.bound_s

    @property
    def calls_a_video(self) -> float:
        """POSTs and polls."""
        return self.calls / self.videos

    def latency_s(self, share: float) -> float:
        """In how many seconds *share* of the files were there once they could be had."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Marathon(Night):
    """One night with very many videos: only a window of those that are merely listed is at hand."""

    def __init__(
        self, fate: Fate, studio: Studio, line: Line[JobKey], rows: dict[JobKey, Job],
        now: float, learnt: Learnt, measured: Measured,
    ) -> None:  # fmt: skip
        super().__init__(fate, studio, line, {}, now, 0.0, learnt)
        self.requests, self.measured = REQUESTS, measured
        self.ahead = deque(rows.values())

    def _budget(self) -> Budget:
        fresh = self.agenda.states[JobState.DISCOVERED]
        if fresh < WINDOW // 4:
            for _ in range(min(WINDOW - fresh, len(self.ahead))):
                self.agenda.put(self.ahead.popleft())
        return super()._budget()

    def _is_bounded(self, budget: Budget, fresh: list[JobKey]) -> None:
        """Too slow to be looked at here each time; every world of kind "core" looks."""

    def _record(self, key: JobKey, event: Event) -> Job:
        after = super()._record(key, event)
        if isinstance(event, Fetched):
            version = self.studio.versions[key.video_id]
            self.measured.latencies_s.append(self.at - version.ready_at)
            self.measured.overtime += self.at > version.ends_at
            del self.rows[key], self.studio.versions[key.video_id]
        return after


def run(account: Account, sizes: Sequence[int] = (), downloads: int = DOWNLOADS) -> Measured:
    """Archive *account* from an empty archive, and measure.

    Args:
        sizes: of the files, in order; none: they are drawn.  Where they are few and huge, what
            is saved of one has to be told as often as by the program.
    """
    fate = Fate(account.seed, frozenset(), frozenset(), most=1)
    studio = _studio(account, fate)
    line = Line[JobKey](account.rate_bytes_s)
    sizes = sizes or _sizes(account, fate)
    for number, size in enumerate(sizes, 1):
        studio.add(VideoId(number), size)
    measured = Measured(
        account.videos,
        made_s=max(studio.made_in_s(number, 1) for number in studio.films),
        line_s=sum(sizes) / account.rate_bytes_s,
    )
    pages = math.ceil(account.videos / PAGE)
    calls = pages + 2 * account.videos
    # The calls of a period may all be spent in its first moment, and so may those of the last.
    measured.calls_s = (math.ceil(calls / account.calls_most) - 1) * account.period_s
    rate, at = _list(studio, pages)
    rows = {
        (key := JobKey(number)): Job(key, expected_bytes=film.size)
        for number, film in studio.films.items()
    }
    night = Marathon(fate, studio, line, rows, at, Learnt(downloads), measured)
    night.rate = rate
    if sizes:
        night.stretch_bytes = 60.0 * account.rate_bytes_s
    night.spend()
    measured.makespan_s = night.at - OPENED_AT
    measured.calls = studio.calls - pages
    measured.expired = studio.expired
    measured.idle_s = night.at - at - line.busy_s
    return measured


def _studio(account: Account, fate: Fate) -> Studio:
    studio = Studio(fate, OPENED_AT)
    studio.window_s, studio.generation_s = account.window_s, account.generation_s
    studio.limit, studio.period_s = account.calls_most, account.period_s
    return studio


def _sizes(account: Account, fate: Fate) -> list[int]:
    """Log-normal, with the mean that is asked for, exactly."""
    dice = fate.dice("sizes")
    drawn = [dice.lognormvariate(0.0, account.spread) for _ in range(account.videos)]
    scale = account.mean_bytes * account.videos / sum(drawn)
    return [max(1, int(scale * each)) for each in drawn]


def _list(studio: Studio, pages: int) -> tuple[pacing.Rate, float]:
    """Page after page, within the limit."""
    rate, at = pacing.Rate(), OPENED_AT
    for _ in range(pages):
        now = Instant(at)
        at = max(at, pacing.may_send_at(rate, 0, now) or at)
        rate = pacing.sent(rate, Instant(at))
        headers = studio.page(at)
        at += 0.2
        rate = pacing.answered(rate, pacing.news(headers, Instant(at)), Instant(at))
    return rate, at
