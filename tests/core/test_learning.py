"""What a run learns: generation, sizes, windows, the rate of the line."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.learning import Learnt, Meter
from archiver.core.model import Instant, Job, JobKey, JobState, Link, VideoId


def at(seconds: float) -> Instant:
    return Instant(1000.0 + seconds)


def test_the_meter_counts_only_while_something_is_downloaded() -> None:
    """An idle line says nothing about its speed."""
    meter = Meter(span_s=8)
    assert meter.rate_bytes_s is None
    meter.started(at(0))
    for second in range(1, 5):
        meter.received(100, at(second))
    meter.ended(at(4))
    before = meter.rate_bytes_s
    assert before == pytest.approx(100)
    meter.started(at(5000))
    meter.received(100, at(5001))
    assert meter.rate_bytes_s == pytest.approx(100)


def test_the_meter_follows_a_line_that_slows_and_notices_silence() -> None:
    """A rate from the past must not admit what the present cannot carry."""
    meter = Meter(span_s=8)
    meter.started(at(0))
    meter.received(1000, at(1))
    for second in range(2, 30):
        meter.received(10, at(second))
    assert meter.rate_bytes_s is not None
    assert meter.rate_bytes_s < 30
    meter.started(at(60))
    meter.ended(at(90))
    slow = meter.rate_bytes_s
    assert (slow or 0.0) < 5


def test_an_instant_without_bytes_is_no_measurement() -> None:
    """A second download that starts at once after the first must not halve the rate."""
    meter = Meter(span_s=8)
    meter.started(at(0))
    meter.received(100, at(1))
    meter.started(at(1.01))
    meter.started(at(1.01))
    assert meter.rate_bytes_s == pytest.approx(100)


def test_generation_times_give_the_first_poll() -> None:
    """Four first polls in five find their file."""
    learnt = Learnt(4)
    assert learnt.generation_s is None
    for seconds in range(1, 11):
        learnt.generated(float(seconds), float(seconds))
    assert learnt.generation_s == 8
    learnt.generated(5.0, 1.0)
    assert 3.0 in learnt.as_json()["generation"]


def test_one_slow_file_among_a_few_does_not_set_the_pace() -> None:
    """Else each of the next ones is looked at when the slowest would be ready."""
    learnt = Learnt(4)
    for seconds in (400.0, 6.0, 20.0):
        learnt.generated(seconds, seconds)
    assert learnt.generation_s == 20


def test_the_shortest_window_counts() -> None:
    """A day is assumed until one is seen, and a longer one is not relied on."""
    learnt = Learnt(4)
    assert learnt.window_s == 86_400
    learnt.window(31_536_000.0)
    assert learnt.window_s == 86_400
    learnt.window(8.0)
    learnt.window(600.0)
    learnt.window(-1.0)
    assert learnt.window_s == 8


def test_a_cold_start_doubles_with_each_round_and_halves_when_late() -> None:
    """As TCP's slow start: one file a slot, then what the line carries."""
    learnt = Learnt(4)
    assert learnt.files_most == 4
    learnt.planned(at(0), idle=True)
    for _ in range(4):
        learnt.fetched(10, at(0))
    assert learnt.files_most == 8
    learnt.planned(at(2), idle=False)
    learnt.fetched(10, at(1))
    assert learnt.files_most == 8, "where every slot is at work, more are of no use"
    learnt.late()
    assert learnt.files_most == 4
    for _ in range(9):
        learnt.late()
    assert learnt.files_most == 1


def test_a_line_that_was_idle_while_a_file_was_made_asks_for_more() -> None:
    """In the moment in which files come all slots are at work: the hour before counts as well."""
    learnt = Learnt(1)
    for seconds, idle in ((5, True), (6, False), (7, False)):  # waiting, then downloads
        learnt.planned(at(seconds), idle=idle)
    learnt.fetched(10, at(4))
    assert learnt.files_most == 2
    learnt.fetched(10, at(6))  # asked for when the line was busy, and it stayed so
    assert learnt.files_most == 2
    learnt.fetched(10, None)  # nobody knows since when
    assert learnt.files_most == 3


def test_bytes_are_bounded_by_rate_and_window_and_by_a_day() -> None:
    """0.8 of what the line carries in the shortest window."""
    learnt = Learnt(4)
    assert learnt.bytes_most() == float("inf")
    learnt.meter.remember(6e6)
    learnt.window(8.0)
    assert learnt.bytes_most() == pytest.approx(0.8 * 6e6 * 8)


def test_an_unknown_size_is_taken_for_a_large_one() -> None:
    """A gibibyte with nothing seen, then the 90th percentile."""
    learnt = Learnt(4)
    assert learnt.typical_bytes == 1 << 30
    for size in range(1, 11):
        learnt.fetched(size, None)
    assert learnt.typical_bytes == 10


def test_what_was_learnt_is_kept_for_the_next_run() -> None:
    """Through JSON and back."""
    one, two = Learnt(4), Learnt(4)
    one.generated(3.0, 1.0)
    one.fetched(77, None)
    one.window(100.0)
    one.meter.remember(5.0)
    for _ in range(8):
        one.generated(4.0, 4.0)
    one.looked(4.0, found=False)
    two.remember(json.loads(json.dumps(one.as_json())))
    assert two.as_json() == one.as_json()
    assert two.window_s == 86_400, "one odd address must not hold back every night to come"


ANYTHING = st.none() | st.text() | st.floats() | st.lists(st.none() | st.floats())


@given(st.dictionaries(st.sampled_from(["generation", "first_look", "sizes", "rate"]), ANYTHING))
def test_nonsense_that_was_kept_is_passed_over(kept: dict[str, object]) -> None:
    """It is advice, not a record."""
    learnt = Learnt(4)
    learnt.remember(kept)
    assert learnt.window_s <= 86_400
    assert learnt.typical_bytes >= 0


def test_the_meter_settles_a_download_that_overlaps_another() -> None:
    """Two at once are one line."""
    meter = Meter(span_s=80)
    meter.started(at(0))
    meter.received(100, at(1))
    meter.started(at(2))
    meter.ended(at(2))
    meter.ended(at(4))
    assert meter.rate_bytes_s is not None
    assert meter.rate_bytes_s <= 50


LINK = Link("https://cdn.example/1", at(90_000))


def test_a_version_that_nobody_looked_at_tells_nothing_of_how_long_it_took() -> None:
    """Asked for last night and seen tonight: else all new files would be looked at in hours."""
    last_night = Job(JobKey(VideoId(1)), JobState.REQUESTED, asked_at=at(0), pending_at=at(1))
    learnt = Learnt(4)
    learnt.first_seen(last_night, LINK, at(86_000))
    assert learnt.generation_s is None
    assert learnt.window_s == 86_400
    learnt.first_seen(last_night, replace(LINK, expires_at=at(1003)), at(3))
    assert learnt.generation_s == 2
    assert learnt.window_s == 1000
    looked_at = replace(last_night, asked_at=at(0), pending_at=at(300), polls=2)
    slow = Learnt(4)
    slow.first_seen(looked_at, LINK, at(86_000))
    assert slow.generation_s == pytest.approx(300 + 330 / 2), "it took longer than that, surely"
    learnt.first_seen(replace(last_night, link=LINK), LINK, at(100))
    assert learnt.generation_s == 2, "an address that was refused is not a new one"


def test_a_meter_weighs_what_is_new_by_how_long_it_took() -> None:
    """A quarter of the span's half: a quarter of the difference."""
    assert Meter().span_s == 60.0
    meter = Meter(span_s=8)
    meter.started(at(0))
    meter.received(100, at(1))
    meter.received(500, at(2))
    assert meter.rate_bytes_s == pytest.approx(200)


def test_a_meter_adds_up_what_comes_within_an_eighth_of_its_span() -> None:
    """And looks at nothing shorter."""
    meter = Meter(span_s=8)
    meter.started(at(0))
    meter.received(50, at(0.1))
    meter.received(50, at(0.9))
    assert meter.rate_bytes_s is None
    meter.received(50, at(1))
    assert meter.rate_bytes_s == pytest.approx(150)


def test_an_eighth_of_the_span_without_a_byte_is_silence() -> None:
    """Anything shorter may be the pause between two chunks."""
    for pause, rate in ((0.9, 50), (1.0, 25)):
        meter = Meter(span_s=8)
        meter.started(at(0))
        meter.started(at(pause))
        meter.received(100, at(2))
        assert meter.rate_bytes_s == pytest.approx(rate)


def test_one_of_two_downloads_may_end() -> None:
    """The line is still at work."""
    meter = Meter(span_s=8)
    meter.started(at(0))
    meter.started(at(0))
    meter.ended(at(0))
    meter.received(100, at(1))
    meter.received(500, at(2))
    assert meter.rate_bytes_s == pytest.approx(200)


def test_only_the_last_two_hundred_are_looked_at() -> None:
    """A vendor or a channel that changed is not held to what it was."""
    learnt = Learnt(4)
    for size, seconds in ((10**9, 500.0), (10, 0.5)):
        for _ in range(200):
            learnt.fetched(size, None)
            learnt.generated(seconds, seconds)
    assert learnt.typical_bytes == 10
    assert learnt.generation_s == 0.5


@pytest.mark.parametrize(
    ("seconds", "window_s", "span_s"),
    [(0.0, 86_400.0, 60.0), (0.5, 0.5, 1.0), (3.0, 3.0, 1.5), (60.0, 60.0, 30.0),
     (200.0, 200.0, 60.0), (90_000.0, 86_400.0, 60.0)],
)  # fmt: skip
def test_a_meter_is_as_quick_as_the_window_asks(
    seconds: float, window_s: float, span_s: float
) -> None:
    """Half a window, from a second to a minute: a rate older than that admits too much."""
    learnt = Learnt(4)
    learnt.window(seconds)
    assert (learnt.window_s, learnt.meter.span_s) == (window_s, span_s)


def test_what_is_kept_is_short_and_sensible() -> None:
    """Milliseconds; and no number that nothing could have measured."""
    learnt = Learnt(4)
    learnt.remember({"generation": [0.51234, 0, -1, 1e15, "x"], "sizes": [7]})
    kept = {"generation": [0.512], "first_look": None, "sizes": [7], "rate": None}
    assert learnt.as_json() == kept


def test_a_crowd_halves_the_downloads_at_a_time_once() -> None:
    """Eight that could open no file in the same moment are one reason; one always remains."""
    learnt = Learnt(8)
    for _ in range(8):
        learnt.crowded(at(0))
    assert learnt.slots == 4
    for seconds in (2, 4, 6, 8):
        learnt.crowded(at(seconds))
    assert learnt.slots == 1


def made_in(seconds: float) -> Learnt:
    """Eight files took so long: from then on looks tell."""
    learnt = Learnt(4)
    for _ in range(8):
        learnt.generated(seconds, seconds)
    return learnt


def test_a_look_corrects_when_the_next_one_comes() -> None:
    """Four that found their file weigh as much as one that did not."""
    learnt = made_in(100.0)
    learnt.looked(100.0, found=True)
    assert learnt.generation_s == pytest.approx(98)
    learnt.looked(98.0, found=False)
    assert learnt.generation_s == pytest.approx(98 * 1.08)
    assert learnt.as_json()["first_look"] == learnt.generation_s


@pytest.mark.parametrize(
    ("after_s", "found", "tells"),
    [(76, True, False), (77, True, True), (130, True, True), (131, True, False),
     (76, False, False), (77, False, True), (9000, False, True)],
)  # fmt: skip
def test_only_a_look_that_came_on_time_tells_of_that_time(
    after_s: float, found: bool, tells: bool
) -> None:
    """After an hour without calls nearly all is there; what still is not, was not at its time."""
    learnt = made_in(100.0)
    learnt.looked(after_s, found=found)
    assert (learnt.generation_s != 100) is tells


def test_a_few_files_are_no_reason_to_trust_one_look() -> None:
    """Until there are eight, what they took sets the pace."""
    learnt = Learnt(4)
    learnt.looked(1.0, found=False)
    assert learnt.generation_s is None
    for _ in range(7):
        learnt.generated(100.0, 100.0)
    learnt.looked(100.0, found=False)
    assert learnt.generation_s == 100


@given(st.floats(0.5, 5.0), st.integers(0, 9))
def test_four_first_looks_in_five_find_their_file_however_late_the_later_ones_are(
    mean: float, seed: int
) -> None:
    """Where calls are scarce a second look comes in an hour: that must not make looks hasty."""
    dice = random.Random(seed)
    learnt = made_in(10.0)
    found = 0
    for number in range(2000):
        first_s = learnt.generation_s or 1.0
        took_s = dice.expovariate(1 / mean)
        learnt.looked(first_s, found=took_s <= first_s)
        if took_s <= first_s:
            learnt.generated(first_s, 0.1)
        found += number >= 1000 and took_s <= first_s
    assert 740 < found < 860
