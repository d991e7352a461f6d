"""What the arithmetic of the rate limit promises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core import pacing
from archiver.core.model import Instant
from archiver.core.pacing import News, Rate

T0 = Instant(1_700_000_000.0)


def at(seconds: float) -> Instant:
    return Instant(T0 + seconds)


def known(remaining: int, reset_s: float = 60.0) -> Rate:
    return pacing.answered(Rate(), News(100, remaining, at(reset_s)), T0)


@pytest.mark.parametrize(
    "text",
    ["1700000030", "1700000030.0", "1700000030000", "1700000030000000", "30",
     "Tue, 14 Nov 2023 22:13:50 GMT"],
)  # fmt: skip
def test_every_spelling_of_a_time_means_the_same(text: str) -> None:
    """Seconds, milliseconds, microseconds, a delta and an HTTP date are told apart."""
    assert pacing.when(text, T0) == at(30)


@pytest.mark.parametrize("text", ["1e400", "99999999999", "inf", "86400", "4102444800000"])
def test_no_header_makes_us_wait_longer_than_fifteen_minutes(text: str) -> None:
    """A wait of years is a mistake of units: 15 minutes, then one probe."""
    assert pacing.when(text, T0) == at(900)


@pytest.mark.parametrize("text", [None, "", "soon", "nan", "Tue, 14 Foo 2023 22:13:50 GMT",
                                  "Tue, 32 Nov 2023 22:13:50 GMT"])  # fmt: skip
def test_nonsense_is_no_time(text: str | None) -> None:
    """What cannot be read is as good as absent."""
    assert pacing.when(text, T0) is None


@given(st.text(max_size=40) | st.floats().map(str) | st.integers().map(str))
def test_reading_a_time_never_fails(text: str) -> None:
    """Any text at all gives an Instant within 15 minutes, or None."""
    found = pacing.when(text, T0)
    assert found is None or (not math.isnan(found) and found <= at(900))


def test_headers_are_read_or_left_aside() -> None:
    """Counts that are no counts do not exist; negative ones are nothing left."""
    said = pacing.news({"X-RateLimit-Remaining": "-3", "X-RateLimit-Limit": "many"}, T0)
    assert said == News(None, 0, None, None)
    assert pacing.news({}, T0) == pacing.News()


def test_remaining_only_goes_down_within_an_epoch() -> None:
    """A late answer with an older, higher number gives no calls back."""
    rate = pacing.answered(known(3), News(100, 9, at(60)), at(1))
    assert pacing.calls(rate, 0, at(1)) == 3


def test_calls_in_flight_are_already_spent() -> None:
    """What is available is what remains less what is under way."""
    assert pacing.calls(known(5), 3, T0) == 2
    assert pacing.calls(known(5), 7, T0) == 0
    assert pacing.may_send_at(known(5), 5, T0) is None
    assert pacing.may_send_at(known(5), 4, T0) == 0.0


def test_at_nothing_left_we_wait_for_the_reset_before_any_429() -> None:
    """Remaining 0 on a 200 stops everybody until just after the reset, then one probe goes."""
    rate = known(0)
    go_at = pacing.may_send_at(rate, 0, T0)
    assert go_at is not None
    assert at(60.1) <= go_at <= at(61)
    assert pacing.calls(rate, 0, at(59)) == 0
    assert pacing.calls(rate, 0, go_at) == 1
    assert pacing.calls(pacing.sent(rate, go_at), 1, go_at) == 0


def test_a_new_epoch_is_believed_and_an_old_answer_is_not() -> None:
    """A later reset brings a new count; an answer of the epoch before changes nothing."""
    rate = pacing.answered(known(0), News(100, 99, at(120)), at(61))
    assert pacing.calls(rate, 0, at(61)) == 99
    rate = pacing.answered(rate, News(100, 0, at(60)), at(61))
    assert pacing.calls(rate, 0, at(62)) == 99


@pytest.mark.parametrize("reset_at", [None, at(-10)])
def test_a_reset_in_the_past_waits_a_second(reset_at: Instant | None) -> None:
    """A reset that is over, or unsaid, means: probe in a second, not at once and not never."""
    rate = pacing.answered(Rate(), News(100, 0, reset_at), T0)
    go_at = pacing.may_send_at(rate, 0, T0)
    assert go_at is not None
    assert at(1) < go_at <= at(2)


def test_the_start_is_slow() -> None:
    """With nothing known one call goes; each silent answer allows one more in flight."""
    rate = Rate()
    assert pacing.calls(rate, 0, T0) == 1
    assert pacing.calls(rate, 1, T0) == 0
    for _ in range(3):
        rate = pacing.answered(rate, News(), T0)
    assert pacing.calls(rate, 0, T0) == 4


@pytest.mark.parametrize("space", ["\x1c", "\x1e", "\x85", "\u2003", " \t"])
def test_a_count_may_stand_in_any_white_space(space: str) -> None:
    """Python's readers of text and of numbers do not agree on what is one."""
    assert pacing.news({"X-RateLimit-Limit": f"{space}12{space}"}, T0).limit == 12


def test_a_call_without_an_answer_counts_as_spent() -> None:
    """A timeout may have been counted by the server: one less for us."""
    assert pacing.calls(pacing.lost(known(5)), 0, T0) == 4
    assert pacing.lost(known(0)) == known(0)
    assert pacing.lost(Rate()) == Rate()


def test_a_429_that_says_when_is_obeyed_and_slows_nothing_down() -> None:
    """Retry-After or a reset: wait, then probe; the rate is not cut."""
    both = News(retry_at=at(20), reset_at=at(9))
    for said in (News(retry_at=at(20)), News(100, 0, at(20)), both):
        rate = pacing.refused(known(7), said, T0, T0, 5.0)
        go_at = pacing.may_send_at(rate, 0, T0)
        assert go_at is not None
        assert at(20) < go_at <= at(21)
        assert rate.per_s is None
        assert pacing.calls(rate, 0, go_at) == 1
    late = pacing.refused(Rate(), News(retry_at=at(-5)), T0, T0, 5.0)
    assert at(1) < late.hold_until <= at(2)


def test_bare_429s_back_off_and_slow_down_once_a_burst() -> None:
    """A burst of bare 429s waits 1 s and goes on at 0.7 of the rate; the next wait is longer."""
    rate = pacing.refused(Rate(), News(), T0, T0, 10.0)
    assert rate.per_s == pytest.approx(7.0)
    assert rate.hold_until == at(1)
    assert pacing.refused(rate, News(), T0, at(0.1), 10.0) == rate
    waits = []
    now = at(1)
    for _ in range(8):
        rate = pacing.refused(rate, News(), now, now, 10.0)
        waits.append(rate.hold_until - now)
        now = rate.hold_until
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert rate.per_s is not None
    assert rate.per_s >= pacing.SLOWEST


def test_after_a_bare_429_calls_are_spaced_and_answers_bring_the_rate_back() -> None:
    """One call at a time at the lower rate; enough answers lift the spacing altogether."""
    rate = pacing.refused(Rate(), News(), T0, T0, 10.0)
    rate = pacing.sent(rate, at(1))
    assert pacing.calls(rate, 0, at(1.1)) == 0
    assert pacing.may_send_at(rate, 0, at(1.1)) == pytest.approx(at(1 + 1 / 7))
    for _ in range(3):
        rate = pacing.answered(rate, News(), at(2))
    assert pacing.calls(rate, 0, at(2)) == 1
    assert rate.backoff_s == pacing.FIRST_BACKOFF_S
    for _ in range(1_000):
        rate = pacing.answered(rate, News(), at(3))
    assert rate.per_s is None
    assert pacing.sent(rate, at(3)) == rate


@given(
    limit=st.integers(1, 30), period_s=st.floats(2.5, 60), slots=st.integers(1, 12),
    calls=st.integers(1, 80), latency_s=st.floats(0.0, 2.0),
)  # fmt: skip
def test_a_server_with_one_bucket_never_refuses(
    limit: int, period_s: float, slots: int, calls: int, latency_s: float
) -> None:
    """Whatever limit, period and latency: every call is counted and none over the limit."""
    rate, now, left = Rate(), T0, calls
    flying: list[tuple[float, News]] = []
    used: dict[int, int] = {}
    while left or flying:
        while left and len(flying) < slots and pacing.calls(rate, len(flying), now):
            rate, left = pacing.sent(rate, now), left - 1
            window = int((now - T0) / period_s)  # the server counts when the call arrives
            used[window] = used.get(window, 0) + 1
            assert used[window] <= limit
            reset_at = at((window + 1) * period_s)
            flying.append((now + latency_s, News(limit, limit - used[window], reset_at)))
        go_at = pacing.may_send_at(rate, len(flying), now) if left and len(flying) < slots else None
        soon = [moment for moment, _ in flying] + ([go_at] if go_at and go_at > now else [])
        now = Instant(max(now, min(soon))) if soon else Instant(now + 0.01)
        for moment, said in [entry for entry in flying if entry[0] <= now]:
            flying.remove((moment, said))
            rate = pacing.answered(rate, said, now)


@pytest.mark.usefixtures("far_from_utc")
def test_a_date_is_in_utc_and_may_be_a_leap_second() -> None:
    """Of all the spellings of a time only this one could be taken for local."""
    assert pacing.http_date("Tue, 14 Nov 2023 22:13:50 GMT") == at(30)
    assert pacing.http_date("Sat, 31 Dec 2016 23:59:60 GMT") == 1_483_228_799.0


@pytest.mark.parametrize(
    ("text", "instant"),
    [("499999999", at(900)), ("500000000", 5e8), ("100000000000", at(900)),
     ("100000000001", 100000000.001), ("100000000000000", at(900)),
     ("100000000000001", 100000000.000001)],
)  # fmt: skip
def test_the_unit_of_a_time_is_told_by_its_size(text: str, instant: float) -> None:
    """A delta below sixteen years; then seconds, milliseconds, microseconds."""
    assert pacing.when(text, T0) == instant


def test_every_header_is_read_from_its_own_name() -> None:
    """The names are those of the vendor's specification and of RFC 9110."""
    headers = {
        "X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "30",
        "Retry-After": "5",
    }  # fmt: skip
    assert pacing.news(headers, T0) == News(100, 7, at(30), at(5))


def test_margins_are_spread_over_a_second() -> None:
    """Each program waits its own, and always the same."""
    margins = {pacing.margin_s(T0, str(salt)) for salt in range(50)}
    assert len(margins) == 50
    assert 0.1 <= min(margins) < 0.3
    assert 0.8 < max(margins) <= 1.0


def test_the_wait_for_a_reset_is_the_programs_own() -> None:
    """The margin is that of its salt."""
    rate = Rate(remaining=0, reset_at=at(60), salt="mine")
    assert pacing.may_send_at(rate, 0, T0) == at(60) + pacing.margin_s(at(60), "mine")
    asked = pacing.refused(Rate(salt="mine"), News(retry_at=at(5)), T0, T0, 1.0)
    assert asked.hold_until == at(5) + pacing.margin_s(at(5), "mine")


@pytest.mark.parametrize(("said", "obeyed"), [(-5.0, 1.0), (0.0, 1.0), (0.5, 0.5), (5.0, 5.0)])
def test_only_a_wait_that_has_passed_is_made_longer(said: float, obeyed: float) -> None:
    """A server that says half a second means it."""
    rate = pacing.refused(Rate(), News(retry_at=at(said)), T0, T0, 1.0)
    assert rate.hold_until == at(obeyed) + pacing.margin_s(at(obeyed), "")


def test_the_start_is_slow_again_after_an_epoch_and_after_a_refusal() -> None:
    """What was learnt of silence before says nothing about now."""
    over = Rate(remaining=3, reset_at=at(-10), answers=5)
    assert pacing.calls(over, 0, T0) == 1
    busy = Rate(remaining=5, reset_at=at(60), answers=9)
    for said in (News(), News(retry_at=at(5))):
        after = pacing.refused(busy, said, T0, T0, 1.0)
        assert (after.remaining, after.answers) == (None, 0)


def test_spacing_is_one_over_the_rate_until_it_is_fast_enough() -> None:
    """Two a second: one each half second; fifty a second: no spacing."""
    assert pacing.sent(Rate(per_s=2.0), T0).next_at == at(0.5)
    nearly = Rate(per_s=pacing.FAST_ENOUGH - pacing.FASTER)
    assert pacing.answered(nearly, News(), T0).per_s is None


def test_the_last_call_can_be_lost() -> None:
    """Then nothing is left."""
    assert pacing.lost(known(1)).remaining == 0


@pytest.mark.parametrize(("reset_s", "kept_s"), [(59.0, 60.0), (60.5, 60.5), (61.0, 61.0)])
def test_a_reset_that_wanders_by_a_second_is_the_same_epoch(reset_s: float, kept_s: float) -> None:
    """Its later end counts, and what remains only goes down."""
    rate = pacing.answered(known(5), News(100, 9, at(reset_s)), T0)
    assert (rate.remaining, rate.reset_at) == (5, at(kept_s))
    assert pacing.answered(known(5), News(100, 3, at(reset_s)), T0).remaining == 3


def test_a_reset_at_this_very_instant_is_over() -> None:
    """It is looked at again in a second."""
    assert pacing.answered(Rate(), News(100, 0, T0), T0).reset_at == at(1)


def test_what_is_left_of_a_period() -> None:
    """What nobody said is no limit; after a bare 429 nothing is left beside what must be."""
    assert pacing.left(Rate(), Instant(5.0)) == math.inf
    known = Rate(remaining=7, reset_at=Instant(60.0))
    assert pacing.left(known, Instant(5.0)) == 7.0
    assert pacing.left(known, Instant(70.0)) == math.inf
    assert pacing.left(Rate(per_s=2.0), Instant(5.0)) == 0.0
