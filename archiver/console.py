"""A run on a terminal: bars that move, and lines above them for what is worth keeping.

Rule 1: events only change numbers; drawing happens in ``tick``, a few times a second, so that
ten thousand events a second cost nothing to speak of.
Rule 2: the terminal is left as it was found, however the run ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from archiver.console_lines import NEWS, WARNING, Lines, Told, waiting
from archiver.console_tally import Tally
from archiver.console_text import clock, many, size, span
from archiver.core.model import Instant, JobKey, JobState

_BARS_MOST = 12  # more do not fit a small window
_STYLES: Final = {
    "archived": "green", "parked": "bold red", "gone": "yellow", "warning": "yellow",
    "failed": "yellow", "corrupt": "yellow", "refused": "yellow", "ran out": "yellow",
    "waiting": "yellow",
}  # fmt: skip
_SHOWN: Final = (
    JobState.DISCOVERED, JobState.REQUESTED, JobState.AVAILABLE, JobState.FETCHED,
    JobState.ARCHIVED, JobState.SKIPPED, JobState.GONE, JobState.PARKED,
)  # fmt: skip


class Terminal(Lines):
    """Shows a run with bars.  ``NO_COLOR`` and a dumb terminal are obeyed by rich itself."""

    def __init__(self, stream: TextIO, now: Callable[[], float], *, least: int = NEWS) -> None:
        super().__init__(stream, now, least=least)
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live: Live | None = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False,
            redirect_stderr=False, vertical_overflow="crop",
        )  # fmt: skip
        self._live.start()

    def tick(self) -> None:
        """Draw again."""
        rate = self.tally.sample(self._now())
        if self._live is None or self._deaf:
            return
        try:
            self._live.update(picture(self.tally, rate), refresh=True)
        except (OSError, ValueError):  # the terminal is gone: the run goes on
            self._deaf = True

    def close(self) -> None:
        """Take the bars away and give the cursor back."""
        live, self._live = self._live, None
        if live is None:
            return
        try:
            live.stop()
        except (OSError, ValueError):
            self._deaf = True

    def _tell(self, what: Told) -> None:
        self._told_at = self._now()
        style = _STYLES.get(what.word, "bold yellow" if what.level == WARNING else "")
        line = Text(overflow="fold").append(f"{clock(Instant(self._told_at))} ", style="dim")
        line.append(f"{what.word:<9} ", style=style or None).append(what.text)
        if self._deaf:
            return
        try:
            self._console.print(line)
        except (OSError, ValueError):
            self._deaf = True


def picture(tally: Tally, rate: float) -> RenderableType:
    """All that is shown below the lines: the whole, each download, what is waited for."""
    parts: list[RenderableType] = [_whole(tally, rate)]
    running = tally.first_running(_BARS_MOST)
    if running:
        table = Table.grid(padding=(0, 2, 0, 0))
        for key, transfer in running:
            table.add_row(
                Text(f"  {_name(key)}"),
                _bar(transfer.bytes, transfer.total),
                Text(_of(transfer.bytes, transfer.total), justify="right"),
            )
        parts.append(table)
    if len(tally.running) > len(running):
        parts.append(Text(f"  and {len(tally.running) - len(running)} more", style="dim"))
    counts = [f"{tally.counts[state]:,} {state}" for state in _SHOWN if tally.counts[state] > 0]
    lines = [", ".join(counts), waiting(tally)]
    parts += [Text(f"  {line}", style="dim") for line in lines if line]
    return Group(*parts)


def _whole(tally: Tally, rate: float) -> RenderableType:
    left = tally.seconds_left(rate)
    words = [many(tally.archived, "video") + " archived", f"{size(rate)}/s"]
    if left < float("inf"):
        words.append(f"{span(left)} left")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(
        _bar(tally.have_bytes, tally.wanted_bytes),
        Text(_of(tally.have_bytes, tally.wanted_bytes)),
        Text(", ".join(words)),
    )
    return table


def _bar(done: int, total: int | None) -> ProgressBar:
    # No pulse for an unknown size: its phase would need rich's own clock.
    return ProgressBar(
        total=max(1, total or 1), completed=min(done, total or 0), width=24,
        complete_style="cyan", finished_style="green",
    )  # fmt: skip


def _of(done: int, total: int | None) -> str:
    return f"{size(done)} of {size(total)}" if total else size(done)


def _name(key: JobKey) -> str:
    version = f" v{key.version}" if key.version > 1 else ""
    return f"{key.video_id}{version}" if key.kind == "video" else f"{key.video_id} {key.kind}"
