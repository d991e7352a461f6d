"""Who watches a run: console, log, report.  Plain calls, never awaited; none may raise.

``Observer`` is what everybody takes; ``Expects`` and ``Watches`` are offered to those who like to
know more, and cost nothing where nobody does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from archiver.core.lifecycle import Event
from archiver.core.model import Job, JobState
from archiver.core.weather import Trouble

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
