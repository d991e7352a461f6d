"""A nightly job that no longer starts tells nobody: `doctor` does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from archiver.account import Account
from archiver.adapters.clock import SystemClock
from archiver.adapters.ledger import SqliteLedger
from archiver.adapters.ledger.sqlite import RUNS_IN_FULL
from archiver.adapters.publish import LocalVault
from archiver.commands.doctor import exit_code
from archiver.core.model import Instant, VideoId
from archiver.core.summary import Failure, Summary
from archiver.doctor import Check, doctor

HOUR_S = 3600.0


async def runs(dest: Path, *each: tuple[float, int | None]) -> None:
    """An archive with a past: hours ago, and with which code; None: never came to an end."""
    LocalVault.open(dest, create=True).close()
    now = SystemClock().now()
    async with await SqliteLedger.open(dest / ".archiver" / "ledger.sqlite3") as ledger:
        for ago_h, code in each:
            at = Instant(now - ago_h * HOUR_S)
            number = await ledger.begin_run(1, Instant(at - 60))
            if code is not None:
                summary = Summary(at, exit_code=code)
                await ledger.end_run(number, json.dumps(summary.as_json()), at)


def last_run(dest: Path) -> Check:
    """What the doctor says of the last run."""
    checks = asyncio.run(doctor(str(dest), Account()))
    found = {check.name: check for check in checks}["last run"]
    told = {"name": found.name, "ok": found.ok, "found": found.found, "advice": found.advice}
    assert exit_code([told]) == (0 if found.ok else 1)
    assert bool(found.advice) != found.ok
    return found


@pytest.mark.parametrize(
    ("past", "well"),
    [
        ([], True),
        ([(30, 0)], True),
        ([(60, 0), (12, 1), (35, 5)], True),  # stopped in time: the next night goes on
        ([(37, 0)], False),
        ([(200, 0), (13, 1), (12, 4), (11, None)], False),
        ([(40, 1), (16, 1)], False),  # never well
        ([(20, 1)], True),  # the first night
    ],
)
def test_more_than_a_night_without_success_is_told(
    tmp_path: Path, past: list[tuple[float, int | None]], well: bool
) -> None:
    """After 36 hours, whatever ran meanwhile without success; a new archive has its first night."""
    asyncio.run(runs(tmp_path, *past))
    found = last_run(tmp_path)
    assert found.ok is well
    if not well:
        assert "none has ended well for" in found.found


def test_years_of_bad_nights_do_not_fill_the_disk(tmp_path: Path) -> None:
    """The counts of every run are kept; what failed in each, of the last hundred."""
    failures = [Failure(VideoId(n), "T" * 80, "parked", "w" * 80, 5) for n in range(100)]
    path = tmp_path / "ledger.sqlite3"

    async def nights(count: int) -> None:
        async with await SqliteLedger.open(path) as ledger:
            for _ in range(count):
                number = await ledger.begin_run(1, Instant(5.0))
                summary = Summary(Instant(5.0), parked=100, failures=failures)
                await ledger.end_run(number, json.dumps(summary.as_json()), Instant(6.0))

    async def kept() -> list[int]:
        async with await SqliteLedger.open(path, read_only=True) as ledger:
            found = await ledger.last_runs(10_000)
            assert all(run["videos"]["parked"] == 100 for run in found)
            return [len(run["failures"]) for run in found]

    asyncio.run(nights(RUNS_IN_FULL))
    full = path.stat().st_size
    asyncio.run(nights(RUNS_IN_FULL))
    assert asyncio.run(kept()) == [100] * RUNS_IN_FULL + [0] * RUNS_IN_FULL
    assert path.stat().st_size < 1.2 * full
