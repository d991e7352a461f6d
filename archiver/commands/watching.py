"""Who watches a run, and how a person stops one.

Rule 1: the first signal asks, the second ends at once; a signal that the caller had switched off,
as ``nohup`` does, stays off.
Rule 2: watching never outlives the run, and never breaks it.
Rule 3: what libraries log is told by the console, in its own format.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from archiver.adapters.clock import SystemClock
from archiver.console_lines import DETAIL, MUTE, NEWS, WARNING, JsonLines, Lines
from archiver.core.model import Instant
from archiver.met import met
from archiver.observing import Hook

if TYPE_CHECKING:
    import anyio

T = TypeVar("T")
_CLOCK: Final = SystemClock()
STOPPED: Final = 5
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DRAW_EVERY_S = 0.25
# A closing terminal and wrappers such as `uv run` deliver one wish twice.
_ONE_WISH_S = 0.25


def now() -> Instant:
    """Unix seconds, for the screen, and to count an age back from."""
    return _CLOCK.now()


def watcher(given: dict[str, Any]) -> Lines:
    """The console that suits the options and the place where standard error leads."""
    least = WARNING if given.get("quiet") else DETAIL if given.get("verbose") else NEWS
    if sys.stderr is None:  # as after `2>&-`
        return Lines(io.StringIO(), now, least=MUTE)
    if given.get("log_format") == "json":
        return JsonLines(sys.stderr, now, least=least)
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    bars = not given.get("quiet") and not given.get("no_progress")
    if not is_terminal:
        met("O01")
    elif bars:
        from archiver.console import Terminal  # rich, only where there are bars

        return Terminal(sys.stderr, now, least=least)
    return Lines(sys.stderr, now, least=least)


def attend(work: Callable[[anyio.Event], Awaitable[T]], watching: Lines) -> T:
    """Run *work* in a loop of its own; it is handed the event that a signal sets."""
    try:
        with _interruptible(), _logged(watching):
            return asyncio.run(_attended(work, watching))
    finally:
        watching.close()


async def _attended(work: Callable[[anyio.Event], Awaitable[T]], watching: Lines) -> T:
    import anyio

    loop, stop, hook = asyncio.get_running_loop(), anyio.Event(), Hook(watching)
    asked_at: list[float] = []

    def interrupted(number: signal.Signals) -> None:
        if not asked_at:
            met("L26")
            if number == signal.SIGHUP:
                met("L28")
            asked_at.append(loop.time())
            stop.set()
            watching.said(
                "stopping: what is on its way is saved; once more to stop at once", warning=True
            )
        elif loop.time() - asked_at[0] > _ONE_WISH_S:
            met("L27")
            watching.close()
            os._exit(STOPPED)

    timers: list[asyncio.TimerHandle] = []

    def tick() -> None:
        hook.tell(Lines.tick)
        timers[:] = [loop.call_later(_DRAW_EVERY_S, tick)]

    tick()
    heard = [number for number in _SIGNALS if signal.getsignal(number) is _interrupt]
    for number in heard:
        loop.add_signal_handler(number, interrupted, number)
    try:
        return await work(stop)
    finally:
        timers[0].cancel()
        for number in heard:
            loop.remove_signal_handler(number)


class _Log(logging.Handler):
    """Tells what was logged as everything else is told."""

    def __init__(self, watching: Lines) -> None:
        super().__init__(logging.WARNING)
        self._hook = Hook(watching)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record, without the traceback that it may have."""
        self._hook.tell(lambda to: to.said(record.getMessage(), warning=True))


@contextmanager
def _logged(watching: Lines) -> Iterator[None]:
    root, handler = logging.getLogger(), _Log(watching)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _interruptible() -> Iterator[None]:
    """From the first moment on, before there is a loop, each signal is an interrupt."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
