"""What a run waits for, told once when it begins, when it changes and when it is over.

Rule: an outage of an hour is a handful of lines, however often it is tried and by how many files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from archiver.console_text import clock, safe, span
from archiver.core.weather import Trouble


@dataclass(slots=True)
class _Spell:
    """One trouble from its beginning on."""

    trouble: Trouble
    since: float
    seen_at: float


class Forecast:
    """Compares what is in trouble now with what was told."""

    def __init__(self) -> None:
        self._spells: dict[str, _Spell] = {}

    def changes(self, troubles: Sequence[Trouble], now: float) -> Iterator[tuple[str, str]]:
        """Word and text of each thing that is worth a line."""
        for trouble in troubles:
            spell = self._spells.get(trouble.place)
            if spell is None:
                self._spells[trouble.place] = _Spell(trouble, now, now)
            if spell is None or spell.trouble.reason != trouble.reason:
                yield "waiting", waited_for(trouble)
            if spell is not None:
                spell.trouble, spell.seen_at = trouble, now
        present = {trouble.place for trouble in troubles}
        for place, spell in list(self._spells.items()):
            # Back for a moment is not back: what comes and goes is one trouble.
            if place not in present and now - spell.seen_at >= spell.trouble.calm_s:
                del self._spells[place]
                yield "going on", f"{safe(place)}: over after {span(spell.seen_at - spell.since)}"


def waited_for(trouble: Trouble) -> str:
    """One trouble, and until when."""
    if not trouble.reason:
        return f"{safe(trouble.place)}: used up until {clock(trouble.until)}"
    return f"{safe(trouble.place)}: {safe(trouble.reason)}, next try {clock(trouble.until)}"


def outlook(troubles: Iterable[Trouble]) -> list[str]:
    """All of them, for a screen that shows them as long as they last."""
    return [f"waiting for {waited_for(trouble)}" for trouble in troubles]
