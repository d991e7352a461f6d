"""A loop on real sockets and files whose clock does not wait: a night takes seconds.

When nothing is ready and no thread is at work, time jumps to the next timer.  Real bytes still
travel through real sockets, so runs are quick but not reproducible to the last step.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp

from archiver import archive
from archiver.account import Account, Secret
from archiver.adapters.clock import SystemClock
from archiver.adapters.http import Line, tcp_connector
from archiver.core.events import Event
from archiver.core.model import Job
from archiver.core.selection import AccountSource
from archiver.core.summary import Summary
from archiver.emulator.server import Emulator, EmulatorConfig
from archiver.run_options import RunOptions
from archiver.surroundings import Surroundings

T = TypeVar("T")
EPOCH = 1_790_000_000.0
GRACE_S = 0.0004  # for bytes that are between two sockets of this machine


class _Hasty(selectors.DefaultSelector):
    loop: HastyLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.at_work or timeout is None:
            return super().select(0.05)
        ready = super().select(GRACE_S)
        if not ready:
            self.loop.jumped_s += max(0.0, timeout)
        return ready


class HastyLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumped_s, self.at_work = 0.0, 0
        selector = _Hasty()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.jumped_s

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        self.at_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _: object) -> None:
        self.at_work -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        # Waiting for threads with a limit, as 3.12 does, would jump to the limit.
        await super().shutdown_default_executor()


def hastily(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* on a loop that never waits."""
    with asyncio.Runner(loop_factory=HastyLoop) as runner:
        return runner.run(work)


def now() -> float:
    """The loop's time as Unix seconds: for the emulator."""
    return EPOCH + asyncio.get_running_loop().time()


@dataclass
class Watcher:
    """Remembers what was recorded and said."""

    events: list[tuple[Job, Event, Job]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def began(self, step: str, job: Job, title: str = "") -> None: ...

    def received(self, job: Job, count: int) -> None: ...

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        self.events.append((before, event, after))

    def said(self, text: str, *, warning: bool = False) -> None:
        self.words.append(text)


class Unplugged(aiohttp.TCPConnector):
    """A connector to a network that can be switched off."""

    off = False

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        if Unplugged.off:
            raise aiohttp.ClientConnectorError(req.connection_key, OSError(101, "unreachable"))
        return await super()._create_connection(req, traces, timeout)


def account_of(emulator: Emulator) -> Account:
    return Account(
        api_url=emulator.api_url, token_url=emulator.token_url,
        client_id=emulator.client_id, client_secret=Secret(emulator.client_secret),
    )  # fmt: skip


def surroundings(
    connector: Callable[[Line], aiohttp.BaseConnector] = tcp_connector,
) -> Surroundings:
    loop = asyncio.get_running_loop()
    return Surroundings(lambda: SystemClock(now, loop.time), connector)


async def night(
    dest: Any, emulator: Emulator, watcher: Watcher | None = None,
    around: Surroundings | None = None, **options: Any,
) -> Summary:  # fmt: skip
    """One run of the whole account, in the loop's time; its videos alone, unless told otherwise."""
    import anyio

    wanted = RunOptions(**{"sources": (AccountSource(),), "extras": False, **options})
    return await archive.run(
        str(dest), account_of(emulator), wanted, watcher or Watcher(), anyio.Event(),
        around or surroundings(),
    )  # fmt: skip


def emulator(**config: Any) -> Emulator:
    """An emulator in the loop's time."""
    return Emulator(EmulatorConfig(**config), clock=now)
