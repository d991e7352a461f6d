"""An event loop whose time is simulated and whose every turn follows from a seed.

Rule 1: time stands still while anything can run, then jumps to the next timer.
Rule 2: no socket, no pipe, no thread: what is given to an executor runs in the loop's own thread.
Rule 3: work for an executor takes a moment, and is done at its beginning or at its end: so that a
crash can fall between "asked" and "done", and between "done" and "answered".
Rule 4: a loop that can never go on, or that goes on for ever, raises.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple, Unpack
from unittest import mock

from anyio._backends._asyncio import CancelScope

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OWNER: ContextVar[str] = ContextVar("owner", default="")  # who made a task or a timer
DISK_S = (1e-5, 5e-3)  # how long a piece of work for an executor takes
APART_S = 1e-6  # between two timers whose order matters: a heap does not keep equals in order
IDLE_STEPS_MOST = 100_000  # turns in which no time passes
STEPS_MOST = 5_000_000


class DeadlockError(RuntimeError):
    """Nothing can run and no timer is set: everybody waits for somebody."""


class LivelockError(RuntimeError):
    """Something always runs, and nothing comes of it."""


class _NoSelector:
    """Stands where the loop waits for sockets: there are none, so only time can pass."""

    def __init__(self, pass_time: Callable[[float | None], None]) -> None:
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> list[object]:
        self._pass_time(timeout)
        return []


class SimLoop(asyncio.BaseEventLoop):
    """The loop of one simulated world.

    Attributes:
        steps: turns of the loop so far.
        tasks: every task ever made here, by its owner (``OWNER``) when it was made.
        names: answers ``getaddrinfo``: the addresses of a host; raises ``socket.gaierror``.

    Args:
        seed: of the time that disk work takes.
        steps_most: turns after which the world is taken for one that never ends.
    """

    def __init__(self, seed: object = 0, steps_most: int = STEPS_MOST) -> None:
        self._now = 0.0
        super().__init__()
        self._selector = _NoSelector(self._pass_time)
        self._clock_resolution = APART_S / 4
        self._chance = random.Random(f"disk {seed}")
        self._steps_most, self._idle_steps = steps_most, 0
        self._alarms: deque[tuple[int, Callable[[], None]]] = deque()
        self._hands: dict[Executor | None, _Hands] = {}
        self.steps = 0
        self.tasks: dict[str, list[asyncio.Task[Any]]] = {}
        self.names: Callable[[str], Awaitable[list[str]]] = _no_names

    def time(self) -> float:
        """Simulated seconds since the loop was made."""
        return self._now

    def at_step(self, step: int, callback: Callable[[], None]) -> None:
        """Call *callback* in turn *step*, or the next one: between any two others."""
        self._alarms = deque(sorted([*self._alarms, (step, callback)], key=lambda alarm: alarm[0]))

    def timers(self, owner: str) -> list[asyncio.TimerHandle]:
        """The timers of *owner* that are still set, beside those of the network."""
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        return [
            timer
            for timer in scheduled
            if not timer.cancelled()
            and timer._context.get(OWNER, "") == owner
            and not isinstance(getattr(timer._callback, "__self__", None), asyncio.BaseTransport)
        ]

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """See ``asyncio``; who owns the task follows from its context."""
        context = context or copy_context()
        task = super().create_task(coro, name=name, context=context)
        self.tasks.setdefault(context.get(OWNER, ""), []).append(task)
        return task

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Do *func* in this thread, a moment later; one after the other where there is one hand."""
        hands = self._hands.get(executor)
        if hands is None:
            hands = self._hands[executor] = _Hands(self, executor, self._chance)
        return hands.ask(lambda: func(*args))

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  asyncio's names
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Ask ``names``."""
        kind = socket.SOCK_STREAM
        found = await self.names(host)
        return [(socket.AF_INET, kind, socket.IPPROTO_TCP, "", (each, port)) for each in found]

    def forgive(self) -> None:
        """Allow some more turns, for an end in good order."""
        self._idle_steps, self._steps_most = 0, self.steps + IDLE_STEPS_MOST

    def _pass_time(self, timeout: float | None) -> None:
        self.steps += 1
        while self._alarms and self._alarms[0][0] <= self.steps:
            self.call_soon(self._alarms.popleft()[1])
            timeout = 0
        if timeout is None:
            raise DeadlockError(f"nothing can run and no timer is set at {self._now:.3f} s")
        self._idle_steps = 0 if timeout > 0 else self._idle_steps + 1
        self._now += timeout
        if self._idle_steps > IDLE_STEPS_MOST or self.steps > self._steps_most:
            raise LivelockError(f"no end after {self.steps} turns, at {self._now:.3f} s")

    def _process_events(self, event_list: list[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody needs to be woken."""


@dataclass(slots=True, eq=False)
class _Work:
    """Something for an executor; ``done`` holds its outcome from when it was really done."""

    what: Callable[[], Any]
    waiter: asyncio.Future[Any]
    begins_at: float
    result: Any = None
    error: BaseException | None = None
    done: bool = False

    def do(self) -> None:
        if self.done:
            return
        self.done = True
        try:
            self.result = self.what()
        except Exception as error:
            self.error = error

    def answer(self) -> None:
        self.do()
        if self.waiter.done():  # nobody waits any more
            return
        if self.error is None:
            self.waiter.set_result(self.result)
        else:
            self.waiter.set_exception(self.error)


class _Hands:
    """The threads of one executor, as times at which each is free again."""

    def __init__(self, loop: SimLoop, executor: Executor | None, chance: random.Random) -> None:
        self._loop, self._executor, self._chance = loop, executor, chance
        self._free_at = [-1.0] * int(getattr(executor, "_max_workers", 8))
        self._works: list[_Work] = []
        if isinstance(executor, ThreadPoolExecutor):
            self._shutdown = executor.shutdown
            executor.shutdown = self._finish  # type: ignore[method-assign]

    def ask(self, what: Callable[[], Any]) -> asyncio.Future[Any]:
        """Put a work at the end of the queue."""
        loop, chance = self._loop, self._chance
        if getattr(self._executor, "_shutdown", False):
            raise RuntimeError("cannot schedule new futures after shutdown")
        hand = min(range(len(self._free_at)), key=self._free_at.__getitem__)
        begins_at = max(loop.time(), self._free_at[hand] + APART_S)
        ends_at = begins_at + chance.uniform(*DISK_S)
        self._free_at[hand] = ends_at
        work = _Work(what, loop.create_future(), begins_at)
        self._works.append(work)
        if chance.random() < 0.5:  # else it is done in the moment of its answer
            if begins_at <= loop.time():
                work.do()
            else:
                loop.call_at(begins_at, self._begin, work)
        loop.call_at(ends_at, self._end, work)
        return work.waiter

    def _begin(self, work: _Work) -> None:
        if not work.waiter.cancelled():  # in a queue it could still be called off
            work.do()

    def _end(self, work: _Work) -> None:
        self._works.remove(work)
        if work.done or not work.waiter.cancelled() or work.begins_at < self._loop.time():
            work.answer()

    def _finish(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As a real pool: what was given to it is done before its end."""
        for work in self._works:
            if not work.waiter.cancelled() or work.begins_at <= self._loop.time():
                work.do()
        self._shutdown(wait, cancel_futures=cancel_futures)


async def _no_names(host: str) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, f"no such host: {host}")


def simulate(loop: SimLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run *main* to its end in *loop*, then end whatever still runs there and close the loop.

    Raises:
        DeadlockError, LivelockError: see there.
    """
    asyncio.set_event_loop(None)
    with _in_order():
        try:
            return loop.run_until_complete(main)
        finally:
            _bury(loop)


class _Ordered(dict[Any, None]):
    """A set that gives its members in the order in which they came."""

    def add(self, member: object) -> None:
        self[member] = None

    def remove(self, member: object) -> None:
        del self[member]

    def discard(self, member: object) -> None:
        self.pop(member, None)


@contextmanager
def _in_order() -> Iterator[None]:
    """Let anyio cancel what belongs together in the order in which it began.

    It keeps tasks and scopes in sets, which give them in the order of their addresses in memory.
    """
    made = CancelScope.__init__

    def make(scope: Any, *values: Any, **named: Any) -> None:
        made(scope, *values, **named)
        scope._tasks, scope._child_scopes = _Ordered(), _Ordered()

    with mock.patch.object(CancelScope, "__init__", make):
        yield


def _bury(loop: SimLoop) -> None:
    """Cancel what is left, quietly: a world that failed has told why already."""
    loop.set_exception_handler(lambda *_: None)
    loop.forgive()
    left = [task for tasks in loop.tasks.values() for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    try:
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=3600.0))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except (DeadlockError, LivelockError):
        return  # the same that has been told already
    finally:
        loop.close()
