"""What a run learns about the vendor and the line, and what follows from it.

Plain arithmetic over what was seen: how long files take to be generated, how fast bytes come,
how large files are, how long an address lives.  Nothing here asks a clock: times are passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from archiver.core.model import DAY_S, NEVER, NOW, Instant, Job, Link

UNKNOWN_SIZE = 1 << 30  # three hours of video are 2 to 2.6 GB; most are shorter
_SAMPLES = 200  # enough for a stable percentile, few enough to follow a change within a night
_FRESH_SHARE = 0.2  # an address first seen this soon after the last "not yet" shows its window
_LOOKING_S = 300.0  # the longest pause between two looks, unless the first one is known to be later
_FOUND_SHARE = 0.8  # four first looks in five find their file: few calls, little waiting
_SOME = 8  # generation times from which a first guess may be made and corrected
_STEP = 0.1  # how much one look corrects it: a few dozen follow a vendor that became slower
_ON_TIME = 1.3  # a look that was so many times too early or too late tells nothing about it


class Meter:
    """How fast bytes come while anything is being downloaded, over the last *span_s* of that.

    Time without a download does not count: an idle line says nothing about its speed.
    """

    def __init__(self, span_s: float = 60.0) -> None:
        self.span_s = span_s
        self._rate: float | None = None
        self._running = 0
        self._since = Instant(0.0)
        self._bytes = 0

    def started(self, now: Instant) -> None:
        """A download began."""
        self._settle(now)
        if self._running == 0:
            self._since = now
        self._running += 1

    def received(self, count: int, now: Instant) -> None:
        """*count* bytes came."""
        self._bytes += count
        if now - self._since >= self.span_s / 8:
            self._settle(now)

    def ended(self, now: Instant) -> None:
        """A download ended, in whichever way."""
        self._settle(now)
        self._running -= 1

    def _settle(self, now: Instant) -> None:
        took = now - self._since
        if self._running == 0 or took <= 0:
            return
        if self._bytes == 0 and took < self.span_s / 8:
            return  # between two chunks: says nothing yet
        fresh = self._bytes / took
        weight = min(1.0, took / self.span_s * 2)
        self._rate = fresh if self._rate is None else self._rate + weight * (fresh - self._rate)
        self._bytes, self._since = 0, now

    @property
    def rate_bytes_s(self) -> float | None:
        """All downloads together; None before the first byte."""
        return self._rate or None

    def remember(self, rate_bytes_s: float) -> None:
        """Start from what an earlier run measured."""
        self._rate = rate_bytes_s


class Learnt:
    """The vendor's habits, as this run and the runs before it saw them."""

    def __init__(self, slots: int) -> None:
        self.slots = slots  # downloads at a time
        self.meter = Meter()
        self.window_s = DAY_S
        self._generation: deque[float] = deque(maxlen=_SAMPLES)
        self._first_look_s: float | None = None
        self._sizes: deque[int] = deque(maxlen=_SAMPLES)
        self._idle_at = NOW  # when a download could have begun last, and there was none to begin
        self._crowded_at = NOW
        self._cap = float(slots)  # files that may be outstanding: slow start, as TCP's

    def first_seen(self, job: Job, link: Link, now: Instant) -> None:
        """*job*'s version has an address: what that tells of the vendor's habits.

        Generation time and window show only where the version was just made: after an outage, or
        in the next run, it may have been ready for hours before anybody looked.  And a time in the
        future was written by a clock that was wrong.
        """
        if job.asked_at is None or job.asked_at > now or job.link is not None:
            return
        looked_at = job.asked_at if job.pending_at is None else job.pending_at
        usual_s, seen_s = self.generation_s or 0.0, looked_at - job.asked_at
        soon_s = 1.1 * max(_LOOKING_S, usual_s)
        # Who was still pending when a look came, and then not seen for long, was a slow one.
        is_slow = job.polls > 0 and seen_s >= 0.5 * max(1.0, usual_s)
        if is_slow or now - looked_at <= soon_s:
            self.generated(min(now - job.asked_at, seen_s + soon_s), seen_s)
        window_s = link.expires_at - now
        if link.expires_at != NEVER and now - looked_at < _FRESH_SHARE * window_s:
            self.window(window_s)

    def generated(self, after_s: float, not_before_s: float) -> None:
        """A file was ready at *after_s*, and not yet at *not_before_s*, since it was asked for.

        The middle is kept: were it the later bound, each poll would push the next one further.
        """
        self._generation.append(max(0.0, (after_s + not_before_s) / 2))

    def looked(self, after_s: float, *, found: bool) -> None:
        """The first look at a file, *after_s* after it was asked for, found it or did not.

        How long files take shows only between two looks, and the middle of the two moves with
        them; whether looks find their file does not.  One that comes late and finds it tells
        nothing of the right time, one that does not find it tells all the more.
        """
        first_s = self.generation_s
        if first_s is None or len(self._generation) < _SOME:
            return
        if first_s / _ON_TIME <= after_s and (not found or after_s <= first_s * _ON_TIME):
            change = _FOUND_SHARE - 1.0 if found else _FOUND_SHARE
            self._first_look_s = first_s * (1.0 + _STEP * change)

    @property
    def generation_s(self) -> float | None:
        """When most files are ready, since their POST; None while nothing is known."""
        if self._first_look_s is not None or not self._generation:
            return self._first_look_s
        # Of a few, the slowest must not set the pace for all: n - 1.
        ordered = sorted(self._generation)
        return ordered[int(_FOUND_SHARE * (len(ordered) - 1))]

    def window(self, seconds: float) -> None:
        """An address that had just been made lives *seconds*: the shortest one counts."""
        if seconds <= 0:
            return
        self.window_s = min(self.window_s, seconds)
        self.meter.span_s = min(60.0, max(1.0, self.window_s / 2))

    def planned(self, now: Instant, *, idle: bool) -> None:
        """A plan was made at *now*; *idle*: there are more slots than downloads to begin."""
        if idle:
            self._idle_at = now

    def fetched(self, size_bytes: int, asked_at: Instant | None) -> None:
        """A file came in time: one more may be outstanding, if the line could have used it.

        It could where a slot was idle at any time since the file was asked for: then asking for
        more would have filled it, whether the vendor, the calls or the cap held that up.  While
        every slot is at work, more would only cost time that addresses lose.
        """
        self._sizes.append(size_bytes)
        if asked_at is None or self._idle_at >= asked_at:
            self._cap += 1

    def crowded(self, now: Instant) -> None:
        """No more files could be opened: half as many downloads from now on.

        What fails within the same second is one crowd.
        """
        if now > self._crowded_at + 1.0:
            self._crowded_at = now
            self.slots = max(1, self.slots // 2)

    def late(self) -> None:
        """A version ran out: half as many may be outstanding."""
        self._cap = max(1.0, self._cap / 2)

    @property
    def typical_bytes(self) -> int:
        """What to assume of a file whose size nobody said: the 90th percentile so far."""
        ordered = sorted(self._sizes)
        return ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))] if ordered else UNKNOWN_SIZE

    @property
    def files_most(self) -> int:
        """How many files may be outstanding, by count: doubles with each full round in time."""
        return max(1, int(self._cap))

    def bytes_most(self) -> float:
        """How many bytes may be outstanding so that none runs out before its turn.

        Infinite while no rate is known: then the count alone bounds.  Never more than a day's.
        """
        rate = self.meter.rate_bytes_s
        if rate is None:
            return float("inf")
        return rate * min(0.8 * self.window_s, DAY_S)

    def as_json(self) -> dict[str, Any]:
        """What is worth keeping for the next run.

        Not the window: one odd address must not hold back every night to come.
        """
        return {
            "generation": [round(s, 3) for s in self._generation],
            "first_look": self._first_look_s,
            "sizes": list(self._sizes),
            "rate": self.meter.rate_bytes_s,
        }

    def remember(self, kept: Mapping[str, Any]) -> None:
        """Take in what an earlier run kept; the rate only as a beginning.

        What is not of the expected kind is passed over: it is advice, not a record.
        """
        self._generation.extend(_numbers(kept.get("generation")))
        self._sizes.extend(int(n) for n in _numbers(kept.get("sizes")))
        for first_look_s in _numbers([kept.get("first_look")]):
            self._first_look_s = first_look_s
        for rate in _numbers([kept.get("rate")]):
            self.meter.remember(rate)


def _numbers(values: object) -> list[float]:
    if not isinstance(values, list):
        return []
    return [v for v in values if isinstance(v, int | float) and 0 < v < 1e15]
