"""A disk so slow that a commit takes longer than a person's patience: slow, and still right."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from archiver.adapters.ledger import SqliteLedger
from archiver.core.lifecycle import Fetched, Stored
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
