"""A run told line by line: for cron, journals and pipes, as text or as JSON.

Rule 1: a line whenever something changes, and once a minute; nothing a byte.
Rule 2: whoever reads may go away: a broken pipe ends the telling, never the run.
Rule 3: every text passes ``console_text.safe``: no steering of terminals, no signed address.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Protocol, TextIO

from archiver.console_tally import Tally
from archiver.console_text import clock, many, safe, size, span
from archiver.console_weather import Forecast, outlook
from archiver.core import events
from archiver.core.model import Instant, Job, JobState
from archiver.core.summary import iso
from archiver.met import met
from archiver.observing import Troubles

DETAIL, NEWS, WARNING, MUTE = 0, 1, 2, 3
STATUS_EVERY_S = 60.0

# What each event is called, and how much it matters.  Progress has no line: bars show it.
WORDS: Final[Mapping[type, tuple[str, int]]] = {
    events.Asked: ("asking", DETAIL), events.Pending: ("preparing", DETAIL),
    events.Available: ("ready", DETAIL), events.Unavailable: ("not ready", DETAIL),
    events.NotFound: ("gone", DETAIL),  # the run itself says it, as a warning
    events.Delayed: ("failed", NEWS),
    events.Hindered: ("waiting", DETAIL),  # a host's trouble is told once, not once a file
    events.LinkRefused: ("refused", NEWS),
    events.RanOut: ("ran out", NEWS), events.Fetched: ("fetched", DETAIL),
    events.Corrupt: ("corrupt", NEWS), events.Stored: ("archived", NEWS),
    events.Superseded: ("archived", WARNING), events.Found: ("found", DETAIL),
    events.Damaged: ("damaged", DETAIL),
    events.GaveUp: ("parked", WARNING), events.Skipped: ("skipped", NEWS),
    events.Reopened: ("reopened", DETAIL), events.Gathered: ("extras", DETAIL),
    events.Lacking: ("extras missing", DETAIL),  # the summary counts them
}  # fmt: skip
_LEVELS: Final = {DETAIL: "debug", NEWS: "info", WARNING: "warning"}
# What systemd's journal takes for a line's priority: debug, info, warning.
_PRIORITIES: Final = {DETAIL: "<7>", NEWS: "<6>", WARNING: "<4>"}


@dataclass(frozen=True, slots=True)
class Told:
    """One thing worth a line.  ``fields`` are what a program wants to know of it."""

    level: int
    word: str
    text: str
    fields: Mapping[str, Any]


def told(event: events.Event, after: Job, title: str = "") -> Told | None:
    """What to say of an event; None where a line would be noise."""
    word, level = WORDS.get(type(event), ("", DETAIL))
    if not word:
        return None
    key, reason = after.key, safe(after.reason)
    fields: dict[str, Any] = {
        "video": str(key.video_id), "kind": key.kind, "variant": key.variant,
        "version": key.version, "state": str(after.state),
    }  # fmt: skip
    if reason:
        fields |= {"reason": reason, "failures": after.failures}
    named = f"{key.video_id}  {safe(title)}" if title else f"{key.video_id}"
    text = f"{named}  {reason}" if reason else named
    if isinstance(event, events.Stored | events.Superseded):
        held = event.holdings[0]
        fields |= {"path": held.path, "bytes": held.bytes, "sha256": held.sha256}
        text = f"{safe(PurePosixPath(held.path).name)}  {size(held.bytes)}"
        if reason:
            text = f"{text}  {reason}"
    return Told(level, word, text, fields)


class Listener(Protocol):
    """Somebody beside the stream who hears the same: a log file, a count of warnings."""

    @property
    def least(self) -> int:
        """The level from which on it wants to hear."""
        ...

    def hear(self, at: Instant, what: Told) -> None:
        """Something was told at *at*."""
        ...


class Lines:
    """Tells a run on a stream, a line at a time; an ``Observer``.

    Args:
        stream: standard error, as a rule.
        now: Unix seconds.
        least: the level from which on there is a line: DETAIL, NEWS, WARNING, or MUTE for none.
        beside: others who hear the same, each from a level of its own on.
    """

    def __init__(
        self,
        stream: TextIO,
        now: Callable[[], float],
        *,
        least: int = NEWS,
        beside: Sequence[Listener] = (),
    ) -> None:
        self.tally = Tally()
        self._stream, self._now, self._least, self._beside = stream, now, least, tuple(beside)
        self._heard_from = min([least, *(each.least for each in beside)])
        self._troubles: Troubles = tuple
        self._forecast = Forecast()
        self._told_at = now()
        self._deaf = False

    def expect(self, counts: Mapping[JobState, int], wanted_bytes: int | None = None) -> None:
        """Hear how much there is to do in all."""
        self.tally.expect(counts, wanted_bytes)

    def watch(self, troubles: Troubles) -> None:
        """Learn whom to ask what is waited for."""
        self._troubles = troubles

    def began(self, step: str, job: Job, title: str = "") -> None:
        """A hand took up a job."""
        self.tally.began(step, job, title)

    def received(self, job: Job, count: int) -> None:
        """Bytes came over the line."""
        self.tally.received(job, count)

    def recorded(self, before: Job, event: events.Event, after: Job) -> None:
        """A fact is in the ledger."""
        running = self.tally.running.get(after.key)
        what = told(event, after, running.title if running else "")
        self.tally.recorded(before, event, after)
        if what is not None:
            self._spread(what)

    def said(self, text: str, *, warning: bool = False) -> None:
        """Something about the run as a whole."""
        level, word = (WARNING, "warning") if warning else (NEWS, "note")
        self._spread(Told(level, word, safe(text), {}))

    def tick(self) -> None:
        """Called often: says what is waited for, and after a minute of silence where it stands."""
        rate = self.tally.sample(self._now())
        self._tell_weather()
        self._tell_standing(rate)

    def close(self) -> None:
        """Leave the stream as it was found."""

    def _tell_weather(self) -> None:
        for word, text in self._forecast.changes(self._troubles(), self._now()):
            self._spread(Told(NEWS, word, text, {}))

    def _tell_standing(self, rate: float, *, shown: bool = True) -> None:
        if self._heard_from <= NEWS and self._now() - self._told_at >= STATUS_EVERY_S:
            text = "; ".join([standing(self.tally, rate), *outlook(self._troubles())])
            self._spread(Told(NEWS, "progress", text, self._numbers(rate)), shown=shown)

    def _numbers(self, rate: float) -> dict[str, Any]:
        tally = self.tally
        return {
            "states": {str(state): count for state, count in tally.counts.items() if count},
            "downloads": len(tally.running), "bytes_received": tally.received_bytes,
            "bytes_wanted": tally.wanted_bytes, "bytes_per_second": round(rate),
        }  # fmt: skip

    def _spread(self, what: Told, *, shown: bool = True) -> None:
        """Tell whoever wants to hear of such things."""
        at = Instant(self._now())
        heard = [each for each in self._beside if what.level >= each.least]
        if what.level >= self._heard_from:
            self._told_at = at
        if shown and what.level >= self._least:
            self._tell(at, what)
        for each in heard:
            each.hear(at, what)

    def _tell(self, at: Instant, what: Told) -> None:
        self._put(f"{clock(at)} {what.word:<9} {what.text}")

    def _put(self, line: str) -> None:
        if self._deaf:
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the pipe is broken, the disk behind it full, or it is shut
            met("L28")
            self._deaf = True


class JsonLines(Lines):
    """The same, one JSON object a line."""

    def _tell(self, at: Instant, what: Told) -> None:
        self._put(as_json(at, what))


class JournalLines(Lines):
    """The same for systemd's journal, which knows the time by itself, and wants a priority."""

    def _tell(self, at: Instant, what: Told) -> None:  # noqa: ARG002  the journal has a clock
        self._put(f"{_PRIORITIES[what.level]}{what.word:<9} {what.text}")


def as_json(at: Instant, what: Told) -> str:
    """One thing that was told, as a JSON object on one line."""
    shown = {
        "at": iso(at), "level": _LEVELS[what.level], "event": what.word.replace(" ", "_"),
        **({} if what.fields else {"text": what.text}), **what.fields,
    }  # fmt: skip
    return json.dumps(shown)


def standing(tally: Tally, rate: float) -> str:
    """Where a run stands, in one line."""
    parts = [f"{many(tally.archived, 'video')} archived"]
    if tally.running:
        parts.append(f"{many(len(tally.running), 'download')} at {size(rate)}/s")
    if text := waiting(tally):
        parts.append(text)
    left = tally.seconds_left(rate)
    if left < float("inf"):
        parts.append(f"{span(left)} left")
    return ", ".join(parts)


def waiting(tally: Tally) -> str:
    """What is being prepared, and when it is looked at next; empty for nothing."""
    # Those of an earlier run are known by their number alone until they are looked at.
    count = max(len(tally.waiting), tally.counts[JobState.REQUESTED])
    if not count:
        return ""
    look_at = f", next look {clock(tally.next_look_at)}" if tally.waiting else ""
    return f"{count:,} being prepared{look_at}"
