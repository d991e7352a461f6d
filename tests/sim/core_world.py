"""Worlds of kind "core": what is decided, without anything that does it.

Nothing is real: a heap of steps in the air, a vendor that is a state machine, a line that is
arithmetic.  Several nights, crashes between, a listing before each; then misfortune ends, and
everything that can be had must be had.
"""

from __future__ import annotations

from archiver.core import listing
from archiver.core.events import IllegalTransitionError, Reopened
from archiver.core.learning import Learnt
from archiver.core.lifecycle import apply
from archiver.core.model import Instant, Job, JobKey, JobState, VideoId
from tests.sim.core_night import Night
from tests.sim.fate import BrokenPromiseError, Fate
from tests.sim.outcome import Outcome
from tests.sim.setting import OPENED_AT, QUIET_NIGHTS, Setting
from tests.sim.studio import API_FAULTS, HOST_FAULTS

FAULTS = (API_FAULTS | HOST_FAULTS - {"cut at expiry"}) | {"lost on disk", "crash", "wrong clock"}


class World(Setting[JobKey]):
    """What outlives a run, and the rows of the ledger."""

    def __init__(self, fate: Fate) -> None:
        super().__init__(fate, count_most=12)
        self.rows: dict[JobKey, Job] = {}
        self.changed_at: dict[VideoId, float] = {}
        self.kept: dict[str, object] = {}
        self.learnt = Learnt(self.slots)

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
                self.changed_at[video.id] = now
        for key, job in self.rows.items():
            if job.state is JobState.PARKED:
                self.rows[key] = apply(job, Reopened("a new run"))

    def night(self) -> None:
        """One night: as many runs as crashes make of it."""
        skew_s = self.skew_s()
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
    for _ in range(world.nights):
        new, began_at = world.upload(), world.at
        world.night()
        world.compare(new, world.at - began_at)
        _is_sound(world)
        world.to_the_next()
        world.studio.day_passes()
    world.quiet()
    for _ in range(QUIET_NIGHTS):
        began_at = world.at
        world.night()
        _is_sound(world)
        if not _left(world):
            world.took_no_longer(world.at - began_at)
            break
        world.to_the_next()
    else:
        raise world.fate.broken(f"misfortune ended, and this was not archived: {_left(world)}")
    world.count_up()


def _is_sound(world: World) -> None:
    """After a run: each listed video is in exactly one state, and says why it is no further."""
    for video in world.studio.films:
        rows = sorted(key for key in world.rows if key.video_id == video)
        older = [world.rows[key].state for key in rows[:-1]]
        if any(state is not JobState.ARCHIVED for state in older):
            raise world.fate.broken(f"{video} has two versions that are wanted at once")
        if rows and world.rows[rows[-1]].state is JobState.GONE:
            world.may_be_gone(video)


def _left(world: World) -> list[str]:
    """What the vendor has and the archive has not, with the bytes that it has."""
    left = []
    for video, film in world.studio.films.items():
        keys = [key for key in world.rows if key.video_id == video]
        job = world.rows[max(keys)] if keys else None
        if film.is_there and (job is None or job.state is not JobState.ARCHIVED):
            left.append(str(job or video))
    return left
