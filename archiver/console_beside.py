"""Who hears a run beside the screen: a log file, and a count of what was wrong.

Rule: they hear what the screen would show, whatever ``--quiet`` keeps from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from archiver.adapters.outside_file import LogFile
from archiver.console_lines import WARNING, Told, as_json
from archiver.core.model import Instant
from archiver.core.summary import iso

_KEPT_MOST: Final = 20  # a message to a person is no log


@dataclass(slots=True)
class LogLines:
    """Writes each line into a file, with its day."""

    file: LogFile
    least: int
    is_json: bool = False

    def hear(self, at: Instant, what: Told) -> None:
        """Append what was told."""
        line = as_json(at, what) if self.is_json else f"{iso(at)} {what.word:<9} {what.text}"
        self.file.append(line)


@dataclass(slots=True)
class Warnings:
    """Counts what a person should know of, and keeps the first few."""

    least: int = WARNING
    count: int = 0
    first: list[str] = field(default_factory=list)

    def hear(self, at: Instant, what: Told) -> None:  # noqa: ARG002  when, does not matter
        """Count it."""
        self.count += 1
        if len(self.first) < _KEPT_MOST:
            self.first.append(f"{what.word}: {what.text}")
