"""The archive as a library, on real sockets and files: events, ends, errors."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import bagit
import pytest

from archiver import (
    Account,
    Archive,
    AuthError,
    DestinationError,
    RunEvent,
    RunOptions,
    SettingsError,
    load_account,
)
from archiver.adapters.lock import running
from archiver.core.model import VideoId
from archiver.core.selection import VideoSource
from archiver.emulator.server import Emulator
from archiver.events import Archived, Downloading, JobState, Moved, Note, Postponed, Received
from tests.hasty import account_of, emulator, hastily, surroundings

SMALL: dict[str, Any] = {"videos": 3, "size": (20_000, 60_000), "generation_s": (0.5, 3.0)}
LONG: dict[str, Any] = {"videos": 3, "size": (300_000, 400_000), "line_bytes_s": 200_000.0}


def opened(dest: Path, vendor: Emulator, **account: Any) -> Archive:
    return Archive.open(dest, account=account_of(vendor), surroundings=surroundings(), **account)


def test_a_run_tells_all_that_happens(tmp_path: Path) -> None:
    """Each video is downloaded and archived, and all of its bytes are told."""

    async def story() -> list[RunEvent]:
        async with emulator(**SMALL) as vendor, opened(tmp_path, vendor) as archive:
            run = archive.run("account")
            heard = [event async for event in run]
            assert (run.summary.exit_code, run.summary.archived) == (0, 3)
            assert [event async for event in run] == [], "what was told is not told again"
            states = (await archive.status()).states
            assert states[JobState.ARCHIVED] == 3
            return heard

    heard = hastily(story())
    stored = [event.holdings[0] for event in heard if isinstance(event, Archived)]
    assert len(stored) == 3
    assert all((tmp_path / held.path).stat().st_size == held.bytes for held in stored)
    received = sum(event.bytes for event in heard if isinstance(event, Received))
    assert received == sum(held.bytes for held in stored)
    assert len([event for event in heard if isinstance(event, Downloading)]) == 3
    fetched = [e for e in heard if isinstance(e, Moved) and e.after is JobState.FETCHED]
    assert len(fetched) == 3
    assert Note("3 of 3 listed videos are selected") in heard


def test_whoever_listens_late_hears_all_and_held_up_nothing(tmp_path: Path) -> None:
    """The run ended without him; of bytes he hears one sum a file."""

    async def story() -> list[RunEvent]:
        async with emulator(**LONG) as vendor, opened(tmp_path, vendor) as archive:
            run = archive.run()
            await run.ended()
            return [event async for event in run]

    heard = hastily(story())
    assert len([event for event in heard if isinstance(event, Archived)]) == 3
    sums = [event.bytes for event in heard if isinstance(event, Received)]
    assert len(sums) == 3
    assert all(count >= 300_000 for count in sums)


def test_a_step_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    """A program can show what the console shows."""

    async def story() -> list[RunEvent]:
        vendor = emulator(**SMALL, faults=["reset-mid-body*1"])
        async with vendor, opened(tmp_path, vendor) as archive:
            return [event async for event in archive.run()]

    late = [event for event in hastily(story()) if isinstance(event, Postponed)]
    assert late
    assert all(event.reason and event.due_at > 0 for event in late)


def test_what_a_run_waits_for_can_be_asked(tmp_path: Path) -> None:
    """An outage is no event: whoever shows a run would show a standstill without a reason."""

    async def story() -> set[str]:
        vendor, seen = emulator(**SMALL, faults=["throttle*2"]), set[str]()
        async with vendor, opened(tmp_path, vendor) as archive:
            run = archive.run()
            ending = asyncio.ensure_future(run.wait())
            while not ending.done():
                seen |= {trouble.place for trouble in run.troubles}
                await asyncio.wait([ending], timeout=0.1)
            assert run.troubles == ()
            return seen

    assert hastily(story())


def test_questions_are_answered_beside_a_run(tmp_path: Path) -> None:
    """plan, videos, verify, retry and doctor, without a second way to any of them."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor, opened(tmp_path, vendor) as archive:
            first = min(vendor.world.account.videos)
            assert (await archive.plan()).new == 3
            await archive.run(VideoSource(VideoId(first)), f"video:{first}").wait()
            rows = [row async for row in archive.videos()]
            assert [row.video.id for row in rows] == [first]
            assert rows[0].state is JobState.ARCHIVED
            assert rows[0].holding is not None
            (tmp_path / rows[0].holding.path).write_bytes(b"no video")
            assert (await archive.verify()).exit_code == 1
            assert (await archive.verify(repair=True)).mended is not None
            assert await archive.retry() == 0
            assert await archive.retry(first) == 0
            assert {check.name for check in await archive.doctor()} >= {"credentials", "archive"}
            assert (await archive.run().wait()).selected == 3
            assert (await archive.verify()).exit_code == 0
            facts = [each.name async for each in archive.history() if each.key.video_id == first]
            assert facts.count("Damaged") == 1
            assert facts.count("Stored") == 2

    hastily(story())


def test_leaving_stops_a_run_in_order(tmp_path: Path) -> None:
    """``break`` and the end of ``async with`` leave a valid bag, no lock and no task."""

    async def story() -> int:
        async with emulator(**LONG) as vendor:
            async with opened(tmp_path, vendor) as archive:
                run = archive.run()
                async for event in run:
                    if isinstance(event, Received):
                        break
            assert run.summary.outcome == "stopped"
            assert running(tmp_path / ".archiver" / "lock") is None
            assert len(asyncio.all_tasks()) - before == 0
            async with opened(tmp_path, vendor) as archive:
                return (await archive.run().wait()).exit_code

    before = 1
    assert hastily(story()) == 0
    bagit.Bag(str(tmp_path)).validate()


@pytest.mark.parametrize("times", [1, 2])
def test_a_cancelled_program_leaves_nothing_behind(tmp_path: Path, times: int) -> None:
    """Once: the run is ended in order; twice, nobody has time for that, and it is ended at once."""

    async def story() -> None:
        async with emulator(**LONG) as vendor:

            async def program() -> None:
                async with opened(tmp_path, vendor) as archive:
                    async for event in archive.run():
                        if isinstance(event, Received):
                            begun.set()

            begun = asyncio.Event()
            task = asyncio.ensure_future(program())
            await begun.wait()
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert running(tmp_path / ".archiver" / "lock") is None
            async with opened(tmp_path, vendor) as archive:
                assert (await archive.run().wait()).exit_code == 0

    hastily(story())
    bagit.Bag(str(tmp_path)).validate()


def test_two_runs_at_a_time_are_refused_as_everywhere(tmp_path: Path) -> None:
    """The lock holds within one program, too; the first run does not notice."""

    async def story() -> None:
        async with emulator(**SMALL) as vendor, opened(tmp_path, vendor) as archive:
            first = archive.run()
            async for event in first:
                if isinstance(event, Moved):
                    break
            with pytest.raises(DestinationError, match="working on this archive"):
                await archive.run().wait()
            assert (await first.wait()).exit_code == 0

    hastily(story())


def test_what_stands_in_the_way_is_raised_where_somebody_listens(tmp_path: Path) -> None:
    """And where nobody does, at the end."""

    async def listening() -> None:
        async with Archive.open(tmp_path / "new") as archive:
            with pytest.raises(AuthError, match="no credentials"):
                async for _ in archive.run():
                    pass
            with pytest.raises(SettingsError, match="is no source"):
                archive.run("nonsense")

    async def deaf() -> None:
        async with Archive.open(tmp_path / "new") as archive:
            archive.run()

    asyncio.run(listening())
    with pytest.raises(AuthError):
        asyncio.run(deaf())
    assert not (tmp_path / "new").exists()


def test_a_run_belongs_inside(tmp_path: Path) -> None:
    """Outside, nobody would end it."""
    with pytest.raises(RuntimeError, match="async with"):
        Archive.open(tmp_path).run()


def test_an_error_in_the_program_is_the_one_that_is_raised(tmp_path: Path) -> None:
    """A run that was refused meanwhile does not hide it."""

    async def story() -> None:
        async with Archive.open(tmp_path) as archive:
            run = archive.run()
            with pytest.raises(RuntimeError, match="not ended"):
                _ = run.summary
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(story())


def test_the_account_is_the_commands_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Variables and settings file, in the same order of precedence."""
    secret = tmp_path / "secret"
    secret.write_text("from the file")
    secret.chmod(0o644)
    config = tmp_path / "archiver.toml"
    config.write_text(
        f'client_id = "me"\nclient_secret_file = "{secret}"\nproxy = "http://one.example:1"\n'
    )
    monkeypatch.setenv("ARCHIVER_CONFIG", str(config))
    monkeypatch.setenv("ARCHIVER_CA_FILE", "/ca.pem")
    found = load_account()
    assert (found.client_id, found.proxy, found.ca_file) == (
        "me",
        "http://one.example:1",
        "/ca.pem",
    )
    assert found.client_secret.reveal() == "from the file"
    assert "chmod 600" in caplog.text
    monkeypatch.setenv("ARCHIVER_PROXY", "http://two.example:1")
    assert load_account(str(config)).proxy == "http://two.example:1"


def test_who_names_no_source_means_the_whole_account() -> None:
    """The default of the options is what a nightly run is for."""
    assert [str(source) for source in RunOptions().sources] == ["account"]
    assert not Account().has_credentials
