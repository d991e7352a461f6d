"""Videos that the vendor itself is going to delete: asked about, fetched first, warned of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from archiver import archive
from archiver.commands import output
from archiver.core.events import Asked
from archiver.core.model import DAY_S, NEVER, VideoId
from archiver.core.selection import AccountSource
from archiver.deletion import ask, deleted_at
from archiver.emulator.account import Video
from archiver.emulator.server import Emulator
from archiver.errors import (
    AuthError,
    BadAnswerError,
    DeniedError,
    NotFoundError,
    WeatherError,
)
from archiver.run_options import RunOptions
from tests.hasty import EPOCH, Watcher, account_of, emulator, hastily, night

SMALL = (15_500, 60_000)
CONFIG: dict[str, Any] = {"videos": 6, "size": SMALL, "channels": 1}


def broadcast(vendor: Emulator, age_days: float) -> Video:
    """A recording that the vendor deletes thirty days after it was made."""
    video = vendor.world.add_video(title="On air", now=EPOCH - age_days * DAY_S)
    video.expires_at = int(EPOCH + (30 - age_days) * DAY_S)
    return video


def test_what_the_vendor_deletes_first_is_asked_for_first(tmp_path: Path) -> None:
    """By the date, not by the number; and only young videos are asked about."""
    watcher = Watcher()

    async def story() -> None:
        async with emulator(**CONFIG) as vendor:
            later, sooner = broadcast(vendor, 20), broadcast(vendor, 25)
            kept = vendor.world.add_video(title="Kept", now=EPOCH - 5 * DAY_S)
            first = await night(tmp_path, vendor, watcher, requests=1, downloads=1)
            assert (first.exit_code, first.archived) == (0, 9)
            assert first.api_calls.extras == 3
            asked = [a.key.video_id for _, event, a in watcher.events if isinstance(event, Asked)]
            assert asked[:2] == [sooner.id, later.id]
            assert set(asked[2:]) == set(vendor.world.account.videos) - {sooner.id, later.id}
            assert first.as_json()["deletion"] == {"within_31_days": 2, "not_safe": []}
            second = await night(tmp_path, vendor)
            assert second.api_calls.extras == 0, "what is safe is not asked about again"
            assert second.as_json()["deletion"] == {"within_31_days": 2, "not_safe": []}
            assert kept.expires_at is None

    hastily(story())


def test_the_summary_warns_of_what_is_not_safe_yet(tmp_path: Path) -> None:
    """A night that is too short tells what may be lost."""

    async def story() -> None:
        async with emulator(**CONFIG, generation_s=(3600.0, 3600.0)) as vendor:
            video = broadcast(vendor, 25)
            short = await night(tmp_path, vendor, max_duration_s=600.0)
            assert short.exit_code == 5
            told = short.as_json()
            assert told["deletion"] == {"within_31_days": 1, "not_safe": [str(video.id)]}
            text = "\n".join(output.summary(told, "/a"))
            assert f"deletes 1 video within 31 days that is not archived: {video.id}." in text

    hastily(story())


def test_an_owner_who_keeps_a_recording_after_all_ends_the_warning(tmp_path: Path) -> None:
    """The date is asked for again while the video is not safe."""

    async def story() -> None:
        async with emulator(**CONFIG, generation_s=(3600.0, 3600.0)) as vendor:
            video = broadcast(vendor, 25)
            await night(tmp_path, vendor, max_duration_s=60.0)
            video.expires_at = None
            kept = await night(tmp_path, vendor, max_duration_s=60.0)
            assert kept.as_json()["deletion"] == {"within_31_days": 0, "not_safe": []}

    hastily(story())


@pytest.mark.parametrize(
    "fault", ["error-503", "html", "throttle", "reset", "wrong-types", "cut-json", "odd-json"]
)
def test_dates_that_cannot_be_had_hold_nothing_up(tmp_path: Path, fault: str) -> None:
    """Unreachable or unreadable: the videos are archived all the same."""

    async def story() -> None:
        async with emulator(**CONFIG, faults=(f"{fault}@expiration!",)) as vendor:
            for _ in range(4):
                broadcast(vendor, 25)
            summary = await night(tmp_path, vendor)
            assert (summary.exit_code, summary.archived) == (0, 10)
            assert vendor.world.faults.fired[fault] > 0, "the fault was not felt"

    hastily(story())


class Clerk:
    """Answers about single videos, or raises what it was given."""

    def __init__(self, answers: Mapping[int, str | Exception]) -> None:
        self.answers, self.asked = answers, list[int]()

    async def answer(self, video_id: VideoId, name: str) -> str:
        assert name == "expiration"
        self.asked.append(video_id)
        found = self.answers[video_id]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.mark.parametrize(
    ("trouble", "answered", "asked"),
    [
        (NotFoundError("gone"), [1, 2, 3], 3), (DeniedError("not yours"), [1, 2, 3], 3),
        (BadAnswerError("no JSON"), [1, 3], 3), (AuthError("the token"), [1], 2),
        (WeatherError("api", "its rate limit is used up", sent=False), [1], 2),
    ],
)  # fmt: skip
def test_trouble_with_one_video_ends_the_asking_only_where_it_is_everybodys(
    trouble: Exception, answered: list[int], asked: int
) -> None:
    """A video that is gone is one video; a rate limit that is used up is for the POSTs to wait."""
    clerk = Clerk({1: "{}", 2: trouble, 3: "{}"})
    found = asyncio.run(ask(clerk, map(VideoId, (1, 2, 3)), most=1))
    assert clerk.asked == [1, 2, 3][:asked]
    assert list(found) == answered, "that there is no date is an answer, and is kept"


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        ('{"rule": "never"}', NEVER),
        ('{"rule": "never", "expires_at": 1790000000}', NEVER),
        ('{"rule": "at_given_time", "expires_at": 1790000000}', 1_790_000_000.0),
        ('{"rule": "at_given_time", "expires_at": "1790000000"}', 1_790_000_000.0),
        ('{"rule": "at_given_time"}', NEVER), ('{"expires_at": []}', NEVER), ("null", NEVER),
        ("[]", NEVER), ('{"rule": ["never"], "expires_at": 1e400}', NEVER),
    ],
)  # fmt: skip
def test_a_date_is_read_and_nonsense_is_none(raw: str, at: float) -> None:
    """An answer that says nothing sensible never hides a video, and never ends a run."""
    assert deleted_at(raw) == at


def test_a_plan_tells_which_video_is_deleted_first(tmp_path: Path) -> None:
    """Though nothing is known of it yet; and DEST is not made."""

    async def story() -> None:
        async with emulator(**CONFIG) as vendor:
            broadcast(vendor, 1)
            first = broadcast(vendor, 28)
            report = await archive.plan(
                str(tmp_path / "dest"), account_of(vendor),
                RunOptions(sources=(AccountSource(),)), Watcher(),
            )  # fmt: skip
            told = report.as_json()["first_to_be_deleted"]
            assert told == {"video": str(first.id), "title": "On air", "at": "2026-09-23T14:13:20Z"}
            assert not (tmp_path / "dest").exists()

    hastily(story())
