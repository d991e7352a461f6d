"""A run as it is told: every change once, in words, without secrets, at next to no cost."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len

from archiver.console import Terminal
from archiver.console_lines import DETAIL, NEWS, WARNING, WORDS, JsonLines, Lines
from archiver.console_tally import Tally
from archiver.console_text import local, many, moment, scrub, size, span
from archiver.core import events
from archiver.core.lifecycle import TRANSITIONS, apply
from archiver.core.model import Holding, Instant, Job, JobKey, JobState, Link, Saved, VideoId
from archiver.core.weather import Trouble
from archiver.observing import Expects, Observer, Watches

S = JobState
KEY = JobKey(VideoId(124347309))
START = 1_795_435_200.0


class Hand:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> float:
        """The time."""
        return self.at


def job(state: JobState = S.AVAILABLE, video: int = 124347309, total: int = 1000) -> Job:
    """A job that could be met in that state."""
    return Job(JobKey(VideoId(video)), state, expected_bytes=total)


def happen(observer: Observer, before: Job, event: events.Event) -> Job:
    """Let an event come true, and tell of it."""
    after = apply(before, event)
    observer.recorded(before, event, after)
    return after


def archive_one(observer: Observer, video: int, count: int = 1000) -> None:
    """The happy life of one file, from its address on."""
    one = job(video=video, total=count)
    observer.began("fetch", one)
    observer.received(one, count)
    saved = Saved(count, count)
    one = happen(observer, one, events.Progressed(saved))
    one = happen(observer, one, events.Fetched(saved, "ab" * 32))
    path = f"data/Channel/2019/2019-10-23 Title [{video}].mp4"
    held = Holding(VideoId(video), "video", "mp4", 1, path, count, "ab" * 32, Instant(START))
    happen(observer, one, events.Stored((held,)))


def lines_of(kind: type[Lines], least: int = NEWS) -> tuple[Lines, io.StringIO, Hand]:
    """An observer, what it wrote, and its clock."""
    stream, hand = io.StringIO(), Hand()
    return kind(stream, hand.now, least=least), stream, hand


def test_every_event_but_progress_has_a_word() -> None:
    """A new event cannot be forgotten here."""
    every = {event for row in TRANSITIONS.values() for event in row}
    assert every - set(WORDS) == {events.Progressed}


def test_all_consoles_are_observers_that_like_to_know_the_whole() -> None:
    """They fit the port, and the archive may tell them how much there is."""
    observer: Observer = lines_of(Lines)[0]
    assert isinstance(observer, Expects)
    assert isinstance(observer, Watches)


def test_what_changes_is_a_line() -> None:
    """Archived, failed, parked: a line each, with the words for it; bytes are none."""
    console, stream, _ = lines_of(Lines)
    archive_one(console, 1)
    happen(console, job(), events.Delayed(Instant(1), "HTTP 500", Instant(2)))
    happen(console, job(), events.GaveUp("no room"))
    console.said("listed 3 videos")
    words = [line.split(maxsplit=1)[1] for line in stream.getvalue().splitlines()]
    assert words == [
        "archived  2019-10-23 Title [1].mp4  1000 bytes",
        "failed    124347309  HTTP 500",
        "parked    124347309  no room",
        "note      listed 3 videos",
    ]


@pytest.mark.parametrize(("least", "count"), [(DETAIL, 5), (NEWS, 3), (WARNING, 2)])
def test_quiet_and_verbose(least: int, count: int) -> None:
    """Quiet says warnings only, verbose every step."""
    console, stream, _ = lines_of(Lines, least)
    archive_one(console, 1)
    happen(console, job(S.DISCOVERED), events.Asked(Instant(1)))
    happen(console, job(), events.GaveUp("no room"))
    console.said("weather", warning=True)
    assert len(stream.getvalue().splitlines()) == count


def test_an_outage_is_told_when_it_begins_changes_and_ends() -> None:
    """One line each, however long it lasts, however often it is tried, however many files wait."""
    console, stream, hand = lines_of(Lines)
    sky: list[Trouble] = []
    console.watch(lambda: sky)
    for second in range(200):
        hand.at = START + second
        until = Instant(hand.at + 30)
        match second:
            case n if n < 50:
                sky[:] = [Trouble("https://api.example", "the connection was refused", until)]
            case 100:  # back for a moment is not back
                sky[:] = []
            case n if n < 150:
                sky[:] = [Trouble("https://api.example", "it answered 503", until)]
            case _:
                sky[:] = []
        happen(console, job(video=second + 1), events.Hindered("no network", Instant(second)))
        console._tell_weather()
    told = [line.split(maxsplit=1)[1] for line in stream.getvalue().splitlines()]
    assert [line.partition(", next try")[0] for line in told] == [
        "waiting   https://api.example: the connection was refused",
        "waiting   https://api.example: it answered 503",
        "going on  https://api.example: over after 2 min 29 s",
    ]


def test_silence_of_an_outage_is_broken_with_what_is_waited_for() -> None:
    """The line of the minute says why nothing moves; a quiet console keeps quiet."""
    for least, count in ((NEWS, 2), (WARNING, 0)):
        console, stream, hand = lines_of(Lines, least)
        console.watch(lambda: [Trouble("the API's rate limit", "", Instant(START + 900))])
        console.tick()
        hand.at += 61
        console.tick()
        told = stream.getvalue().splitlines()
        assert len(told) == count
        assert all("the API's rate limit: used up until " in line for line in told)


def test_a_failure_of_a_running_download_has_its_title() -> None:
    """A number alone tells nobody which video it is; nothing is remembered of others."""
    console, stream, _ = lines_of(Lines)
    console.began("fetch", job(), "Board \x1b[2Jmeeting" + "g" * 5_000)
    happen(console, job(), events.Delayed(Instant(1), "it broke off", Instant(2)))
    assert "124347309  Board" in stream.getvalue()
    assert stream.getvalue().rstrip("\n").isprintable()
    assert len(stream.getvalue()) < 400
    assert console.tally.running == {}


def test_silence_is_broken_once_a_minute() -> None:
    """Whoever reads the journal sees that it lives, what it waits for, and for how long."""
    console, stream, hand = lines_of(Lines)
    console.expect({S.AVAILABLE: 1, S.REQUESTED: 1}, 600_000)
    happen(console, job(S.REQUESTED, 5), events.Pending(Instant(1), Instant(START + 90)))
    console.began("fetch", job(total=600_000))
    for second in range(130):
        hand.at = START + second
        console.received(job(), 1_000)
        console.tick()
    told = [line.split(maxsplit=1)[1] for line in stream.getvalue().splitlines()]
    assert len(told) == 2
    assert "1 download at 1000 bytes/s" in told[1]
    assert "1 being prepared, next look" in told[1]
    assert told[1].endswith("7 min 59 s left")


def test_json_lines_are_objects_with_the_same_vocabulary() -> None:
    """One object a line, each with time, level and event."""
    console, stream, hand = lines_of(JsonLines)
    archive_one(console, 7)
    happen(console, job(), events.RanOut(Instant(1)))
    console.said("hm\x1b[2J", warning=True)
    hand.at += 61
    console.tick()
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["event"] for one in told] == ["archived", "ran_out", "warning", "progress"]
    assert [one["level"] for one in told] == ["info", "info", "warning", "info"]
    assert told[0]["at"] == "2026-11-23T12:00:00Z"
    assert (told[0]["video"], told[0]["bytes"], told[0]["state"]) == ("7", 1000, "archived")
    assert told[1]["failures"] == 1
    assert "\x1b" not in told[2]["text"]
    assert told[3]["states"]["archived"] == 1


def test_a_reader_that_goes_away_does_not_stop_the_run() -> None:
    """A broken pipe, a full disk, a closed stream: the telling ends, nothing is raised."""
    for kind in (Lines, JsonLines, Terminal):
        console, stream, _ = lines_of(kind)
        stream.close()
        archive_one(console, 1)
        console.said("x", warning=True)
        console.tick()
        console.close()


def test_no_console_tells_a_secret_or_steers_a_terminal() -> None:
    """Foreign texts are cleaned: escapes, line breaks, signatures, tokens."""
    evil = "at https://u:canary@cdn.example/f.mp4?sig=canary \x1b]0;x\x07\nBearer canary-canary"
    for kind in (Lines, JsonLines):
        console, stream, _ = lines_of(kind, DETAIL)
        linked = replace(job(), link=Link("https://cdn.example/f?sig=canary"))
        console.began("fetch", linked)
        happen(console, linked, events.Delayed(Instant(1), evil, Instant(2)))
        happen(console, job(S.REQUESTED), events.Available(Instant(1), Link("https://x/?canary")))
        console.said(evil)
        told = stream.getvalue()
        assert len(told.splitlines()) == 3
        assert "canary" not in told
        assert all(line.isprintable() for line in told.splitlines())


def drawn(width: int, act: Callable[[Terminal, Hand], None], **env: str) -> str:
    """What a terminal of that width received."""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
            patch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", "COLUMNS": str(width), "LINES": "40", **env}.items():
            patch.setenv(name, value)
        screen, hand = Screen(), Hand()
        console = Terminal(screen, hand.now)
        act(console, hand)
        console.close()
        console.close()
        return screen.getvalue()


def busy(console: Terminal, hand: Hand) -> None:
    """Something of everything."""
    console.expect({S.DISCOVERED: 40, S.ARCHIVED: 800, S.REQUESTED: 12}, 10_000_000)
    happen(console, job(S.REQUESTED, 3), events.Pending(Instant(1), Instant(START + 200)))
    for video in range(10, 30):
        console.began("fetch", job(video=video, total=4096), f"Title {video}")
        console.received(job(video=video), 2048)
    hand.at += 2
    console.tick()
    console.watch(lambda: [Trouble("https://api.example", "it answered 503", Instant(START))])
    hand.at += 2
    console.tick()
    happen(console, job(video=10), events.GaveUp("no [bold]room[/bold] :smile:"))


def test_a_terminal_shows_bars_counts_and_what_is_waited_for() -> None:
    """The whole, each download up to a dozen, the states, and when it looks again."""
    told = drawn(100, busy)
    assert "2.0 KiB of 4.0 KiB" in told
    assert "Title 10" in told
    assert "and 8 downloads more" in told
    assert "waiting for https://api.example: it answered 503, next try" in told
    assert "800 archived" in told
    assert "12 being prepared, next look" in told
    assert "no [bold]room[/bold] :smile:" in told  # a reason is no markup
    assert told.rindex("\x1b[?25h") > told.rindex("\x1b[?25l")  # the cursor is back


def test_no_color_is_obeyed() -> None:
    """With NO_COLOR there is movement but no colour."""
    coloured, plain = drawn(100, busy), drawn(100, busy, NO_COLOR="1")
    assert "\x1b[1;31m" in coloured
    assert "\x1b[1;31m" not in plain
    assert "\x1b[36m" not in plain


def test_a_narrow_terminal_is_enough() -> None:
    """Nothing breaks at twenty columns."""
    assert drawn(20, busy)


def test_a_terminal_that_becomes_narrower_shows_nothing_stale() -> None:
    """What was wrapped is cleared row by row, from the first row on, before the next picture."""

    def shrink(console: Terminal, hand: Hand) -> None:
        busy(console, hand)
        with pytest.MonkeyPatch.context() as patch:
            screen = console._screen
            widths = [cell_len(_plain(line)) for line in screen._drawn]
            patch.setattr(type(screen._console), "width", property(lambda _: 40))
            rows = sum(-(-max(1, width) // 40) for width in widths)
            assert rows > len(widths)
            shown = console._stream
            assert isinstance(shown, io.StringIO)
            before = len(shown.getvalue())
            console.tick()
            written = shown.getvalue()[before:]
            assert written.startswith(f"\r\x1b[{rows - 1}A\x1b[2K")
            assert written.count("\x1b[2K") == rows

    drawn(100, shrink, NO_COLOR="1")


def test_no_line_of_a_picture_is_wider_than_the_terminal() -> None:
    """At any width, with any title; a line too wide would wrap and leave its rest behind."""
    for width in (12, 20, 40, 69, 70, 84, 100, 200):

        def act(console: Terminal, hand: Hand, width: int = width) -> None:
            busy(console, hand)
            console.began("fetch", job(video=99), "東京からの生中継 " * 30)
            console.tick()
            drawn_lines = [_plain(line) for line in console._screen._drawn]
            assert max(cell_len(line) for line in drawn_lines) < width
            assert all(line == line.rstrip() for line in drawn_lines)

        drawn(width, act)


def _plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def test_counts_follow_the_events_with_and_without_a_total() -> None:
    """Told the whole, counts are of the whole; told nothing, of what was seen."""
    for known in (False, True):
        tally = Tally()
        if known:
            tally.expect({S.DISCOVERED: 2})
        one = job(S.DISCOVERED, 1)
        after = apply(one, events.Asked(Instant(1)))
        tally.recorded(one, events.Asked(Instant(1)), after)
        pending = events.Pending(Instant(1), Instant(9))
        tally.recorded(after, pending, apply(after, pending))
        assert tally.counts[S.REQUESTED] == 1
        assert tally.counts[S.DISCOVERED] == int(known)
        assert tally.next_look_at == Instant(9)


def test_bytes_of_a_broken_download_are_not_counted_as_here() -> None:
    """The rest that is still wanted is the file again, as far as it was not saved."""
    tally = Tally()
    tally.expect({S.AVAILABLE: 1}, 1000)
    one = job()
    tally.began("fetch", one)
    tally.received(one, 400)
    assert (tally.have_bytes, tally.seconds_left(100.0)) == (400, 6.0)
    corrupt = events.Corrupt(Instant(1), "no moov", Instant(2))
    tally.recorded(one, corrupt, apply(one, corrupt))
    assert (tally.have_bytes, tally.running) == (0, {})
    assert tally.seconds_left(0.0) == float("inf")


def test_ten_thousand_events_a_second_cost_little() -> None:
    """Bytes are counted, not written: a second's worth of events leaves no output."""
    console, stream, _ = lines_of(Lines)
    one = job(total=10**9)
    console.began("fetch", one)
    for _ in range(10_000):
        console.received(one, 65_536)
    assert stream.getvalue() == ""
    assert console.tally.running[KEY].bytes == 655_360_000


def test_numbers_read_well() -> None:
    """Sizes by 1024, spans in two units, counts with their noun."""
    assert [size(n) for n in (0, 1023, 1024, 15_924_736, 2**62)] == [
        "0 bytes", "1023 bytes", "1.0 KiB", "15.2 MiB", "4096.0 PiB",
    ]  # fmt: skip
    assert [span(s) for s in (0, 0.2, 42, 312.4, 7_500, 200_000)] == [
        "0 s", "< 1 s", "42 s", "5 min 12 s", "2 h 05 min", "2 days 7 h",
    ]  # fmt: skip
    assert span(float("inf")) == moment(None) == local(None) == "–"  # noqa: RUF001
    assert (many(1, "video"), many(1234, "video")) == ("1 video", "1,234 videos")
    assert local("2026-11-23T12:00:00Z") == moment(Instant(START))


def test_scrubbing_leaves_the_useful_part() -> None:
    """Host and path stay, so that a message still says where."""
    assert (
        scrub("GET https://a.example/f.mp4?x=1&y=2 failed")
        == "GET https://a.example/f.mp4?… failed"
    )
    assert scrub("{'access_token': 'abc', 'n': 1}") == "{'access_token': '…', 'n': 1}"
