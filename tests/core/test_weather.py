"""What the gate of a host promises in bad weather."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archiver.core import weather
from archiver.core.model import Instant
from archiver.core.weather import OPEN, Weather

HOST = "https://api.example"
T0 = Instant(1_700_000_000.0)


def at(seconds: float) -> Instant:
    return Instant(T0 + seconds)


def test_one_failure_closes_for_a_second_only() -> None:
    """A single failed call among successes does not stop the world for long."""
    gate = weather.failed(OPEN, T0)
    assert not weather.may_try(gate, at(0.9))
    assert weather.may_try(gate, at(1.0))


def test_waits_double_to_thirty_seconds_and_stay_there() -> None:
    """An outage is probed after 1, 2, 4, 8, 16 and then every 30 seconds."""
    gate, now, waits = OPEN, T0, []
    for _ in range(8):
        gate = weather.failed(gate, now)
        waits.append(gate.closed_until - now)
        now = gate.closed_until
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_burst_of_failures_counts_once() -> None:
    """Twenty calls that were under way when the host fell close it as long as one does."""
    gate = OPEN
    for _ in range(20):
        gate = weather.failed(gate, T0)
    assert gate == weather.failed(OPEN, T0)


def test_half_open_lets_one_probe_through() -> None:
    """After the wait one call goes out, and nobody else until it has told."""
    sky = Weather()
    sky.failed(HOST, T0)
    assert not sky.may_try(HOST, at(0.5))
    assert sky.closed_until(HOST, at(0.5)) == at(1)
    assert sky.may_try(HOST, at(1))
    assert not sky.may_try(HOST, at(1.1))
    assert at(1.1) < sky.closed_until(HOST, at(1.1)) <= at(2.1)
    sky.succeeded(HOST)
    assert sky.is_open(HOST)
    assert sky.may_try(HOST, at(1.2))
    assert sky.may_try(HOST, at(1.2))
    assert sky.closed_until(HOST, at(1.2)) == at(1.2)


def test_a_cancelled_probe_gives_its_place_back() -> None:
    """A probe that says nothing about the host does not keep it closed."""
    sky = Weather()
    sky.failed(HOST, T0)
    assert sky.may_try(HOST, at(1))
    sky.let_go(HOST)
    assert sky.may_try(HOST, at(1))


def test_a_lost_probe_ends_by_itself() -> None:
    """A probe nobody ever answers for is replaced after its life."""
    gate = weather.tried(weather.failed(OPEN, T0), at(1))
    assert not weather.may_try(gate, at(2))
    assert weather.may_try(gate, at(1 + weather.PROBE_LIFE_S))


def test_the_hosts_own_word_counts_within_reason() -> None:
    """Retry-After is obeyed, but never for longer than 15 minutes."""
    assert weather.failed(OPEN, T0, at(120)).closed_until == at(120)
    assert weather.failed(OPEN, T0, at(86_400)).closed_until == at(900)
    closed = weather.failed(OPEN, T0)
    assert weather.failed(closed, T0, at(60)).closed_until == at(60)


def test_hosts_do_not_share_their_weather() -> None:
    """Trouble at one host leaves the others alone."""
    sky = Weather()
    sky.failed(HOST, T0)
    assert sky.may_try("https://other.example", T0)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=40))
def test_no_history_closes_a_host_for_longer_than_half_a_minute(
    history: list[tuple[bool, float]],
) -> None:
    """Without an order of the host, the next try is never more than 30 s away."""
    gate, now = OPEN, T0
    for good, pause_s in history:
        now = Instant(now + pause_s)
        gate = OPEN if good else weather.failed(gate, now)
        assert weather.next_try_at(gate, now) <= now + weather.LONGEST_WAIT_S
        assert weather.may_try(gate, weather.next_try_at(gate, now))


def test_a_host_is_open_until_something_is_known_against_it() -> None:
    """And again after it answered."""
    weather = Weather()
    assert weather.is_open("https://a")
    weather.failed("https://a", Instant(1.0))
    assert not weather.is_open("https://a")
    weather.succeeded("https://a")
    assert weather.is_open("https://a")


def test_trouble_is_what_lasts_with_its_reason() -> None:
    """One failed call is no news; two in a row, or a long order to wait, are."""
    sky = Weather()
    sky.failed(HOST, T0, reason="the connection was refused")
    assert sky.troubles(T0) == []
    sky.failed(HOST, at(2), reason="it answered 503")
    assert sky.troubles(at(2)) == [weather.Trouble(HOST, "it answered 503", at(4))]
    sky.failed("https://slow.example", T0, at(120), "it answered 429")
    assert [each.until for each in sky.troubles(T0)] == [at(4), at(120)]
    sky.succeeded(HOST)
    sky.succeeded("https://slow.example")
    assert sky.troubles(at(200)) == []


def test_who_waits_can_say_why_and_until_when() -> None:
    """A person at the terminal reads it; one failed call is no trouble yet."""
    weather = Weather()
    assert weather.reason("https://a") == "it is in trouble"
    weather.failed("https://a", Instant(100.0), reason="the connection was refused")
    assert weather.reason("https://a") == "the connection was refused"
    assert weather.troubles(Instant(100.0)) == []
    weather.failed("https://a", Instant(102.0), reason="no answer in time")
    (trouble,) = weather.troubles(Instant(102.0))
    assert (trouble.place, trouble.reason) == ("https://a", "no answer in time")
    assert trouble.until > 102.0


def test_in_good_weather_a_call_leaves_no_trace() -> None:
    """Only a probe is remembered."""
    assert weather.tried(OPEN, T0) == OPEN
    assert weather.failed(OPEN, T0).reason == ""


def test_a_call_that_says_nothing_changes_nothing() -> None:
    """Of a host that nobody knows, and of one in trouble."""
    hosts = Weather()
    hosts.let_go(HOST)
    assert hosts.gates[HOST] == OPEN
    hosts.failed(HOST, T0)
    before = hosts.gates[HOST]
    assert before.reason == ""
    assert hosts.may_try(HOST, at(2))
    hosts.let_go(HOST)
    assert hosts.gates[HOST] == before
    assert hosts.closed_until("https://unknown.example", T0) == T0


def test_two_failures_in_a_row_are_trouble() -> None:
    """One is an accident."""
    hosts = Weather()
    hosts.failed(HOST, T0)
    assert hosts.troubles(T0) == []
    hosts.failed(HOST, at(1))
    assert [trouble.place for trouble in hosts.troubles(at(2.5))] == [HOST]


def test_while_a_probe_is_out_the_next_look_is_in_a_second() -> None:
    """And at the probe's end where that is sooner."""
    gate = weather.tried(weather.failed(OPEN, T0), at(1))
    assert weather.next_try_at(gate, at(1)) == at(2)
    assert weather.next_try_at(gate, at(90.5)) == at(91)


def test_the_closed_hosts_are_those_that_nobody_may_try_now() -> None:
    """Neither one that is well, nor one whose probe may go."""
    hosts = Weather()
    hosts.succeeded("https://well")
    hosts.failed("https://probed", at(-5))
    hosts.failed(HOST, T0)
    assert hosts.closed(T0) == {HOST: at(1)}
    assert hosts.closed(at(1)) == {}
