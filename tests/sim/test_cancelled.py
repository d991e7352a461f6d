"""A night that is stopped, or cancelled, at every turn of its loop: nothing leaks, all goes on.

Real: sockets, files, threads; so the n-th turn is not the same twice, and any turn is as good.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import Callable
from pathlib import Path

import anyio
import bagit
import pytest

from archiver import archive
from archiver.adapters.lock import running
from archiver.core.selection import AccountSource
from archiver.core.summary import Summary
from archiver.emulator.server import Emulator
from archiver.run_options import RunOptions
from tests.hasty import HastyLoop, Watcher, account_of, emulator, night, surroundings

VIDEOS = 3
TURNS_MOST = 20_000


class Counting(HastyLoop):
    """Counts its turns from a beginning on; in the one that is named, it asks for an end."""

    def __init__(self) -> None:
        super().__init__()
        self.turns, self.at = 0, 0
        self.end: Callable[[], object] = int  # of no effect

    def _run_once(self) -> None:
        self.turns += 1
        if self.turns == self.at:
            self.end()
        super()._run_once()  # type: ignore[misc]


async def ended_at(dest: Path, vendor: Emulator, turn: int, *, politely: bool) -> Summary | None:
    """A night that is ended in its *turn*-th turn; None where it was cancelled."""
    loop, stop = asyncio.get_running_loop(), anyio.Event()
    assert isinstance(loop, Counting)
    options = RunOptions(sources=(AccountSource(),), extras=False)
    run = asyncio.ensure_future(
        archive.run(str(dest), account_of(vendor), options, Watcher(), stop, surroundings())
    )
    loop.turns, loop.at = 0, turn
    loop.end = stop.set if politely else run.cancel
    try:
        return await run
    except asyncio.CancelledError:
        return None
    finally:
        loop.at = 0


def try_turn(dest: Path, turn: int, *, politely: bool) -> bool:
    """End one night there, and spend another; False where the night was over before."""

    async def story() -> bool:
        size, generation_s = (90_000, 400_000), (0.5, 3.0)
        config = {"videos": VIDEOS, "size": size, "generation_s": generation_s}
        async with emulator(line_bytes_s=400_000, **config) as vendor:
            first = await ended_at(dest, vendor, turn, politely=politely)
            lock = dest / ".archiver" / "lock"
            assert running(lock) is None, "the lock was left behind"
            if first is not None:
                assert (first.exit_code, first.outcome) in ((5, "stopped"), (0, "complete"))
                bagit.Bag(str(dest)).validate()
            last = await night(dest, vendor)
            assert (last.exit_code, last.selected) == (0, VIDEOS), (turn, last.failures)
            assert not list((dest / ".archiver" / "parts").iterdir())
            bagit.Bag(str(dest)).validate()
            assert set(vendor.stats["posts_by_video"].values()) == {1}
            return first is None or first.exit_code == 5

    before = set(open_files())
    with asyncio.Runner(loop_factory=Counting) as runner:
        was_ended = runner.run(story())
    left = [path for path in open_files() if path not in before]
    assert left == [], f"turn {turn} left files open"
    return was_ended


def open_files() -> list[str]:
    """What this process has open, beside the folder that is looked into."""
    gc.collect()
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    found = []
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"{folder}/{name}"))
    return found


@pytest.mark.parametrize(
    ("politely", "factor"),
    [
        pytest.param(True, 4.0, id="stopped"),
        pytest.param(True, 1.5, id="stopped often", marks=pytest.mark.slow),
        pytest.param(False, 1.5, id="cancelled", marks=pytest.mark.slow),
    ],
)
def test_some_turns(tmp_path: Path, politely: bool, factor: float) -> None:
    """A sample over the whole length of a night."""
    turn, tried = 3, 0
    while try_turn(tmp_path / str(turn), turn, politely=politely):
        turn, tried = int(turn * factor), tried + 1
    assert tried >= 4, "the night was over too soon to prove anything"


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("politely", [True, False], ids=["stopped", "cancelled"])
def test_every_turn(tmp_path: Path, politely: bool) -> None:
    """All of them."""
    for turn in range(1, TURNS_MOST):
        if not try_turn(tmp_path / str(turn), turn, politely=politely):
            return
    pytest.fail("the night never came to its end")
