"""The public report of a run: names and sums that others rely on."""

from __future__ import annotations

import pytest

from archiver.core.model import NEVER, Instant, VideoId
from archiver.core.summary import ApiCalls, Deletion, Failure, Listed, Reading, Summary, iso


@pytest.mark.parametrize(
    ("at", "text"),
    [(0.0, "1970-01-01T00:00:00Z"), (1_571_831_766.9, "2019-10-23T11:56:06Z"), (None, None),
     (NEVER, None), (1e15, None), (float("nan"), None)],
)  # fmt: skip
def test_times_are_iso_in_utc_to_the_second(at: float | None, text: str | None) -> None:
    """And no time at all is null, not an error."""
    assert iso(None if at is None else Instant(at)) == text


@pytest.mark.usefixtures("far_from_utc")
def test_times_are_in_utc_wherever_the_machine_stands() -> None:
    """Two machines that archive one account write the same."""
    assert iso(Instant(0.0)) == "1970-01-01T00:00:00Z"
    assert iso(Instant(1e11)) is None


def test_the_report_is_that_of_the_contract() -> None:
    """Programs read it: nothing is renamed, every number stands under its own name."""
    told = Summary(
        Instant(0.0), 312.45678, "partial", 3, selected=21, already_archived=1, archived=2,
        skipped=3, parked=4, gone=5, remaining=6, bytes_downloaded=7, bytes_archived=8,
        api_calls=ApiCalls(1, 2, 3, 4, 5), extras_asked=12, extras_missing=13, expired=9,
        deletion=Deletion(2, (VideoId(8),)),
        failures=[Failure(VideoId(7), "A title", "parked", "broken", 5)],
        listed=(Listed("account", 10, Reading.WHOLE),), unlisted=11,
    ).as_json()  # fmt: skip
    assert told == {
        "schema": 1, "outcome": "partial", "exit_code": 3,
        "started_at": "1970-01-01T00:00:00Z", "seconds": 312.457,
        "videos": {"selected": 21, "already_archived": 1, "archived": 2, "skipped": 3,
                   "parked": 4, "gone": 5, "remaining": 6},
        "bytes": {"downloaded": 7, "archived": 8},
        "api_calls": {"token": 1, "list": 2, "request": 3, "poll": 4, "extras": 5},
        "extras": {"asked": 12, "missing": 13},
        "expired": 9, "deletion": {"within_31_days": 2, "not_safe": ["8"]},
        "failures": [{"video": "7", "title": "A title", "state": "parked", "reason": "broken",
                      "attempts": 5}],
        "listed": [{"source": "account", "videos": 10, "whole": True}], "unlisted": 11,
    }  # fmt: skip


def test_a_message_is_told_where_there_is_one() -> None:
    """Why a run stopped, in one sentence."""
    assert Summary(Instant(0.0), message="It stopped.").as_json()["message"] == "It stopped."
