"""The timetable of a bandwidth limit: what users write, and which rate holds when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.timetable import DAY_MINUTES, DAYS, WEEK_MINUTES, Timetable, parse_rate

WORKING_HOURS = "08:00,2M 18:00,off"
MIB = 1024 * 1024


def rate(text: str, day: str, hour: int, minute: int = 0) -> float | None:
    table = parse_rate(text)
    assert isinstance(table, Timetable)
    return table.rate_at(DAYS.index(day) * DAY_MINUTES + hour * 60 + minute)


@pytest.mark.parametrize(("text", "rate"), [("20M", 20 * MIB), ("500", 500), ("off", None)])
def test_a_single_rate_is_no_timetable(text: str, rate: float | None) -> None:
    """What was enough before is enough now."""
    assert parse_rate(f" {text} ") == rate


@pytest.mark.parametrize("day", DAYS)
def test_without_a_day_an_entry_holds_for_every_day(day: str) -> None:
    """From its minute on, and through the night until the next one."""
    assert rate(WORKING_HOURS, day, 7, 59) is None
    assert rate(WORKING_HOURS, day, 8) == 2 * MIB
    assert rate(WORKING_HOURS, day, 17, 59) == 2 * MIB
    assert rate(WORKING_HOURS, day, 18) is None


def test_a_day_goes_by_its_name_or_by_how_that_begins() -> None:
    """By three letters at least, whatever their case."""
    for name in ("TUE", "Tues", "tuesday"):
        assert rate(f"08:00,1M {name}-08:00,off", "tue", 9) is None


def test_an_entry_that_names_its_day_holds_until_the_next_one() -> None:
    """The week goes round: before Monday's first, Sunday's last holds."""
    text = "Mon-08:00,1M Friday-18:00,off"
    assert rate(text, "mon", 7, 59) is None
    assert rate(text, "wed", 3) == MIB
    assert rate(text, "sun", 23, 59) is None


def test_an_entry_that_names_its_day_beats_one_for_every_day() -> None:
    """The order in which they are written does not matter."""
    for text in ("08:00,2M sat-08:00,off", "sat-08:00,off 08:00,2M"):
        assert rate(text, "fri", 9) == 2 * MIB
        assert rate(text, "sat", 9) is None
        assert rate(text, "sun", 9) == 2 * MIB


def test_one_entry_holds_the_whole_week() -> None:
    """There is no other."""
    assert rate("12:00,1M", "mon", 0) == MIB


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "timetable"), ("8,2M", "timetable"), ("24:00,2M", "timetable"),
        ("08:60,2M", "timetable"), ("Foo-08:00,2M", "timetable"),
        ("monkey-08:00,1M", "timetable"), ("mo-08:00,1M", "timetable"),
        ("mondays-08:00,1M", "timetable"), ("08:00,2M 18:00", "timetable"),
        ("08:00,fast", "no size"), ("08:00,0", "no size"), ("fast", "no size"),
    ],
)  # fmt: skip
def test_what_is_no_timetable_is_refused_with_an_example(text: str, complaint: str) -> None:
    """A slip of the finger must not lift the limit."""
    with pytest.raises(ValueError, match=complaint):
        parse_rate(text)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("", *DAYS)), st.integers(0, 1439), st.sampled_from(("off", "1", "2M"))
        ),
        min_size=1,
    ),
    st.integers(0, 2 * WEEK_MINUTES),
)
def test_every_minute_has_the_rate_of_the_last_entry_before_it(
    entries: list[tuple[str, int, str]], minute: int
) -> None:
    """Found by going back minute by minute, round the week."""
    text = " ".join(
        f"{day}{'-' * bool(day)}{at // 60:02}:{at % 60:02},{size}" for day, at, size in entries
    )
    table = parse_rate(text)
    assert isinstance(table, Timetable)
    starts = dict(table.entries)
    back = next(at % WEEK_MINUTES for at in range(minute, minute - WEEK_MINUTES, -1)
                if at % WEEK_MINUTES in starts)  # fmt: skip
    assert table.rate_at(minute) == starts[back]
