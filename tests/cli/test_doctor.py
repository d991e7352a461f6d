"""The doctor finds what a run would be refused for, touches nothing, and always names the fix."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from archiver import Account, Secret
from archiver.adapters import destination
from archiver.archive import doctor
from archiver.errors import ArchiverError
from tests.hasty import emulator, hastily, night


def open_to_all(dest: Path) -> None:
    dest.mkdir()
    dest.chmod(0o777)


def full_of_others(dest: Path) -> None:
    dest.mkdir()
    (dest / "thesis.txt").write_text("mine")


def a_file(dest: Path) -> None:
    dest.write_text("a file")


def without_identity(dest: Path) -> None:
    (dest / ".archiver").mkdir(parents=True)
    (dest / ".archiver" / "ledger.sqlite3").write_text("a ledger")


def not_mounted(dest: Path) -> None:
    dest.mkdir()


@pytest.mark.parametrize(
    ("make", "found", "advice"),
    [
        (open_to_all, "Every user", "chmod o-w"),
        (full_of_others, "neither empty nor an archive", "empty or a new folder"),
        (a_file, "is not a folder", "Name a folder"),
        (without_identity, "lost its .archiver/archive-id", "restore"),
        (not_mounted, "is not mounted", "Mount it"),
    ],
)
def test_a_destination_that_a_run_refuses_is_found_with_its_fix(
    tmp_path: Path,
    make: Callable[[Path], None],
    found: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What would end the night with 4 is told the evening before; nothing is made or changed."""
    dest = tmp_path / "videos"
    make(dest)
    if make is not_mounted:
        monkeypatch.setattr(destination, "unmounted", lambda path: path)
    before = sorted(tmp_path.rglob("*"))
    checks = [check for check in asyncio.run(doctor(str(dest), Account())) if not check.ok]
    disk = next(check for check in checks if check.name == "disk")
    assert found in disk.found
    assert advice in disk.advice
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_and_a_folder_to_come_are_well(tmp_path: Path) -> None:
    """A second look, at what a run has made."""

    async def story() -> None:
        async with emulator(videos=1, size=(20_000, 30_000)) as vendor:
            for _ in range(2):
                checks = await doctor(str(tmp_path / "new" / "deep"), Account())
                wrong = {check.name for check in checks if not check.ok}
                assert not wrong & {"disk", "archive"}
                await night(tmp_path / "new" / "deep", vendor)

    hastily(story())


@pytest.mark.parametrize(
    "account",
    [
        Account(),
        Account(api_url="ftp://example.com"),
        Account(api_url="https://[half"),
        Account(api_url="http://example.com"),
        Account(client_id="two\nlines"),
        Account(ca_file="/nowhere", access_token=Secret("x")),
        Account(proxy="nonsense", access_token=Secret("x")),
        Account(
            api_url="http://127.0.0.1:9", token_url="http://127.0.0.1:9", access_token=Secret("x")
        ),
    ],
)
def test_every_finding_names_the_fix(account: Account, tmp_path: Path) -> None:
    """A person who reads FAIL wants to know what to do, not only what is wrong."""
    full_of_others(tmp_path / "videos")
    checks = asyncio.run(doctor(str(tmp_path / "videos"), account, wait_s=0.2))
    wrong = [check for check in checks if not check.ok]
    assert len(wrong) >= 2, "credentials, settings or API, and the disk"
    assert all(check.advice for check in wrong), wrong


def test_an_error_without_advice_gets_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever anybody raises some day."""

    def refuse(_: str) -> None:
        raise ArchiverError("It cannot be used.")

    monkeypatch.setattr("archiver.doctor.require_usable", refuse)
    monkeypatch.setattr("archiver.doctor.has_ledger", refuse)
    checks = asyncio.run(doctor(os.fspath(tmp_path), Account()))
    assert [check.name for check in checks if not check.ok] == ["credentials", "disk", "archive"]
    assert all(check.advice for check in checks if not check.ok)
