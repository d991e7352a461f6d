"""Each fault that the emulator can make, alone and all together: complete and right.

Real: the whole program, the emulator, sockets and files.  Not real: the time, which jumps.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from archiver.core.summary import Summary
from archiver.emulator.faults import FAULTS
from archiver.emulator.server import Emulator
from tests.hasty import Watcher, emulator, hastily, night

ENDLESS = sorted(name for name, fault in FAULTS.items() if fault.endless)
APART = {name for name, fault in FAULTS.items() if fault.where in ("extras", "consent")}
PASSING = sorted(set(FAULTS) - set(ENDLESS) - APART)
SIZES = (20_000, 300_000)
BREAK = ("reset-mid-body",)
NEEDS = {  # faults that strike only where another one has struck
    "flap": ("html-body",),
    "other-address": ("html-body",),
    "no-range-support": BREAK,
    "ignore-range": BREAK,
    "multipart-range": BREAK,
    "range-416": BREAK,
    "wrong-bytes": BREAK,
    "wrong-range": BREAK,
}


def truth(vendor: Emulator) -> dict[int, set[str]]:
    """The SHA-256 of every generation of every video."""
    return {
        number: {content.sha256() for content in vendor.world.contents(number, "mp4")}
        for number in vendor.world.account.videos
    }


def archived(dest: Path) -> dict[int, str]:
    """Of every video under data/: its SHA-256, read from the disk."""
    return {
        int(path.stem.rsplit("[", 1)[1].split("]")[0]): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in (dest / "data").rglob("*.mp4")
    }


async def survive(
    dest: Path, faults: tuple[str, ...], nights: int = 1, **config: Any
) -> tuple[Summary, Emulator]:
    """Nights until all is archived, at most so many; then everything must be right."""
    config = {"videos": 4, "size": SIZES, **config}
    async with emulator(faults=faults, **config) as vendor:
        watcher = Watcher()
        summary = await night(dest, vendor, watcher, max_wait_s=6 * 3600.0)
        for _ in range(nights - 1):
            if summary.exit_code != 0:
                summary = await night(dest, vendor, watcher, max_wait_s=6 * 3600.0)
        assert summary.exit_code == 0, (summary.message, summary.failures)
        right, stored = truth(vendor), archived(dest)
        assert set(stored) >= {int(number) for number in right}
        assert all(sha256 in right.get(number, {sha256}) for number, sha256 in stored.items())
        assert not list((dest / ".archiver" / "parts").iterdir())
        assert vendor.stats["credential_leaks"] == 0
        return summary, vendor


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_alone_is_survived_in_one_night(tmp_path: Path, name: str) -> None:
    """Whatever happens once to each video costs time, and nothing else."""

    async def story() -> None:
        config: dict[str, Any] = {}
        if FAULTS[name].where == "list":
            config = {"channels": 1, "page_videos": 3}  # two pages
        elif name in NEEDS:
            config = {"size": (400_000, 900_000)}  # something worth resuming
        _, vendor = await survive(tmp_path / "archive", (name, *NEEDS.get(name, ())), **config)
        assert vendor.stats["faults"][name] > 0

    hastily(story())


@pytest.mark.parametrize(
    "name",
    ["length-too-large", "gzip", "chunked", "redirect", "ignore-range", "no-range-support",
     "etag-per-request", "weak-etag"],
)  # fmt: skip
def test_a_download_host_that_is_always_so_is_lived_with(tmp_path: Path, name: str) -> None:
    """What strikes each answer must not keep a file out of the archive."""

    async def story() -> None:
        faults = (f"{name}!", *BREAK)
        _, vendor = await survive(tmp_path / "archive", faults, videos=3, size=(400_000, 900_000))
        assert vendor.stats["faults"][name] >= 3

    hastily(story())


@pytest.mark.parametrize(
    ("other", "marks"),
    [
        pytest.param(other, (mark,), marks=() if row == column else pytest.mark.slow)
        for row, other in enumerate(("regenerate-moov", "regenerate-mdat", "swap-mid-body"))
        for column, mark in enumerate(("no-etag", "weak-etag", "etag-per-request"))
    ],
)
def test_bytes_of_two_generations_are_never_mixed(
    tmp_path: Path, other: str, marks: tuple[str, ...]
) -> None:
    """Equal size and date, no ETag to tell them apart, cut behind the first MiB: compared."""

    async def story() -> None:
        size = (3_000_000, 4_000_000)
        _, vendor = await survive(tmp_path / "archive", (other, *marks), videos=3, size=size)
        assert vendor.stats["faults"][other] == 3

    hastily(story())


def test_all_faults_together_are_survived(tmp_path: Path, seed: int) -> None:
    """Each at one opportunity in fifty."""
    every = tuple(f"{name}:0.02" for name in PASSING)
    hastily(survive(tmp_path / "archive", every, nights=3, seed=seed))


def test_a_video_that_is_for_ever_pending_is_left_for_the_next_run(tmp_path: Path) -> None:
    """It is waited for, no longer than --max-wait, and stays requested: no second POST."""

    async def story() -> None:
        async with emulator(videos=3, size=SIZES, faults=("pending-forever",)) as vendor:
            for _ in range(2):
                summary = await night(tmp_path, vendor, max_wait_s=3600.0)
                assert (summary.exit_code, summary.remaining) == (1, 3)
                assert "prepared" in summary.failures[0].reason
            assert vendor.stats["posts"] == 3

    hastily(story())


def test_a_video_that_is_gone_is_said_once_and_is_no_failure(tmp_path: Path) -> None:
    """The vendor's 404 is the vendor's word."""

    async def story() -> None:
        async with emulator(videos=3, size=SIZES, faults=("not-found",)) as vendor:
            watcher = Watcher()
            first = await night(tmp_path, vendor, watcher)
            assert (first.exit_code, first.gone, first.failures) == (0, 3, [])
            assert sum("no longer has it" in word for word in watcher.words) == 3
            second = await night(tmp_path, vendor)
            assert (second.exit_code, second.gone) == (0, 3)
            assert vendor.stats["posts"] == 3

    hastily(story())


def test_an_account_that_may_not_download_is_refused_after_five_videos(tmp_path: Path) -> None:
    """It is the credentials' role, not the videos."""

    async def story() -> None:
        async with emulator(videos=20, size=SIZES, faults=("denied",)) as vendor:
            summary = await night(tmp_path, vendor, requests=1)
            assert (summary.exit_code, summary.outcome) == (3, "refused")
            assert vendor.stats["posts"] <= 6
            assert "role" in summary.message

    hastily(story())


def test_the_loop_does_not_wait() -> None:
    """A day passes at once: otherwise these tests would prove patience."""
    assert hastily(asyncio.sleep(86_400.0, "done")) == "done"
