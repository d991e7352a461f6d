"""Who watches a run: console, log, report.  Plain calls, never awaited; none should raise.

``Observer`` is what everybody takes; ``Expects`` and ``Watches`` are offered to those who like to
know more, and cost nothing where nobody does.
Rule: the work never depends on who watches it.  What an observer raises is told once, and from
then on he hears nothing (``Hook``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from archiver.core.events import Event
from archiver.core.model import Job, JobState
from archiver.core.weather import Trouble
from archiver.met import met

W = TypeVar("W")
log = logging.getLogger(__name__)

Troubles: TypeAlias = Callable[[], Sequence[Trouble]]


class Observer(Protocol):
    """Hears of every step and every fact."""

    def began(self, step: str, job: Job, title: str = "") -> None:
        """A hand took up a job; *step* is "fetch", the only one that lasts."""
        ...

    def received(self, job: Job, count: int) -> None:
        """*count* more bytes of the file came over the line."""
        ...

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        """A fact is in the ledger: from here on it may be told."""
        ...

    def said(self, text: str, *, warning: bool = False) -> None:
        """Something about the run as a whole: listings, warnings."""
        ...


@runtime_checkable
class Expects(Protocol):
    """An observer that also wants to hear how much there is to do in all."""

    def expect(self, counts: Mapping[JobState, int], wanted_bytes: int | None = None) -> None:
        """The selection by state, and the bytes of what is not archived yet, if known.

        Told while the listing grows, without bytes, and once with them at its end.
        """
        ...


@runtime_checkable
class Watches(Protocol):
    """An observer that also wants to know what is waited for, whenever it looks."""

    def watch(self, troubles: Troubles) -> None:
        """*troubles* may be asked at any time, also after the run."""
        ...


class Hook(Generic[W]):
    """Where somebody else's code hangs on ours: his first exception is the last we hear of him."""

    def __init__(self, watcher: W) -> None:
        self._watcher = watcher
        self._is_cut = False

    def tell(self, news: Callable[[W], None]) -> None:
        """Let the watcher hear *news*, unless he failed before."""
        if not self._is_cut:
            with self:
                news(self._watcher)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        met("L30")
        self._is_cut = True
        log.warning(
            "what watched this run failed (%s: %s); the run goes on unwatched",
            type(error).__name__, error,
        )  # fmt: skip
        return True
