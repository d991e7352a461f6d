"""A file that was fetched when its run was cut off: published with all that belongs to it.

Real: the vendor, sockets, files; only the time jumps.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from archiver import archive
from archiver.core.events import Event, Fetched
from archiver.core.model import Job, JobState
from archiver.core.selection import AccountSource
from archiver.emulator.server import Emulator
from archiver.opening import changing
from archiver.run_options import RunOptions
from tests.crash.program import is_valid_bag
from tests.hasty import Unplugged, Watcher, account_of, emulator, hastily, night, surroundings

SMALL = {"videos": 1, "channels": 1, "playlists": 0, "size": (15_500, 30_000)}


class Stopper(Watcher):
    """Stops its run as soon as a file is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.stop = anyio.Event()

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        if isinstance(event, Fetched):
            self.stop.set()


async def cut_off(dest: Path, vendor: Emulator) -> None:
    watcher, options = Stopper(), RunOptions(sources=(AccountSource(),))
    account, around = account_of(vendor), surroundings()
    vendor.world.faults.set(["error-503@captions!"])
    await archive.run(str(dest), account, options, watcher, watcher.stop, around)
    vendor.world.faults.set([])
    assert not descriptions(dest)
    async with changing(str(dest), create=False, surroundings=around) as place:
        assert [job.state for job in await place.ledger.fetched_jobs()] == [JobState.FETCHED]


def descriptions(dest: Path) -> list[str]:
    return sorted(path.name.partition("]")[2] for path in dest.glob("data/*/*/*/*.info.json"))


@pytest.mark.parametrize("extras", [True, False])
def test_its_first_description_has_what_was_asked_for(tmp_path: Path, extras: bool) -> None:
    """No revision says on the same night what the sidecar could have said."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await cut_off(tmp_path, vendor)
            summary = await night(tmp_path, vendor, extras=extras)
            assert (summary.exit_code, summary.archived) == (0, 1)
            assert descriptions(tmp_path) == [".info.json"]
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            is_valid_bag(tmp_path)

    hastily(story())


@pytest.mark.parametrize("is_away", [True, False])
def test_it_is_published_though_nobody_can_be_asked(
    tmp_path: Path, is_away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The video is gone, or the vendor is away: what was fetched is in the archive all the same."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor:
            await cut_off(tmp_path, vendor)
            if is_away:
                monkeypatch.setattr(Unplugged, "off", True)
            else:
                vendor.world.delete_video(next(iter(vendor.world.account.videos)))
            around = surroundings(lambda _line: Unplugged())
            options = RunOptions(sources=(AccountSource(),), accept_shrunk=True, max_wait_s=2.0)
            account, stop = account_of(vendor), anyio.Event()
            await archive.run(str(tmp_path), account, options, Watcher(), stop, around)
            assert descriptions(tmp_path) == [".info.json"]
            assert (await archive.verify(str(tmp_path))).exit_code == 0
            is_valid_bag(tmp_path)

    hastily(story())
