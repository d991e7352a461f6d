"""What a world of any kind begins with: an account, a line, so many nights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from archiver.core.model import DAY_S, VideoId
from tests.sim.fate import Fate
from tests.sim.line import Line
from tests.sim.optimum import Load, Optimum, optimum
from tests.sim.studio import Studio

K = TypeVar("K")

OPENED_AT = 1_790_000_000.0
QUIET_NIGHTS = 3  # one that gives up what failed for long, one that gets it, and one to be sure
SHARE_OF_WINDOW = 0.8  # of what the line carries in a window: what needs no more runs out never
KILLERS = frozenset({  # these end a version, or keep the line or the API from it for long
    "api away", "crash", "interrupt", "disk full", "login refused", "expired at once", "forgotten",
    "unknown request", "host away", "refused", "corrupt", "broken", "cut at expiry", "part lost",
    "lost on disk", "other bytes", "video deleted", "video replaced", "wrong clock",
})  # fmt: skip
SKEWS_S = (-400 * DAY_S, -7200.0, -30.0, 30.0, 7200.0, 400 * DAY_S)


class Setting(Generic[K]):
    """What outlives a run, as the seed draws it.

    Args:
        count_most: videos, at most.
    """

    def __init__(self, fate: Fate, count_most: int) -> None:
        self.fate = fate
        self.dice = dice = fate.dice("world")
        self.studio = Studio(fate, OPENED_AT)
        self.at = OPENED_AT
        rate = 10.0 ** dice.uniform(4, 9)
        self.line: Line[K] = Line(rate)
        self.count = dice.randint(1, count_most)
        transfer_s = min(10 ** dice.uniform(0, 4.3), 3 * self.studio.window_s)
        shares = [dice.expovariate(1.0) for _ in range(self.count)]
        self.sizes = [max(1, int(rate * transfer_s * s / sum(shares))) for s in shares]
        self.studio.slice_bytes = rate * min(5.0, self.studio.window_s / 20)
        self.slots, self.requests = dice.randint(1, 8), dice.randint(1, 8)
        self.nights = dice.randint(1, 4)

    @property
    def transfer_s(self) -> float:
        """What the line needs for everything."""
        return sum(self.sizes) / self.line.rate_bytes_s

    def upload(self) -> list[VideoId]:
        """The next videos appear: a night's share."""
        have = len(self.studio.films)
        share = -(-self.count // self.nights)
        for number, size in enumerate(self.sizes[have : have + share], have + 1):
            self.studio.add(VideoId(number), size)
        return list(self.studio.films)[have:]

    def offline(self, numbers: Iterable[VideoId]) -> Optimum:
        """What full knowledge would make of a night with these new videos, asked for at once."""
        studio, loads = self.studio, []
        for number in numbers:
            ready_at = studio.made_in_s(number, 1)
            size = studio.films[number].size
            loads.append(Load(size, ready_at, ready_at + studio.window_s))
        return optimum(loads, self.line.rate_bytes_s)

    def to_the_next(self) -> None:
        """The night is over; the next one begins about a day later."""
        self.at += DAY_S + self.dice.uniform(-3600, 3600)

    def skew_s(self) -> float:
        """How wrong the client's clock is tonight."""
        skew_s = 0.0
        if self.fate.strikes("wrong clock"):
            skew_s = self.fate.own("wrong clock").choice(SKEWS_S)
            self.studio.owes(self.count)
        was_wrong = self.studio.clock_is_wrong
        self.studio.clock_is_wrong = skew_s != 0.0
        if was_wrong or self.studio.clock_is_wrong:
            for version in self.studio.versions.values():
                version.is_excused = True
        return skew_s

    def quiet(self) -> None:
        """Misfortune ends."""
        self.fate.quiet()
        self.studio.settle()
        self.studio.day_passes()

    def took_no_longer(self, took_s: float) -> None:
        """Twice the transfer and the waiting for the vendor, and an hour of quiet (L1)."""
        studio = self.studio
        limit_s = 0.0
        if studio.limit is not None:
            limit_s = (1 + 6 * self.count // studio.limit) * studio.period_s
        rounds = 1 + self.transfer_s / studio.window_s
        made_s = studio.generation_s * (300 if self.fate.fired["slow to make"] else 10)
        most_s = 2 * self.transfer_s + 2 * made_s * rounds + limit_s + 3600.0
        if took_s > most_s:
            raise self.fate.broken(f"a quiet night took {took_s:.0f} s of at most {most_s:.0f}")

    def may_be_gone(self, video: VideoId) -> None:
        """A video went: somebody must have said so."""
        if video not in self.studio.said_gone:
            raise self.fate.broken(f"{video} is gone, and nobody said so")

    def count_up(self) -> None:
        """The figures of a world that came to its end."""
        studio, figures = self.studio, self.fate.figures
        figures["api calls"] = studio.calls
        figures["api posts"] = studio.posts
        figures["owed calls"] = round(studio.owed_calls)
        figures["owed versions"] = round(studio.owed_versions)
        figures["expired"] = studio.expired
        figures["videos"] = self.count
        can_be_met = self.transfer_s <= SHARE_OF_WINDOW * studio.window_s
        if can_be_met and studio.expired and not self.fate.fired.keys() & KILLERS:
            raise self.fate.broken(f"{studio.expired} versions ran out though there was time")

    def compare(self, new: Sequence[VideoId], took_s: float) -> None:
        """A night without misfortune ends soon after the soonest that anybody could end it."""
        if self.fate.faults or self.studio.limit is not None or not new:
            return
        best_s = self.offline(new).finished_at
        self.fate.figures["seconds to the end"] += round(took_s)
        self.fate.figures["seconds at best"] += round(best_s)
        most_s = 2 * best_s + 12 * self.studio.generation_s + 60.0
        if took_s > most_s:
            raise self.fate.broken(f"a night took {took_s:.0f} s of {best_s:.0f} at best")
