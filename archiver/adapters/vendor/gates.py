"""The gates that a call of the API passes: the host's, and that of a part which fails by itself.

Rule 1: whoever may not pass one of them passes neither.
Rule 2: an error that a part answers with closes the part; no answer at all closes the host, and so
        does any failure while the host is in trouble already: the call was the host's probe.
Rule 3: an answer opens both: a part that answers has a host.

Captions that cannot be had for a night must not hold back the videos.
"""

from __future__ import annotations

from dataclasses import dataclass

from archiver.core.model import Instant
from archiver.core.weather import Weather
from archiver.errors import WeatherError
from archiver.met import met


class PartError(WeatherError):
    """A part of the API fails while its host does well; never leaves ``adapters.vendor``."""


@dataclass(frozen=True, slots=True)
class Gates:
    """What a call has to pass; ``part`` is the name of the part's gate, None for a main call."""

    weather: Weather
    host: str
    part: str | None = None

    def closed_until(self, now: Instant) -> Instant:
        """When such a call may go out next; *now* where it may at once."""
        return max(self.weather.closed_until(gate, now) for gate in self._all())

    def may_try(self, now: Instant) -> bool:
        """Take the call's place; after True say ``succeeded`` or ``failed``, and ``let_go``."""
        if not self.weather.may_try(self.host, now):
            return False
        if self.part is None or self.weather.may_try(self.part, now):
            return True
        self.weather.let_go(self.host)
        return False

    def succeeded(self) -> None:
        """There was an answer, whatever it said."""
        for gate in self._all():
            self.weather.succeeded(gate)

    def failed(self, now: Instant, retry_at: Instant | None, how: str, *, answered: bool) -> None:
        """The call failed by the weather; ``answered``: with an error of the server's own."""
        is_parts = self.part is not None and answered
        if self.part is not None and is_parts:
            met("A40")
            self.weather.failed(self.part, now, retry_at, how)
        if not is_parts or not self.weather.is_open(self.host):
            self.weather.failed(self.host, now, retry_at, how)

    def let_go(self) -> None:
        """The call is over."""
        for gate in self._all():
            self.weather.let_go(gate)

    def hindered(self, now: Instant) -> WeatherError:
        """The error of a call that may not pass: nothing was sent."""
        if self.part is None or self.weather.closed_until(self.host, now) > now:
            kind, gate = WeatherError, self.host
        else:
            kind, gate = PartError, self.part
        how = f"API: {self.weather.reason(gate)}"
        return kind(self.host, how, self.closed_until(now), sent=False)

    @property
    def is_parts_own(self) -> bool:
        """The part is in trouble, and its host is not."""
        is_shut = self.part is not None and not self.weather.is_open(self.part)
        return is_shut and self.weather.is_open(self.host)

    def _all(self) -> tuple[str, ...]:
        return (self.host,) if self.part is None else (self.host, self.part)
