"""A disk so slow that a commit takes longer than a person's patience: slow, and still right."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from archiver.adapters.ledger import SqliteLedger
from archiver.adapters.lock import running
from archiver.adapters.publish import LocalVault
from archiver.core.events import Fetched, Stored
from archiver.errors import DestinationError
from archiver.opening import changing
from tests.hasty import Watcher, emulator, hastily, night


def test_a_commit_that_takes_ten_seconds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the ledger took in is told, and done, once."""
    record = SqliteLedger.record

    async def slowly(self: SqliteLedger, *args: Any) -> Any:
        after = await record(self, *args)
        await asyncio.sleep(10.0)  # of the loop's time, which does not wait
        return after

    monkeypatch.setattr(SqliteLedger, "record", slowly)
    watcher = Watcher()

    async def story() -> Any:
        async with emulator(videos=4, size=(20_000, 30_000)) as them:
            return await night(tmp_path / "archive", them, watcher)

    summary = hastily(story())
    assert (summary.outcome, summary.archived) == ("complete", 4)
    for kind in (Fetched, Stored):
        assert sum(isinstance(event, kind) for _, event, _ in watcher.events) == 4


def test_the_lock_is_held_until_the_last_write_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that still writes when a run is stopped must not meet the next run's."""
    lock = tmp_path / ".archiver" / "lock"
    holders: list[int | None] = []
    close = LocalVault.close

    def closing(self: LocalVault) -> None:
        close(self)  # which waits for what threads still do
        holders.append(running(lock))

    monkeypatch.setattr(LocalVault, "close", closing)

    async def story() -> None:
        async with changing(str(tmp_path), create=True):
            pass

    asyncio.run(story())
    assert holders == [os.getpid()]
    assert running(lock) is None


def test_a_refused_lock_leaves_nothing_open(tmp_path: Path) -> None:
    """The archive's folders are let go of, too: a library may try again and again."""

    async def story() -> None:
        async with changing(str(tmp_path), create=True):
            before = len(os.listdir("/dev/fd"))
            with pytest.raises(DestinationError, match="Another run"):
                async with changing(str(tmp_path), create=True):
                    pytest.fail("held twice")
            assert len(os.listdir("/dev/fd")) == before

    asyncio.run(story())
