"""What commands print for people, from the very objects that ``--json`` prints."""

from __future__ import annotations

from typing import Any

import pytest

from archiver.commands import doctor, events, output, plan, status, verify, whoami
from archiver.commands import list as listing
from archiver.core.model import Instant, JobKey, VideoId
from archiver.core.summary import Failure, Summary
from archiver.records.history import Happening, check

EVIL = "a\x1b[2Jb\nc"


def summary(**more: Any) -> dict[str, Any]:
    """A run's report."""
    return Summary(Instant(1_795_435_200.0), **more).as_json()


def failure(number: int, title: str = "Title", reason: str = "no room") -> Failure:
    """A video that is not archived."""
    return Failure(VideoId(number), title, "parked", reason, 5)


def test_a_good_run_is_one_line() -> None:
    """Nothing that went well needs a second line."""
    done = summary(seconds=312.4, selected=812, already_archived=800, archived=12,
                   bytes_archived=9_876_543_210)  # fmt: skip
    assert list(output.summary(done, "/a")) == [
        "Archived 12 videos (9.2 GiB) in 5 min 12 s; 800 stood there already."
    ]


def test_the_first_failures_are_named_and_where_the_rest_is() -> None:
    """Five with title, reason and attempts; the rest is a command away."""
    bad = summary(selected=9, parked=8, gone=1, outcome="partial", exit_code=1,
                  failures=[failure(number, EVIL, EVIL) for number in range(1, 9)])  # fmt: skip
    told = list(output.summary(bad, "/a"))
    assert told[1] == "1 gone at the vendor, 8 parked."
    assert len(told) == 2 + 5 + 1
    assert "(5 attempts)" in told[2]
    assert told[-1] == "  and 3 more: archiver status /a"
    assert all(line.isprintable() for line in told)


def test_a_stopped_run_says_how_to_go_on() -> None:
    """With the run's own words where it has some."""
    assert "run the same command" in list(output.summary(summary(outcome="stopped"), "/a"))[-1]
    own = summary(outcome="stopped", message="Stopped: time is up.")
    assert list(output.summary(own, "/a"))[-1] == "Stopped: time is up."
    refused = summary(outcome="refused", message="No.")
    assert len(list(output.summary(refused, "/a"))) == 1


def test_a_plan_warns_of_a_small_disk_and_of_what_goes_first() -> None:
    """Bytes, calls, time, disk; and the vendor's next deletion."""
    answer: dict[str, Any] = {
        "videos": {"selected": 1200, "new": 12, "changed": 1, "archived": 1187, "parked": 0},
        "bytes_to_fetch": 2**31, "api_calls_expected": 26, "seconds_expected": 600,
        "extras_calls_expected": 11,
        "disk": {"free": 2**30, "needed": 2**31},
        "first_to_be_deleted": {"video": "7", "title": EVIL, "at": "2026-12-01T00:00:00Z"},
    }  # fmt: skip
    told = "\n".join(plan.lines(answer))
    assert "1,200 videos selected: 12 new, 1 changed, 1,187 archived" in told
    assert "2.0 GiB needed, 1.0 GiB free" in told
    assert "too small" in told
    assert "about 26, 11 of them for extras; one more for each caption" in told
    assert "\x1b" not in told
    answer |= {"disk": {"free": None, "needed": 0}, "first_to_be_deleted": None}
    assert len(list(plan.lines(answer | {"seconds_expected": None}))) == 3


def test_a_status_shows_states_deadline_runs_and_failures() -> None:
    """Also while a run is going on, and with more failures than a mail should hold."""
    answer = {
        "states": {"archived": 800, "available": 3, "gone": 0}, "bytes_archived": 2**40,
        "next_deadline": "2026-11-24T02:00:00Z", "running": 4711,
        "last_runs": [summary(archived=3, remaining=2, outcome="partial")] * 9,
        "failures": [failure(number).as_json() for number in range(60)],
    }  # fmt: skip
    told = list(status.lines(answer, "/a"))
    assert told[0] == "/a: 803 videos, 1.0 TiB archived"
    assert "process 4711" in told[1]
    assert not any("gone" in line for line in told)
    assert sum("partial" in line and "2 left" in line for line in told) == 5
    assert told[-2] == "  and 10 more: archiver status /a --json"
    assert told[-1] == "Put parked ones back with: archiver retry /a"
    quiet = answer | {"next_deadline": None, "running": None, "last_runs": [], "failures": []}
    assert len(list(status.lines(quiet, "/a"))) == 3


def test_a_verification_names_what_does_not_match() -> None:
    """Up to fifty, each with its reason; unknown files count too."""
    clean = {"checked": 2, "read": 2, "ok": 2, "bytes": 10, "missing": [], "changed": [],
             "unknown": []}  # fmt: skip
    assert list(verify.lines(clean)) == ["2 files checked (10 bytes): all match."]
    part = list(verify.lines(clean | {"read": 1}))
    assert part == ["2 files checked (1 of them read, 10 bytes): all match."]
    entry = {"id": None, "path": f"data/{EVIL}", "reason": "size"}
    told = list(verify.lines(clean | {"ok": 1, "changed": [entry] * 60, "unknown": [entry]}))
    assert told[0].endswith("1 match, 61 do not.")
    assert told[1].startswith("  changed  data/a")
    assert told[-1].startswith("  and 11 more")
    assert all(line.isprintable() for line in told)


def test_a_row_of_the_list_fits_any_video() -> None:
    """Without a date, without a file, in a later version."""
    row = {"id": "7", "state": "gone", "created_at": None, "bytes": None, "title": EVIL}
    assert listing.text(row | {"version": 2}).endswith(" v2")
    assert listing.text(row | {"version": 1}).isprintable()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [((), 0), (("clock",), 1), (("clock", "disk"), 4), (("disk", "role"), 3),
     (("credentials",), 3), (("API", "settings", "disk"), 2), (("archive",), 4)],
)  # fmt: skip
def test_a_doctors_code_is_that_of_the_first_thing_to_mend(
    wrong: tuple[str, ...], code: int
) -> None:
    """Settings before credentials before the disk; anything else is 1."""
    names = ("settings", "credentials", "role", "clock", "API", "disk", "archive")
    checks = [
        {"name": name, "ok": name not in wrong, "found": EVIL, "advice": "Mend it."}
        for name in names
    ]
    assert doctor.exit_code(checks) == code
    told = list(doctor.lines(checks))
    assert len(told) == len(names) + len(wrong)
    assert all(line.isprintable() for line in told)


def test_the_history_is_one_line_a_happening() -> None:
    """For people: when, what, which file; of a verification, how much it read and what it found."""
    held = {"path": f"data/x/{EVIL}.mp4"}
    stored = Happening(1, Instant(0.0), JobKey(VideoId(7)), "Stored", {"holdings": [held]})
    line = events.text(stored)
    assert line.isprintable()
    assert line.endswith("  stored                 7  mp4 v1    a [2Jb c.mp4")
    good = {"checked": 8, "read": 2, "findings": []}
    bad = {**good, "findings": [held], "not_as_recorded": 1}
    assert events.text(check(1, {"at": 0.0, **good})).endswith("8 files, 2 of them read")
    assert events.text(check(2, {"at": 0.0, **bad})).endswith("read, 1 not as recorded")


def test_whoami_is_three_lines_that_steer_nothing() -> None:
    """Kind and address; where a login is kept; what is seen, by the first few titles."""
    answer: dict[str, Any] = {
        "credentials": "login", "api_url": "https://api.example", "client_id": EVIL,
        "kept_in": "the system keyring", "renewed_at": "2026-11-23T02:00:00Z",
        "channels": [{"id": str(number), "title": EVIL} for number in range(7)],
    }  # fmt: skip
    told = list(whoami.lines(answer))
    assert len(told) == 3
    assert told[0].startswith("A stored login for https://api.example, client ID a")
    assert told[1].startswith("Kept in the system keyring, last renewed 2026-11-23")
    assert told[2].startswith("Sees 7 channels: ")
    assert told[2].endswith(", ….")
    assert all(line.isprintable() for line in told)
    bare = {**answer, "credentials": "token", "client_id": None, "kept_in": None, "channels": []}
    assert list(whoami.lines(bare)) == [
        "A ready access token for https://api.example.", "Sees 0 channels.",
    ]  # fmt: skip
    assert list(whoami.lines({**bare, "credentials": "none"})) == []
