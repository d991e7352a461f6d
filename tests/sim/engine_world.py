"""Worlds of kind "engine": the real engine, hands and ledger; what is outside is simulated.

The ledger is the real one on a database in memory: a crash leaves what was committed, byte for
byte, and what the real ledger promises need not be promised once more by a twin.
"""

from __future__ import annotations

import json
import sqlite3

import anyio

from archiver.adapters.clock import SystemClock
from archiver.adapters.ledger import SqliteLedger
from archiver.adapters.ledger.schema import SCHEMA, SELECTION
from archiver.adapters.ledger.writer import Writer
from archiver.core import naming
from archiver.core.events import Event, RanOut, Stored
from archiver.core.learning import Learnt
from archiver.core.model import Holding, Job, JobState
from archiver.core.steps import Policy
from archiver.core.weather import Weather
from archiver.engine import Engine, Limits
from archiver.engine import World as Ports
from archiver.errors import ArchiverError
from archiver.perform import Hands
from tests.sim.fate import BrokenPromiseError, Fate
from tests.sim.lawful import unlawful
from tests.sim.life import Life
from tests.sim.loop import DeadlockError, LivelockError, SimLoop, simulate
from tests.sim.memory_vault import Disk, MemoryVault
from tests.sim.outcome import Outcome
from tests.sim.outside import Carrier, Desk, Fiber
from tests.sim.setting import OPENED_AT, QUIET_NIGHTS, Setting
from tests.sim.studio import API_FAULTS, HOST_FAULTS

FAULTS = API_FAULTS | HOST_FAULTS | {
    "crash", "interrupt", "wrong clock", "part lost", "lost on disk", "disk full", "login refused",
}  # fmt: skip
A_PERSONS_TURN = frozenset({"login refused", "disk full", "denied"})
STEPS_MOST = 400_000  # turns of the loop in one run
STOP_S = 5.0


class Told:
    """Hears what the program tells its user, and holds it to that."""

    def __init__(self, world: World, life: Life) -> None:
        self._world, self._life = world, life

    def began(self, step: str, job: Job, title: str = "") -> None:
        """A download begins."""

    def received(self, job: Job, count: int) -> None:
        """Bytes came."""

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        """A fact that must survive whatever comes."""
        world = self._world
        if self._life.is_dead:
            return
        at = self._life.now()
        what = f"{before.state} {type(event).__name__} {after.state}"
        world.fate.happened(at, what, before.key)
        why = unlawful(before, event, after)
        if why:
            raise world.fate.broken(why)
        if isinstance(event, Stored):
            world.told.update({holding.path: holding for holding in event.holdings})
        lost_seen = before.state is JobState.REQUESTED and before.link is not None
        if isinstance(event, RanOut) or (lost_seen and after.state is JobState.DISCOVERED):
            world.studio.expired += 1

    def said(self, text: str, *, warning: bool = False) -> None:
        """Words."""


class World(Setting[int]):
    """What outlives a run: the ledger's committed bytes, the disk, and what users were told."""

    def __init__(self, fate: Fate) -> None:
        super().__init__(fate, count_most=10)
        self.disk = Disk()
        self.told: dict[str, Holding] = {}
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        self.db.executescript(SELECTION)
        self.orphans: list[sqlite3.Connection] = []  # a dying program may still write there
        self.marks = self.dice.choice(["strong", "of a version", "date", "none"])
        self.runs = 0

    def night(self) -> None:
        """One night: as many runs as crashes make of it."""
        skew_s = self.skew_s()
        over = False
        while not over:
            self.studio.client_restarts()
            over = self._run(skew_s)
            self.is_sound()

    def _run(self, skew_s: float) -> bool:
        """One life of the program; False where it did not end by itself."""
        self.runs += 1
        loop = SimLoop(f"{self.fate.seed} {self.runs}", STEPS_MOST)
        life = Life(loop, self.at)
        ends = "end"
        for fault in ("crash", "interrupt"):
            if ends == "end" and self.fate.strikes(fault):
                ends = fault
        step = int(10 ** self.fate.dice(f"life {self.runs}").uniform(0.7, 3.3))
        run = _Run(self, life, skew_s)
        try:
            over = simulate(loop, run.to_its(ends, step))
        finally:
            self.at = life.now() + (0.0 if ends == "end" else 30.0)
            while self.orphans:
                self.orphans.pop().close()
        if self.fate.failure:
            raise BrokenPromiseError(self.fate.failure)
        return over

    def survive(self) -> None:
        """The process is dead: all that is left is what was committed and synced."""
        image = self.db.serialize()
        self.orphans.append(self.db)
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.deserialize(image)
        self.db.executescript(SELECTION)
        self.disk = self.disk.clone()

    def is_sound(self) -> None:
        """Between two runs: what is archived is there, and what was told is still so."""
        rows = self.db.execute("SELECT path, bytes, sha256 FROM holding").fetchall()
        held = {path: (size, sha256) for path, size, sha256 in rows}
        for path, (size, sha256) in held.items():
            there = self.disk.files.get(path)
            if there is None or (there.bytes, there.sha256) != (size, sha256):
                raise self.fate.broken(f"the ledger has {path}, and the disk has {there}")
        for path, holding in self.told.items():
            if held.get(path) != (holding.bytes, holding.sha256):
                raise self.fate.broken(f"{path} was told to be archived, and is not recorded")
        for state, video in self.db.execute("SELECT state, video_id FROM job"):
            if state == JobState.GONE:
                self.may_be_gone(video)

    def left(self) -> list[str]:
        """What the vendor has and the archive has not."""
        newest = {
            video: (state, reason)
            for video, state, reason in self.db.execute(
                "SELECT video_id, state, reason FROM job ORDER BY version"
            )
        }
        return [
            f"{video} {newest.get(video)}"
            for video, film in self.studio.films.items()
            if film.is_there and newest.get(video, ("",))[0] != JobState.ARCHIVED
        ]


class _Run:
    """One run of the program: made of real parts, and of what stands for the outside."""

    def __init__(self, world: World, life: Life, skew_s: float) -> None:
        self.world, self.life = world, life
        fate, studio, loop = world.fate, world.studio, life.loop
        dice = fate.dice(f"wire {world.runs}")
        tells_date = not studio.clock_is_wrong or dice.random() < 0.5
        self.clock = SystemClock(lambda: life.now() + skew_s, loop.time)
        self.weather, self.learnt = Weather(), Learnt(world.slots)
        self.carrier = Carrier(world.line, life)
        self.ledger = SqliteLedger(Writer(world.db), naming)
        self.desk = Desk(
            fate, studio, self.clock, self.weather, world.requests, life, dice,
            tells_date=tells_date,
        )  # fmt: skip
        self.fiber = Fiber(fate, studio, self.carrier, life, dice, world.marks, world.slots)
        self.vault = MemoryVault(fate, world.disk, studio, dice, life)
        self.stopped_at = 0.0

    async def to_its(self, ends: str, step: int) -> bool:
        """Run until the end, or until it is killed or interrupted in turn *step* of the loop."""
        world, life = self.world, self.life
        stop = anyio.Event()
        if ends != "end":
            life.loop.at_step(step, lambda: self._ring(stop))
        over = False
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stopped, stop, ends, tasks.cancel_scope)
                await self._work()
                over = True
                tasks.cancel_scope.cancel()
        except* ArchiverError as errors:
            over = True  # a person must act, and does before the next night
            if not world.fate.fired.keys() & A_PERSONS_TURN:
                raise world.fate.broken(
                    f"a person is called for nothing: {_innermost(errors)}"
                ) from None
        if stop.is_set():
            world.fate.happened(life.now(), ends, "client")
            took_s = life.loop.time() - self.stopped_at
            if ends == "interrupt" and took_s > STOP_S:
                raise world.fate.broken(f"an interrupted run took {took_s:.1f} s to end")
            world.studio.owes(len(self.desk.in_flight))
        if not life.is_dead:
            world.survive()
        self.carrier.stop()
        return over

    def _ring(self, stop: anyio.Event) -> None:
        self.stopped_at = self.life.loop.time()
        stop.set()

    async def _stopped(self, stop: anyio.Event, ends: str, scope: anyio.CancelScope) -> None:
        await stop.wait()
        if ends == "crash":
            self.life.is_dead = True
            self.world.survive()
        scope.cancel()

    async def _work(self) -> None:
        """A night as ``archiver.night`` spends it."""
        world, ledger, clock = self.world, self.ledger, self.clock
        self.desk.hear_date()
        kept = await ledger.meta_get("learnt")
        if kept is not None:
            self.learnt.remember(json.loads(kept))
        videos = world.studio.listing()
        await ledger.reconcile(videos, clock.now(), "mp4")
        await ledger.select([video.id for video in videos])
        await ledger.reopen_parked(None, clock.now(), "a new run")
        told, policy = Told(world, self.life), Policy()
        ports = Ports(self.desk, self.vault, ledger, clock, self.weather, told)
        hands = Hands(
            self.desk, self.fiber, self.vault, ledger, clock, self.learnt, self.weather, told,
            policy,
        )  # fmt: skip
        limits = Limits(
            downloads=world.slots, requests=world.requests, started_at=clock.now()
        )  # fmt: skip
        try:
            await Engine(ports, hands, self.learnt, policy, limits).run()
        finally:
            with anyio.CancelScope(shield=True):
                if not self.life.is_dead:
                    await ledger.meta_set("learnt", json.dumps(self.learnt.as_json()))


def run(seed: int, faults: frozenset[str] | None = None) -> Outcome:
    """Live one world through: see ``outcome.Kind``."""
    fate = Fate(seed, FAULTS, faults, most=8)
    world = World(fate)
    try:
        _live(world)
    except (DeadlockError, LivelockError) as stuck:
        fate.failure = fate.failure or f"{type(stuck).__name__}: {stuck}"
    except BrokenPromiseError:
        pass
    except Exception as error:
        fate.failure = fate.failure or _innermost(error)
    finally:
        world.db.close()
    return fate.outcome(world.at - OPENED_AT)


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def _live(world: World) -> None:
    for _ in range(world.nights):
        new, began_at = world.upload(), world.at
        world.night()
        world.compare(new, world.at - began_at)
        world.to_the_next()
        world.studio.day_passes()
    world.quiet()
    for _ in range(QUIET_NIGHTS):
        began_at = world.at
        world.night()
        if not world.left():
            world.took_no_longer(world.at - began_at)
            break
        world.to_the_next()
    else:
        raise world.fate.broken(f"misfortune ended, and this was not archived: {world.left()}")
    world.count_up()
