"""The one loop: plan, perform, record, and again.

Everything that can be decided was decided in ``core``; everything that can fail outside is in
``adapters``.  The engine owns the live window in memory: an event replaces the job there before
its key leaves ``busy``, and the ledger is read only to refill the window.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import anyio
from anyio.abc import TaskGroup

from archiver.core.events import Event, Hindered, Lacking
from archiver.core.learning import Learnt
from archiver.core.model import DAY_S, NEVER, NOW, Format, Instant, Job, JobKey, JobState
from archiver.core.schedule import is_progress, plan
from archiver.core.steps import Budget, Fetch, Gather, Plan, Policy, Poll, Publish, Step
from archiver.core.weather import Weather
from archiver.errors import ArchiverError, AuthError, DestinationError
from archiver.met import met
from archiver.perform import Hands
from archiver.ports import Clock, Ledger, Observer, Vault, Vendor
from archiver.purse import Purse
from archiver.window import LiveWindow

_PAUSE_S = 0.01  # between two plans: what happens together is planned together
_GAP_S = 30.0  # a nap that lasted so much longer was the machine's
_NAP_S = 60.0  # the longest time without a look at the clock
_EXTRAS_WAIT_S = 1200.0  # for extras alone: longer than any rate limit is waited for
_LAST_S = 60.0  # for what is in the air when the waiting is over: no call lasts longer


class Ending(StrEnum):
    """Why a run ended."""

    DONE = "done"  # nothing is left to do tonight
    WAITED = "waited"  # no progress of any kind for --max-wait
    STOPPED = "stopped"  # interrupted
    TIME_UP = "time is up"  # --max-duration


@dataclass(frozen=True, slots=True)
class Limits:
    """What this run may use: hands, and time.  ``extras``: what they may spend; None: no extras."""

    variant: Format = "mp4"
    downloads: int = 8
    requests: int = 8
    max_wait_s: float = 6 * 3600.0
    started_at: Instant = NOW
    ends_at: Instant = NEVER
    extras: Purse | None = None


@dataclass(frozen=True, slots=True)
class World:
    """The ports that one run works with."""

    vendor: Vendor
    vault: Vault
    ledger: Ledger
    clock: Clock
    weather: Weather
    observer: Observer


class Engine:
    """Works until every selected job is final, or nothing more can be done tonight.

    Safe to cancel or kill at any await: a step in the air is forgotten, the ledger is not, and the
    next run plans from the ledger as if nothing had happened.
    """

    def __init__(
        self, world: World, hands: Hands, learnt: Learnt, policy: Policy, limits: Limits
    ) -> None:
        self._world, self._hands, self._learnt = world, hands, learnt
        self._policy, self._limits = policy, limits
        extras = limits.extras is not None
        self._window = LiveWindow(world.ledger, limits.variant, extras=extras)
        self._busy: dict[JobKey, Step] = {}
        self._strikes: Counter[JobKey] = Counter()
        self._changed = anyio.Event()
        self._last_progress = world.clock.now()
        self._looked_once_more = False  # since then
        self._halted: ArchiverError | None = None

    async def run(self) -> Ending:
        """Work until there is an end.  To stop before, cancel: what runs is synced and recorded.

        Raises:
            ArchiverError: a person must act; what was running was brought to a good end first.
        """
        ending = Ending.STOPPED
        async with anyio.create_task_group() as tasks:
            try:
                ending = await self._loop(tasks)
            except ArchiverError as error:  # raised below: a task group would wrap it
                self._halted = self._halted or error
            tasks.cancel_scope.cancel()
        if self._halted is not None:
            raise self._halted
        return ending

    async def _loop(self, tasks: TaskGroup) -> Ending:
        while True:
            self._changed = anyio.Event()
            await self._window.refill(self._world.clock.now(), self._busy)
            now, agenda = self._world.clock.now(), self._window.agenda
            todo = plan(agenda, self._busy.keys(), now, self._budget(), self._policy)
            if self._limits.extras is not None:
                self._limits.extras.gives_way = todo.gives_way
            for step in todo.steps:
                self._busy[step.key] = step
                tasks.start_soon(self._work, step, name=f"{type(step).__name__} {step.key}")
            self._learnt.planned(now, idle=self._at_work()[Fetch] < self._downloads)
            ending = self._ending(todo, now)
            if ending is Ending.WAITED and await self._looks_once_more(now):
                continue
            if ending is not None:
                return ending
            # A loop's timers stand still while the machine sleeps: what is due then is seen soon.
            nap_s = min(_NAP_S, self._wake_at(todo) - now)
            with anyio.move_on_after(max(0.0, nap_s)):
                await self._changed.wait()
            await anyio.sleep(_PAUSE_S)
            self._passed(self._world.clock.now() - now, max(0.0, nap_s))

    def _passed(self, passed_s: float, nap_s: float) -> None:
        """Leave out of the waiting what was none: a machine's sleep, a clock that was set."""
        if passed_s - nap_s > _GAP_S:
            # Nobody waited, and nothing could make progress.
            met("L25")
            self._last_progress = Instant(self._last_progress + passed_s - nap_s)
        elif passed_s < -_GAP_S:
            # Else a clock that goes to and fro, each time forward like a sleep, lets no night end.
            self._last_progress = Instant(self._last_progress + passed_s)

    def _wake_at(self, todo: Plan) -> float:
        limit_at = self._last_progress + self._patience_s
        return min(todo.wake_at, self._window.next_due_at, limit_at, self._limits.ends_at)

    @property
    def _patience_s(self) -> float:
        """How long to wait without progress: nobody waits half a night for extras alone."""
        most_s = self._limits.max_wait_s
        return most_s if self._window.videos else min(most_s, _EXTRAS_WAIT_S)

    def _ending(self, todo: Plan, now: Instant) -> Ending | None:
        if isinstance(self._halted, DestinationError):
            return Ending.STOPPED
        if now >= self._limits.ends_at:
            return Ending.TIME_UP
        waited_s = now - self._last_progress - self._patience_s
        if waited_s >= (_LAST_S if self._busy else 0.0):
            return Ending.WAITED
        if self._busy:
            return None
        if self._halted is not None:
            return Ending.STOPPED
        if self._window.next_due_at != NEVER or todo.wake_at != NEVER:
            return None
        return self._at_rest(todo)

    async def _looks_once_more(self, now: Instant) -> bool:
        """No run ends without a look at what it asked for: by the next one it may have run out.

        The first look comes when most files are ready, as far as is known; where that is wrong
        and later than the run is patient, no night would ever see the file.
        """
        if self._looked_once_more:
            return False
        self._looked_once_more = True
        unseen = [
            key for key, job in self._window.jobs.items()
            if job.asked_at is not None and job.state is JobState.REQUESTED
            and job.polls == 0 and key not in self._busy
        ]  # fmt: skip
        for key in unseen:
            await self._record(key, Hindered("a last look tonight", due_at=now))
        return bool(unseen)

    def _at_rest(self, todo: Plan) -> Ending | None:
        """Nothing runs and nothing will become due: no more can be done tonight."""
        if not self._window.videos:
            return Ending.DONE if self._window.is_complete else None
        if todo.short_of_disk:
            met("L02")
            self._halted = DestinationError(
                "The disk is too full for the next video.",
                "Make room at the destination and run the same command again.",
            )
            return Ending.STOPPED
        return Ending.TIME_UP if self._limits.ends_at != NEVER else None

    def _at_work(self) -> Counter[type[Step]]:
        """How many hands are at each kind of step."""
        return Counter(type(step) for step in self._busy.values())

    @property
    def _downloads(self) -> int:
        """How many at a time: fewer where no more files can be opened."""
        return min(self._limits.downloads, self._learnt.slots)

    def _budget(self) -> Budget:
        world, limits, learnt = self._world, self._limits, self._learnt
        allowance, now = world.vendor.allowance(), world.clock.now()
        busy = self._at_work()
        calls = 0 if self._halted is not None else allowance.calls
        return Budget(
            calls=calls,
            more_at=allowance.more_at,
            polls=max(1, limits.requests // 2) - busy[Poll],
            fetches=self._downloads - busy[Fetch],
            line_is_idle=busy[Fetch] == 0,
            files_most=learnt.files_most,
            bytes_most=learnt.bytes_most(),
            disk_bytes=world.vault.free_bytes(),
            typical_bytes=learnt.typical_bytes,
            window_s=learnt.window_s,
            rate_bytes_s=learnt.meter.rate_bytes_s,
            generation_s=learnt.generation_s or 0.0,
            closed=world.weather.closed(now),
            ends_at=limits.ends_at,
            next_run_at=Instant(limits.started_at + DAY_S),
            gathers=self._gathers(busy[Gather]),
            calls_left=allowance.left,
        )

    def _gathers(self, busy: int) -> int:
        """How many more extras may be begun."""
        purse = self._limits.extras
        if purse is None or purse.is_empty:
            return 0
        return max(1, self._limits.requests // 2) - busy

    async def _work(self, step: Step) -> None:
        async def record(event: Event) -> Job:
            return await self._record(step.key, event)

        try:
            # Half a publication would leave a file in the bag that no manifest knows.
            with anyio.CancelScope(shield=isinstance(step, Publish)):
                event = await self._hands.perform(step, self._window.jobs[step.key], record)
                # However slow the disk is: the window must never fall behind the ledger.
                with anyio.CancelScope(shield=True):
                    await record(event)
        except (AuthError, DestinationError) as error:
            # A person's turn.  Downloads that run go on where only the account is in trouble.
            self._halted = self._halted or error
        finally:
            self._busy.pop(step.key, None)
            self._changed.set()

    async def _record(self, key: JobKey, event: Event) -> Job:
        before, now = self._window.jobs[key], self._world.clock.now()
        after = await self._world.ledger.record(before, event, now)
        self._window.put(before, after)
        if is_progress(before, after):
            self._last_progress, self._looked_once_more = now, False
        if after.state.is_final:
            self._strikes.pop(key, None)
        elif isinstance(event, Lacking):
            if event.due_at == NOW:
                await self._window.leave(key)
        else:
            await self._count_strike(before, after)
        self._world.observer.recorded(before, event, after)
        return after

    async def _count_strike(self, before: Job, after: Job) -> None:
        """Five failures in a row within one run leave the job for the next."""
        if after.failures == 0:
            self._strikes.pop(after.key, None)
        elif after.failures > before.failures:
            self._strikes[after.key] += 1
            if self._strikes[after.key] >= self._policy.strikes_most:
                await self._window.leave(after.key)
