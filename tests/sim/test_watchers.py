"""Whoever watches a run cannot harm it: what he raises is his own affair."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from archiver.commands import watching
from archiver.console_lines import JsonLines, Lines
from archiver.core.events import Event
from archiver.core.model import Job
from archiver.observing import Hook
from tests.hasty import Watcher, emulator, hastily, night

SMALL = (15_500, 60_000)


class Faulty(Watcher):
    """Raises at its n-th call, whichever that is, and remembers how often it is called."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def _count(self) -> None:
        self.calls += 1
        if self.calls >= self.at:
            raise ZeroDivisionError("a bug of the screen")

    def began(self, step: str, job: Job, title: str = "") -> None:
        self._count()

    def received(self, job: Job, count: int) -> None:
        self._count()

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        self._count()

    def said(self, text: str, *, warning: bool = False) -> None:
        self._count()

    def expect(self, counts: Any, wanted_bytes: int | None = None) -> None:
        self._count()

    def watch(self, troubles: Any) -> None:
        self._count()


@pytest.mark.parametrize("at", [1, 2, 3, 5, 8, 13, 21])
def test_a_night_whose_watcher_fails_is_a_night_like_any_other(
    tmp_path: Path, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is archived; it is told once, and the watcher hears no more."""
    watcher = Faulty(at)

    async def story() -> None:
        async with emulator(videos=4, size=SMALL) as vendor:
            summary = await night(tmp_path, vendor, watcher)
            assert (summary.exit_code, summary.archived) == (0, 4)

    hastily(story())
    assert watcher.calls == at
    assert caplog.text.count("a bug of the screen") == 1
    assert "goes on unwatched" in caplog.text


def test_a_bar_that_cannot_be_drawn_does_not_end_the_work() -> None:
    """The console's own bugs are told like others', and its stream stays readable."""

    class Broken(JsonLines):
        ticks = 0

        def tick(self) -> None:
            self.ticks += 1
            raise KeyError("no such column")

    stream = io.StringIO()
    lines = Broken(stream, watching.now)

    async def work(_: object) -> str:
        for _turn in range(5):
            await asyncio.sleep(0)
        return "done"

    assert watching.attend(work, lines) == "done"
    assert lines.ticks == 1
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [each["level"] for each in told] == ["warning"]
    assert "no such column" in told[0]["text"]


def test_an_interrupt_is_no_fault_of_the_watcher() -> None:
    """Only what went wrong is held back; a stop is passed on."""
    hook = Hook(Lines(io.StringIO(), watching.now))

    def interrupted(_: Lines) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hook.tell(interrupted)
