"""A run on a terminal: bars that move, and lines above them for what is worth keeping.

Rule 1: events only change numbers; drawing happens in ``tick``, a few times a second, so that
ten thousand events a second cost nothing to speak of.
Rule 2: the terminal is left as it was found, however the run ends.
Rule 3: columns keep their width while numbers grow: what did not change does not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from archiver.console_lines import WARNING, Lines, Told, waiting
from archiver.console_screen import Screen
from archiver.console_tally import Tally, Transfer
from archiver.console_text import clock, many, safe, size, span
from archiver.console_weather import outlook
from archiver.core.model import Instant, JobKey, JobState
from archiver.core.weather import Trouble

_BARS_MOST = 12  # more do not fit a small window
_ROWS_BESIDE = 8  # what stands below the bars, and a few lines of what was said
_WIDE, _MEDIUM = 84, 70  # columns: from here on there is room for sizes, and for long bars
_WORDS_WIDE = 34  # "1023.9 MiB/s, 59 min 59 s left"
_SIZES_WIDE = 24  # "1023.9 MiB of 1023.9 GiB"
_STYLES: Final = {
    "archived": "green", "parked": "bold red", "gone": "yellow", "warning": "yellow",
    "failed": "yellow", "corrupt": "yellow", "refused": "yellow", "ran out": "yellow",
    "waiting": "yellow", "going on": "green",
}  # fmt: skip
_SHOWN: Final = {
    JobState.DISCOVERED: "to do", JobState.AVAILABLE: "ready", JobState.FETCHED: "fetched",
    JobState.ARCHIVED: "archived", JobState.SKIPPED: "skipped", JobState.GONE: "gone",
    JobState.PARKED: "parked",
}  # fmt: skip


class Terminal(Lines):
    """Shows a run with bars.  ``NO_COLOR`` is obeyed by rich itself."""

    @cached_property
    def _screen(self) -> Screen:
        """Where it draws; taken hold of by the first that is drawn."""
        return Screen(self._stream)

    def tick(self) -> None:
        """Draw again."""
        rate = self.tally.sample(self._now())
        self._tell_weather()
        self._tell_standing(rate, shown=False)  # the bars show it; a log file has no bars
        troubles, screen = self._troubles(), self._screen
        most = min(_BARS_MOST, max(1, screen.height - _ROWS_BESIDE))
        screen.draw(picture(self.tally, rate, troubles, screen.width, most))

    def close(self) -> None:
        """Take the bars away and give the cursor back."""
        self._screen.close()

    def _tell(self, at: Instant, what: Told) -> None:
        style = _STYLES.get(what.word, "bold yellow" if what.level == WARNING else "")
        line = Text().append(f"{clock(at)} ", style="dim")
        line.append(f"{what.word:<9} ", style=style or None).append(what.text)
        self._screen.say(line)


def picture(
    tally: Tally,
    rate: float,
    troubles: Sequence[Trouble] = (),
    width: int = 79,
    most: int = _BARS_MOST,
) -> RenderableType:
    """All that is shown below the lines: the whole, each download, what is waited for."""
    if tally.wanted_bytes is None and not tally.counts:
        words = [Text("  looking for videos …", style="dim")]
        return Group(*words, *_below(outlook(troubles), width))
    running = tally.first_running(most)
    table = Table.grid(padding=(0, 2, 0, 0))
    bar = 24 if width >= _WIDE else 10
    sizes = _SIZES_WIDE if width >= _MEDIUM else 4
    table.add_column(width=bar)
    table.add_column(width=sizes, no_wrap=True, justify="right")
    room = max(1, width - bar - sizes - 6)
    table.add_column(width=room, no_wrap=True, overflow="ellipsis")
    table.add_row(*_whole(tally, rate, sizes, room))
    for key, transfer in running:
        title = Text(_name(key, transfer), style="dim")
        here = _of(transfer.bytes, transfer.total, sizes)
        table.add_row(_bar(transfer.bytes, transfer.total), Text(here, style="dim"), title)
    lines = []
    if len(tally.running) > len(running):
        lines.append(f"and {many(len(tally.running) - len(running), 'download')} more")
    lines += [_standing(tally), waiting(tally), *outlook(troubles)]
    return Group(table, *_below(lines, width))


def _standing(tally: Tally) -> str:
    """The whole selection by state; what is being prepared has a line of its own."""
    counts = tally.counts.copy()
    counts[JobState.AVAILABLE] -= len(tally.running)
    words = [f"{counts[state]:,} {word}" for state, word in _SHOWN.items() if counts[state] > 0]
    if tally.running:
        words.insert(int(counts[JobState.DISCOVERED] > 0), f"{len(tally.running):,} downloading")
    return ", ".join(words)


def _below(lines: Sequence[str], width: int) -> list[RenderableType]:
    words = [Text(f"  {line}", style="dim") for line in lines if line]
    for each in words:
        each.truncate(width, overflow="ellipsis")
    return list(words)


def _whole(tally: Tally, rate: float, sizes: int, room: int) -> tuple[RenderableType, ...]:
    if tally.wanted_bytes is None:  # a listing is under way, or no size is known
        return Text(), Text(_of(tally.have_bytes, None, sizes)), Text(f"{size(rate)}/s")
    words = f"{size(rate)}/s"
    left = tally.seconds_left(rate)
    if left < float("inf") and tally.have_bytes < tally.wanted_bytes:
        words += f", {span(left)} left" if room > _WORDS_WIDE else f", {span(left)}"
    return (
        _bar(tally.have_bytes, tally.wanted_bytes, "cyan"),
        Text(_of(tally.have_bytes, tally.wanted_bytes, sizes)),
        Text(words),
    )


def _bar(done: int, total: int | None, style: str = "blue") -> ProgressBar:
    # No pulse for an unknown size: its phase would need rich's own clock.
    return ProgressBar(
        total=max(1, total or 1), completed=min(done, total or 0),
        complete_style=style, finished_style="green",
    )  # fmt: skip


def _of(done: int, total: int | None, sizes: int) -> str:
    if total and sizes < _SIZES_WIDE:  # floored: 100% is all of it
        return f"{min(100, 100 * done // total)}%"
    return f"{size(done)} of {size(total)}" if total else size(done)


def _name(key: JobKey, transfer: Transfer) -> str:
    words = [safe(transfer.title) or str(key.video_id)]
    if key.version > 1:
        words.append(f"v{key.version}")
    return " ".join(words if key.kind == "video" else [*words, key.kind])
