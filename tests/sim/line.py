"""A line of so many bytes a second, shared equally by what is being carried: arithmetic alone."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")


class Line(Generic[K]):
    """Loads under way; time is told by whoever asks."""

    def __init__(self, rate_bytes_s: float) -> None:
        self.rate_bytes_s = rate_bytes_s
        self.carried_bytes = self.busy_s = 0.0
        self._left: dict[K, float] = {}
        self._at = 0.0

    def load(self, key: K, count: float, now: float) -> None:
        """Begin to carry *count* bytes."""
        self._advance(now)
        self._left[key] = count

    def drop(self, key: K, now: float) -> None:
        """Carry it no longer, if it is carried at all."""
        self._advance(now)
        self._left.pop(key, None)

    def set_rate(self, rate_bytes_s: float, now: float) -> None:
        """From now on the line is so fast."""
        self._advance(now)
        self.rate_bytes_s = rate_bytes_s

    def next(self) -> tuple[float, K] | None:
        """When the next load is through, and which; None where nothing is carried."""
        if not self._left:
            return None
        key = min(self._left, key=self._left.__getitem__)  # the first of equals
        return self._at + self._left[key] * len(self._left) / self.rate_bytes_s, key

    def arrived(self, now: float) -> list[K]:
        """Take out what is through by *now*."""
        self._advance(now)
        through = [key for key, left in self._left.items() if left <= 1e-6 * self.rate_bytes_s]
        for key in through:
            del self._left[key]
        return through

    def _advance(self, now: float) -> None:
        if self._left and now > self._at:
            each = (now - self._at) * self.rate_bytes_s / len(self._left)
            for key in self._left:
                self._left[key] -= each
            self.carried_bytes += each * len(self._left)
            self.busy_s += now - self._at
        self._at = max(self._at, now)
