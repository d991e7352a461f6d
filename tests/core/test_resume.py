"""Resuming decided: no answer of a host may ever lead to a file made of two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archiver.core import resume
from archiver.core.answer import Ask, Head
from archiver.core.model import NOTHING, Saved
from archiver.core.resume import (
    OVERLAP_BYTES,
    WITNESS_BYTES,
    Again,
    Append,
    Decode,
    Done,
    Refuse,
    Restart,
    Take,
    Witness,
    decide,
    first_ask,
)
from archiver.met import counts

HERE, THERE = "here", "there"
DATE = "Mon, 23 Nov 2026 02:00:00 GMT"
TOTAL = 4 * WITNESS_BYTES
CUT = 2 * WITNESS_BYTES
SAVED = Saved(CUT, TOTAL, '"one"', DATE, HERE)
REST = Ask(CUT - OVERLAP_BYTES, if_range='"one"')


def rest(ask: Ask = REST, total: int | str = TOTAL, **more: str) -> Head:
    """The 206 that a well-behaved host gives to *ask*."""
    fields = {"etag": '"one"', "last_modified": DATE} | more
    return Head(206, content_range=f"bytes {ask.start}-{TOTAL - 1}/{total}", **fields)  # type: ignore[arg-type]


def test_the_first_question_goes_on_with_an_overlap() -> None:
    """From 64 KiB before the end, with the strongest condition there is."""
    assert first_ask(NOTHING, HERE) == Ask()
    assert first_ask(SAVED, HERE) == REST
    for weak in ('W/"one"', None):
        assert first_ask(replace(SAVED, etag=weak), HERE) == Witness()
        assert first_ask(replace(SAVED, etag=weak, last_modified=None), HERE) == Witness()
        assert first_ask(replace(SAVED, etag=weak, total=None), HERE) == Ask()
    assert first_ask(replace(SAVED, bytes=OVERLAP_BYTES), HERE) == Ask()


def test_another_address_needs_a_strong_etag_or_a_comparison() -> None:
    """Decision 8; where a comparison would cost as much as the file, it is taken whole."""
    weak = replace(SAVED, etag=None)
    assert first_ask(SAVED, THERE) == REST
    assert first_ask(weak, THERE) == Witness()
    assert first_ask(replace(weak, total=None), THERE) == Ask()
    assert first_ask(replace(weak, last_modified=None), THERE) == Ask()
    assert first_ask(replace(weak, bytes=WITNESS_BYTES), THERE) == Ask()
    assert resume.witnessed_ask(weak) == Ask(CUT - WITNESS_BYTES, if_range=DATE)


def test_a_fitting_rest_is_appended() -> None:
    """Same address: the record keeps its marks and takes the new ones."""
    assert decide(SAVED, HERE, REST, rest()) == Append(REST.start, SAVED)
    again = decide(replace(SAVED, total=None), HERE, REST, rest())
    assert again == Append(REST.start, SAVED)


def test_an_answer_that_says_little_is_compared() -> None:
    """Where nothing is contradicted and the length is equal, the bytes decide; else from 0."""
    bare = rest(etag="", last_modified="")
    assert decide(SAVED, HERE, REST, bare) == Witness()
    assert decide(SAVED, HERE, REST, bare, witnessed=True) == Append(REST.start, SAVED)
    assert decide(SAVED, THERE, REST, bare, witnessed=True) == Restart()
    for length in (rest(etag="", total="*"), rest(etag="", total=TOTAL)):
        unknown = replace(SAVED, total=None, etag=None)
        assert decide(unknown, HERE, REST, length, witnessed=True) == Restart()
    undated = replace(SAVED, last_modified=None)
    assert decide(undated, HERE, REST, rest(etag='"two"'), witnessed=True) == Restart()


@pytest.mark.parametrize(
    "head",
    [
        rest(total=TOTAL + 1),
        rest(Ask(0)),
        rest(content_length="5"),
        Head(206),
        Head(206, content_range=f"bytes {REST.start}-{REST.start + 4}/{TOTAL}"),
        Head(206, content_range=f"bytes {REST.start}-{CUT - 2}/{CUT - 1}"),
        rest(etag='"two"', last_modified="another day"),
        rest(etag='"two"', total="*"),
        Head(416),
        Head(416, content_range="bytes */7"),
        Head(412),
    ],
)
def test_what_does_not_fit_starts_again(head: Head) -> None:
    """D09, D11, D12: another start, total, length or date; a 416 of another size; a 412."""
    assert decide(SAVED, HERE, REST, head) == Restart()


def test_a_rest_shorter_than_what_is_saved_starts_again() -> None:
    """A total below what is there belongs to another file, whatever was known before."""
    head = Head(206, content_range=f"bytes {REST.start}-{CUT - 2}/{CUT - 1}")
    assert decide(replace(SAVED, total=None), HERE, REST, head) == Restart()
    begun = Ask(REST.start, CUT)
    assert decide(replace(SAVED, total=None), HERE, begun, head) == Restart()
    beyond = Head(206, content_range=f"bytes {REST.start}-{CUT - 1}/{CUT}")
    assert decide(replace(SAVED, bytes=CUT + 1, total=None), HERE, begun, beyond) == Restart()


def test_another_etag_of_the_same_length_goes_on_at_the_same_address() -> None:
    """D13, decision 8: where the date is equal too, after a comparison."""
    other = rest(etag='"two"')
    assert decide(SAVED, HERE, REST, other) == Witness()
    decision = decide(SAVED, HERE, REST, other, witnessed=True)
    assert decision == Append(REST.start, replace(SAVED, etag='"two"'))


def test_another_address_is_joined_by_a_strong_etag_alone() -> None:
    """Decision 8: and it is recorded."""
    decision = decide(SAVED, THERE, REST, rest())
    assert decision == Append(REST.start, replace(SAVED, source=THERE, joined=True))
    weak = replace(SAVED, etag='W/"one"')
    assert decide(weak, THERE, REST, rest(etag='W/"one"')) == Witness()


def test_another_address_is_joined_after_a_comparison() -> None:
    """Decision 8: only where length and date are known and equal."""
    other = rest(etag='"two"')
    assert decide(SAVED, THERE, REST, other) == Witness()
    joined = decide(SAVED, THERE, REST, other, witnessed=True)
    assert isinstance(joined, Append)
    assert joined.saved.joined
    for head in (rest(etag="", last_modified=""), rest(etag="", total="*")):
        for witnessed in (False, True):
            assert decide(SAVED, THERE, REST, head, witnessed=witnessed) == Restart()
    small = replace(SAVED, bytes=WITNESS_BYTES)
    ask = Ask(WITNESS_BYTES - OVERLAP_BYTES)
    assert decide(small, THERE, ask, rest(ask, etag="")) == Restart()


def test_a_joined_file_stays_joined() -> None:
    """The record of it does not get lost on the way."""
    decision = decide(replace(SAVED, joined=True), HERE, REST, rest())
    assert isinstance(decision, Append)
    assert decision.saved.joined


def test_a_comparison_needs_the_same_length_date_and_stretch() -> None:
    """Decision 8: what is compared must come from the candidate."""
    ask = Ask(0, 100)
    good = Head(206, "100", f"bytes 0-99/{TOTAL}", "", DATE)
    assert resume.witnesses(SAVED, ask, good)
    for bad in (
        replace(good, status=200),
        replace(good, content_range="bytes 0-99/*"),
        replace(good, content_range=f"bytes 0-98/{TOTAL}", content_length=""),
        replace(good, content_range=f"bytes 0-99/{TOTAL + 1}"),
        replace(good, last_modified="another day"),
        replace(good, content_encoding="gzip"),
    ):
        assert not resume.witnesses(SAVED, ask, bad)


def test_a_whole_file_replaces_what_is_saved() -> None:
    """D08: it begins at 0, with its own marks."""
    head = Head(200, "9", etag='"two"')
    assert decide(SAVED, HERE, REST, head) == Take(Saved(0, 9, '"two"', None, HERE))
    assert decide(NOTHING, HERE, Ask(), Head(200)) == Take(Saved(source=HERE))


def test_if_range_is_dropped_once_where_it_is_ignored() -> None:
    """D14: the same ETag and length in a 200 is no change."""
    same = Head(200, str(TOTAL), etag='"one"')
    assert decide(SAVED, HERE, REST, same) == Again(replace(REST, if_range=None))
    assert isinstance(decide(SAVED, HERE, replace(REST, if_range=None), same), Take)
    assert isinstance(decide(SAVED, HERE, REST, replace(same, content_length="7")), Take)
    by_date = replace(REST, if_range=DATE)
    dated = Head(200, str(TOTAL), last_modified=DATE)
    assert decide(SAVED, HERE, by_date, dated) == Again(replace(REST, if_range=None))


def test_a_416_of_the_saved_size_is_the_end() -> None:
    """D10: at the same address alone."""
    end = Head(416, content_range=f"bytes */{CUT}")
    assert decide(SAVED, HERE, REST, end) == Done(replace(SAVED, total=CUT))
    assert decide(SAVED, THERE, REST, end) == Restart()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        *((Head(status), "weather") for status in (407, 408, 425, 429, 500, 503, 599)),
        *((Head(status), "refused") for status in (400, 401, 403, 404, 410, 451)),
        *((Head(status), "broken") for status in (204, 304, 416, 206)),
        (Head(412), "refused"),
        (Head(200, "0"), "corrupt"),
        (Head(200, content_type="text/html; charset=utf-8"), "refused"),
        (Head(200, content_type="Application/Problem+JSON"), "refused"),
        (Head(200, content_type="application/xml"), "refused"),
    ],
)
def test_what_is_no_file_is_refused(head: Head, kind: str) -> None:
    """D16 to D18, D27, D31: whose fault it is decides what happens next."""
    decision = decide(NOTHING, HERE, Ask(), head)
    assert isinstance(decision, Refuse)
    assert decision.kind == kind


@pytest.mark.parametrize("media", ["video/mp4", "application/octet-stream", "", "text/plain"])
def test_hosts_that_name_a_video_oddly_are_not_refused(media: str) -> None:
    """A wrong type is no reason: the first bytes decide."""
    assert isinstance(decide(NOTHING, HERE, Ask(), Head(200, content_type=media)), Take)


def test_encoded_answers_are_asked_for_once_more() -> None:
    """D19: identity was asked; then the whole is decoded, and nothing of it is gone on with."""
    gzip = Head(200, content_encoding="gzip")
    assert decide(NOTHING, HERE, Ask(), gzip) == Again(Ask(again=True))
    assert decide(NOTHING, HERE, Ask(again=True), gzip) == Decode(NOTHING)
    assert decide(SAVED, HERE, REST, gzip) == Again(replace(REST, again=True))
    assert decide(SAVED, HERE, replace(REST, again=True), gzip) == Again(Ask(again=True))
    for odd in (Head(206, content_encoding="gzip"), Head(200, content_encoding="br")):
        refused = decide(NOTHING, HERE, Ask(again=True), odd)
        assert isinstance(refused, Refuse)
        assert refused.kind == "broken"
    assert isinstance(decide(NOTHING, HERE, Ask(), Head(200, content_encoding="Identity")), Take)


def test_patience_grows_with_the_life_of_an_address() -> None:
    """Decision 5: all times scale with the window."""
    assert [resume.stall_s(s) for s in (0, 8, 400, 86_400, float("inf"))] == [2, 2, 20, 60, 60]


@pytest.mark.parametrize(
    ("ask", "head", "kind", "reason"),
    [
        (Ask(again=True), Head(206, content_encoding="gzip"), "broken",
         "the host encodes the file although it was asked not to"),
        (Ask(), Head(200, content_type="text/html"), "refused",
         "the host answered with a page of text"),
        (Ask(), Head(503), "weather", "the host answered 503"),
        (Ask(), Head(403), "refused", "the host refused the address (403)"),
        (Ask(), Head(302), "broken", "the host answered 302"),
        (Ask(), Head(200, content_length="0"), "corrupt", "the host says that the file is empty"),
        (Ask(), Head(206, content_range="bytes 0-1/2"), "broken",
         "the host answered with a part although the whole was asked"),
    ],
)  # fmt: skip
def test_a_refusal_says_whose_fault_it_is_and_why(
    ask: Ask, head: Head, kind: str, reason: str
) -> None:
    """The reason ends in the report that a person reads."""
    assert decide(SAVED, HERE, ask, head) == Refuse(kind, reason)  # type: ignore[arg-type]


def test_the_whole_file_is_taken_with_all_that_tells_it_from_another() -> None:
    """The date too: a host without ETags is resumed by it."""
    head = Head(200, content_length="9", etag='"two"', last_modified=DATE)
    assert decide(SAVED, HERE, REST, head) == Take(Saved(0, 9, '"two"', DATE, HERE))


def test_a_whole_instead_of_the_rest_is_counted() -> None:
    """And only that."""
    head = Head(200, content_length="9", etag='"two"')
    for ask, more in ((Ask(), 0), (REST, 1)):
        before = counts().get("D08", 0)
        decide(SAVED, HERE, ask, head)
        assert counts().get("D08", 0) - before == more


def test_more_than_four_gib_are_counted_in_whole() -> None:
    """No offset is kept in 32 bits."""
    saved = replace(SAVED, bytes=2**32, total=2**32 + 9)
    ask = Ask(2**32 - OVERLAP_BYTES, if_range='"one"')
    head = Head(
        206, content_range=f"bytes {ask.start}-{2**32 + 8}/{2**32 + 9}", etag='"one"',
        last_modified=DATE,
    )  # fmt: skip
    assert decide(saved, HERE, ask, head) == Append(ask.start, saved)


@pytest.mark.parametrize(
    "mark", [{"etag": 'W/"two"', "last_modified": ""}, {"etag": "", "last_modified": "Tue"}]
)
def test_one_mark_that_differs_is_enough_to_begin_again(mark: dict[str, str]) -> None:
    """What the host leaves out contradicts nothing; what it says does."""
    weak = replace(SAVED, etag='W/"one"')
    ask = resume.witnessed_ask(weak)
    assert decide(weak, HERE, ask, rest(ask, **mark), witnessed=True) == Restart()
    silent = rest(ask, etag="", last_modified="")
    assert isinstance(decide(weak, HERE, ask, silent, witnessed=True), Append)


def test_a_file_that_became_shorter_than_what_is_saved_is_another() -> None:
    """Also where only a stretch of it was asked for, and its length was not known before."""
    saved = replace(SAVED, total=None)
    head = Head(206, content_range=f"bytes 0-9/{CUT - 1}", etag='"one"', last_modified=DATE)
    assert decide(saved, HERE, Ask(0, 10), head) == Restart()
