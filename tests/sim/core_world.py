"""Worlds of kind "core": what is decided, without anything that does it.

Nothing is real: a heap of steps in the air, a vendor that is a state machine, a line that is
arithmetic.  Several nights, crashes between, a listing before each; then misfortune ends, and
everything that can be had must be had.
"""

from __future__ import annotations

import random

from archiver.core import listing
from archiver.core.learning import Learnt
from archiver.core.lifecycle import IllegalTransitionError, Reopened, apply
from archiver.core.model import DAY_S, Instant, Job, JobKey, JobState, VideoId
from tests.sim.core_night import Night
from tests.sim.fate import BrokenPromiseError, Fate
from tests.sim.line import Line
from tests.sim.outcome import Outcome
from tests.sim.studio import API_FAULTS, HOST_FAULTS, Studio

FAULTS = (API_FAULTS | HOST_FAULTS - {"cut at expiry"}) | {"lost on disk", "crash", "wrong clock"}
QUIET_NIGHTS = 3  # one that gives up what failed for long, one that gets it, and one to be sure
OPENED_AT = 1_790_000_000.0
SKEWS_S = (-400 * DAY_S, -7200.0, -30.0, 30.0, 7200.0, 400 * DAY_S)


class World:
    """What outlives a run: the vendor, the line, and the rows of the ledger."""

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.dice = dice = fate.dice("world")
        self.studio = Studio(fate, OPENED_AT)
        self.at = OPENED_AT
        rate = 10.0 ** dice.uniform(4, 9)
        self.line: Line[JobKey] = Line(rate)
        self.count = dice.randint(1, 12)
        transfer_s = min(10 ** dice.uniform(0, 4.3), 3 * self.studio.window_s)
        shares = [dice.expovariate(1.0) for _ in range(self.count)]
        self.sizes = [max(1, int(rate * transfer_s * s / sum(shares))) for s in shares]
        self.slots = dice.randint(1, 8)
        self.rows: dict[JobKey, Job] = {}
        self.changed_at: dict[VideoId, float] = {}
        self.kept: dict[str, object] = {}
        self.learnt = Learnt(self.slots)

    @property
    def transfer_s(self) -> float:
        """What the line needs for everything."""
        return sum(self.sizes) / self.line.rate_bytes_s

    def upload(self, count: int) -> None:
        """The next *count* videos appear."""
        have = len(self.studio.films)
        for n, size in enumerate(self.sizes[have : have + count], have + 1):
            self.studio.add(VideoId(n), size)

    def list(self, now: Instant) -> None:
        """A run begins: take in what the account shows, and reopen what was parked."""
        for video in self.studio.listing():
            versions = [key for key in self.rows if key.video_id == video.id]
            known = None
            if versions:
                job = self.rows[max(versions)]
                known = listing.Known(video, job, Instant(self.changed_at.get(video.id, now)))
            change = listing.listed(known, video, now, "mp4")
            self.fate.happened(self.at, f"listed {change.word}", video.id)
            if change.job is not None:
                self.rows[change.job.key] = change.job
        for key, job in self.rows.items():
            if job.state is JobState.PARKED:
                self.rows[key] = apply(job, Reopened("a new run"))

    def night(self) -> None:
        """One night: as many runs as crashes make of it."""
        skew_s = 0.0
        if self.fate.strikes("wrong clock"):
            skew_s = self.fate.own("wrong clock").choice(SKEWS_S)
            for version in self.studio.versions.values():
                version.is_excused = True
            self.studio.owes(self.count, self.count)
        self.studio.clock_is_wrong = skew_s != 0.0
        self.list(Instant(self.at + skew_s))
        over = False
        while not over:
            self.studio.client_restarts()
            self.learnt = learnt = Learnt(self.slots)
            learnt.remember(self.kept)
            run = Night(self.fate, self.studio, self.line, self.rows, self.at, skew_s, learnt)
            before = dict(self.rows)
            over = run.spend()
            self._dates(before, run.now)
            for key in run.transfers:
                self.line.drop(key, run.at)
            self.at = run.at + (0.0 if over else 30.0)
        self.kept = self.learnt.as_json()
        for version in self.studio.versions.values():
            version.is_excused = version.is_excused or self.studio.clock_is_wrong

    def _dates(self, before: dict[JobKey, Job], now: float) -> None:
        for key, job in self.rows.items():
            if job != before.get(key):
                self.changed_at[key.video_id] = now


def run(seed: int, faults: frozenset[str] | None = None) -> Outcome:
    """Live one world through: see ``outcome.Kind``."""
    fate = Fate(seed, FAULTS, faults, most=12)
    world = World(fate)
    try:
        _live(world)
    except BrokenPromiseError:
        pass
    except (AssertionError, IllegalTransitionError, LookupError, ValueError) as error:
        fate.failure = fate.failure or f"{type(error).__name__}: {error}"
    return fate.outcome(world.at - OPENED_AT)


def _live(world: World) -> None:
    dice, studio = world.dice, world.studio
    nights = dice.randint(1, 4)
    for _ in range(nights):
        world.upload(-(-world.count // nights))
        world.night()
        _is_sound(world)
        _to_the_next(world, dice)
        studio.day_passes()
    world.fate.quiet()
    studio.settle()
    studio.day_passes()
    for _ in range(QUIET_NIGHTS):
        began_at = world.at
        world.night()
        _is_sound(world)
        if not _left(world):
            _took_no_longer(world, world.at - began_at)
            break
        _to_the_next(world, dice)
    else:
        raise world.fate.broken(f"misfortune ended, and this was not archived: {_left(world)}")
    _count(world)


def _to_the_next(world: World, dice: random.Random) -> None:
    world.at += DAY_S + dice.uniform(-3600, 3600)


def _is_sound(world: World) -> None:
    """After a run: each listed video is in exactly one state, and says why it is no further."""
    for video in world.studio.films:
        rows = sorted(key for key in world.rows if key.video_id == video)
        older = [world.rows[key].state for key in rows[:-1]]
        if any(state is not JobState.ARCHIVED for state in older):
            raise world.fate.broken(f"{video} has two versions that are wanted at once")
        if rows and world.rows[rows[-1]].state is JobState.GONE:
            told = world.fate.fired["not found"] + world.fate.fired["video deleted"]
            if not told:
                raise world.fate.broken(f"{video} is gone, and nobody said so")


def _left(world: World) -> list[str]:
    """What the vendor has and the archive has not, with the bytes that it has."""
    left = []
    for video, film in world.studio.films.items():
        keys = [key for key in world.rows if key.video_id == video]
        job = world.rows[max(keys)] if keys else None
        if film.is_there and (job is None or job.state is not JobState.ARCHIVED):
            left.append(str(job or video))
    return left


def _took_no_longer(world: World, took_s: float) -> None:
    """L1: twice the transfer and the waiting for the vendor, and an hour of quiet."""
    studio = world.studio
    calls = 6 * world.count
    limit_s = 0.0 if studio.limit is None else (1 + calls // studio.limit) * studio.period_s
    rounds = 1 + world.transfer_s / studio.window_s
    made_s = studio.generation_s * (300 if world.fate.fired["slow to make"] else 10)
    most_s = 2 * world.transfer_s + 2 * made_s * rounds + limit_s + 3600.0
    if took_s > most_s:
        raise world.fate.broken(f"a quiet night took {took_s:.0f} s of at most {most_s:.0f}")


def _count(world: World) -> None:
    studio, figures = world.studio, world.fate.figures
    figures["api calls"] = studio.calls
    figures["api posts"] = studio.posts
    figures["expired"] = studio.expired
    figures["videos"] = world.count
    figures["owed calls"] = int(studio.owed_calls)
