"""Moments on the command line: a day, a time, or how long ago."""

from __future__ import annotations

from typing import Any

import click

from archiver.core import selection
from archiver.core.model import Instant


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A date or an age; stays a text here, since reading it needs a clock."""

    name = "DATE"

    def __init__(self, *, end: bool = False) -> None:
        self._end = end

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check *value*, and hand back what reads it."""
        try:
            selection.parse_moment(str(value), Instant(0.0), end=self._end)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def instant(text: str | None, *, end: bool = False) -> Instant | None:
    """When that is, by this machine's clock; None where nothing was said."""
    if text is None:
        return None
    from archiver.commands import watching  # it brings the event loop along

    return selection.parse_moment(text, watching.now(), end=end)
