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
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from archiver.adapters.clock import SystemClock
from archiver.console_lines import (
    DETAIL,
    MUTE,
    NEWS,
    WARNING,
    JournalLines,
    JsonLines,
    Lines,
    Listener,
)
from archiver.console_text import is_journal
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
# Five seconds are promised.  Nothing is lost by it: what is durable is durable.
GRACE_S: Final = 4.5
# A closing terminal and wrappers such as `uv run` deliver one wish twice.
_ONE_WISH_S = 0.25


def now() -> Instant:
    """Unix seconds, for the screen, and to count an age back from."""
    return _CLOCK.now()


def watcher(given: dict[str, Any], beside: Sequence[Listener] = ()) -> Lines:
    """The console that suits the options and the place where standard error leads."""
    least = WARNING if given.get("quiet") else DETAIL if given.get("verbose") else NEWS
    if sys.stderr is None:  # as after `2>&-`
        return Lines(io.StringIO(), now, least=MUTE, beside=beside)
    if given.get("log_format") == "json":
        return JsonLines(sys.stderr, now, least=least, beside=beside)
    if given.get("log_format") == "journal" and is_journal(sys.stderr):
        return JournalLines(sys.stderr, now, least=least, beside=beside)
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    bars = not given.get("quiet") and not given.get("no_progress")
    if not is_terminal:
        met("O01")
    elif bars:
        from archiver.console import Terminal  # rich, only where there are bars

        return Terminal(sys.stderr, now, least=least, beside=beside)
    return Lines(sys.stderr, now, least=least, beside=beside)


def attend(work: Callable[[anyio.Event], Awaitable[T]], watching: Lines) -> T:
    """Run *work* in a loop of its own; it is handed the event that a signal sets."""
    attention = _Attention(watching)
    try:
        with _interruptible(), _logged(watching):
            return asyncio.run(attention.attended(work))
    finally:
        attention.end()
        watching.close()


class _Attention:
    """Draws while a run works, and takes a person's wish that it stop."""

    def __init__(self, watching: Lines) -> None:
        self._watching, self._hook = watching, Hook(watching)
        self._asked_at: float | None = None
        # In a thread of its own: a disk that hangs may hang the loop, too.
        self._patience = threading.Timer(GRACE_S, self._give_up)
        self._patience.daemon = True

    async def attended(self, work: Callable[[anyio.Event], Awaitable[T]]) -> T:
        import anyio

        loop, stop = asyncio.get_running_loop(), anyio.Event()
        heard = [number for number in _SIGNALS if signal.getsignal(number) is _interrupt]
        for number in heard:
            loop.add_signal_handler(number, self._interrupted, number, stop, loop)
        self._draw(loop)
        try:
            return await work(stop)
        finally:
            self._drawing.cancel()
            for number in heard:
                loop.remove_signal_handler(number)

    def end(self) -> None:
        """The run is over: nobody has to be hurried any more."""
        self._patience.cancel()

    def _draw(self, loop: asyncio.AbstractEventLoop) -> None:
        self._hook.tell(lambda to: to.tick())
        self._drawing = loop.call_later(_DRAW_EVERY_S, self._draw, loop)

    def _interrupted(
        self, number: signal.Signals, stop: anyio.Event, loop: asyncio.AbstractEventLoop
    ) -> None:
        if self._asked_at is None:
            met("L26")
            if number == signal.SIGHUP:
                met("L28")
            self._asked_at = loop.time()
            self._patience.start()
            stop.set()
            self._watching.said(
                "stopping: what is on its way is saved; once more to stop at once", warning=True
            )
        elif loop.time() - self._asked_at > _ONE_WISH_S:
            met("L27")
            self._leave()

    def _give_up(self) -> None:
        met("O09")
        self._watching.said("the disk does not answer; what is not saved is left", warning=True)
        self._leave()

    def _leave(self) -> NoReturn:
        self._watching.close()
        os._exit(STOPPED)


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
