"""What extras may still spend tonight: ``--extras-calls``, and whatever videos leave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from archiver.core.summary import ApiCalls
from archiver.errors import WeatherError

T = TypeVar("T")


class SpentError(Exception):
    """There is no call to be had, for the reason that it says."""


@dataclass(slots=True)
class Purse:
    """The calls for extras of one run.

    Attributes:
        calls: what was sent, whoever sent it.
        most: how many calls for extras the run may send; None: no limit.
        gives_way: videos need the calls just now.
    """

    calls: ApiCalls
    most: int | None = None
    gives_way: bool = False
    _taken: int = field(init=False, default=0)
    _before: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """What was sent before belongs to the same night."""
        self._before = self.calls.extras

    @property
    def is_empty(self) -> bool:
        """No call more tonight."""
        spent = max(self.calls.extras, self._before + self._taken)
        return self.most is not None and spent >= self.most

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Do one call; one that was never sent costs nothing.

        Raises:
            SpentError: there is none to be had just now.
            ArchiverError, Misfortune: as *ask* does.
        """
        if self.gives_way or self.is_empty:
            why = "videos need the calls" if self.gives_way else "the night's calls are spent"
            raise SpentError(why)
        self._taken += 1
        try:
            return await ask()
        except WeatherError as weather:
            if not weather.sent:
                self._taken -= 1
            raise
