"""The public report of a run: names and sums that others rely on."""

from __future__ import annotations

import pytest

from archiver.core.model import NEVER, Instant, VideoId
from archiver.core.summary import ApiCalls, Failure, Summary, iso


@pytest.mark.parametrize(
    ("at", "text"),
    [(0.0, "1970-01-01T00:00:00Z"), (1_571_831_766.9, "2019-10-23T11:56:06Z"), (None, None),
     (NEVER, None), (1e15, None), (float("nan"), None)],
)  # fmt: skip
def test_times_are_iso_in_utc_to_the_second(at: float | None, text: str | None) -> None:
    """And no time at all is null, not an error."""
    assert iso(None if at is None else Instant(at)) == text


def test_the_report_has_the_keys_of_the_contract() -> None:
    """Programs read it: nothing is renamed, ids are strings."""
    failure = Failure(VideoId(7), "A title", "parked", "broken", 5)
    told = Summary(
        Instant(0.0), 312.4, selected=3, archived=1, parked=1, gone=1, api_calls=ApiCalls(1, 2),
        failures=[failure],
    ).as_json()  # fmt: skip
    assert set(told) == {
        "schema", "outcome", "exit_code", "started_at", "seconds", "videos", "bytes",
        "api_calls", "expired", "failures",
    }  # fmt: skip
    assert told["failures"] == [
        {"video": "7", "title": "A title", "state": "parked", "reason": "broken", "attempts": 5}
    ]
    counts = dict(told["videos"])
    assert counts.pop("selected") == sum(counts.values())
    assert told["api_calls"] == {"token": 1, "list": 2, "request": 0, "poll": 0, "extras": 0}


def test_a_message_is_told_where_there_is_one() -> None:
    """Why a run stopped, in one sentence."""
    assert Summary(Instant(0.0), message="It stopped.").as_json()["message"] == "It stopped."
