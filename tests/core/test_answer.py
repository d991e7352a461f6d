"""The head of an answer is read strictly, or says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.answer import Ask, Head, Span, content_range, strong, unsatisfied_total


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("bytes 0-0/1", Span(0, 1, 1)),
        (" BYTES  5-9/10 ", Span(5, 10, 10)),
        ("bytes 5-9/*", Span(5, 10, None)),
        ("bytes 9-5/10", None),
        ("bytes 5-10/10", None),
        ("bytes */10", None),
        ("bytes=5-9/10", None),
        ("bytes 5-9/10, 12-13/20", None),
        ("bytes -5-9/10", None),
        ("bytes \u0665-9/10", None),
        ("bytes 0-1/" + "9" * 19, None),
        ("items 0-1/2", None),
        ("", None),
    ],
)
def test_a_content_range_is_read_strictly(value: str, span: Span | None) -> None:
    """What is odd or contradicts itself says nothing."""
    assert content_range(value) == span


@given(st.text(max_size=60))
def test_no_content_range_breaks_the_reader(value: str) -> None:
    """Whatever a host sends is read or refused."""
    span = content_range(value)
    assert span is None or 0 <= span.start < span.end
    assert (unsatisfied_total(value) or 0) >= 0


def test_only_a_strong_etag_promises_equal_bytes() -> None:
    """Weak, unquoted and missing ones do not."""
    assert strong('"a"') == '"a"'
    assert [strong(x) for x in ('W/"a"', "a", '"a', '"a"b"', "", None)] == [None] * 6


def test_a_head_is_believed_only_where_it_says_something() -> None:
    """A length under chunks, of an odd form or of another status means nothing."""
    assert Head(200, "5").total == 5
    assert Head(200, "5", chunked=True).total is None
    assert Head(200, "5, 5").total is None
    assert Head(404, "5").total is None
    assert Head(206, "5").total is None
    assert Head(206, "5", "bytes 0-4/9").total == 9


def test_a_question_says_what_it_wants() -> None:
    """The whole without Range; a stretch with it; If-Range only beside it."""
    plain = {"Accept-Encoding": "identity"}
    assert Ask(if_range='"a"').headers() == plain
    assert Ask(7).headers() == plain | {"Range": "bytes=7-"}
    assert Ask(0, 1).headers() == plain | {"Range": "bytes=0-0"}
    assert Ask(7, if_range="x").headers() == plain | {"Range": "bytes=7-", "If-Range": "x"}


def test_a_range_that_ends_before_it_begins_is_none() -> None:
    """Not even by one byte."""
    assert content_range("bytes 5-4/10") is None
