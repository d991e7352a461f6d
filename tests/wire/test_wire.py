"""What the vendor's door promises about any bytes at all."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.adapters.vendor import values, wire
from archiver.core.model import NEVER, Instant, Readiness, Video
from archiver.errors import BadAnswerError

URL = "https://cdn.example/a?sig=1"
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
FIELDS = (
    "id",
    "title",
    "length",
    "file_size",
    "links",
    "channel",
    "created_at",
    "added_at",
    "protect",
    "status",
    "download_url",
    "expires_at",
    "next",
    "href",
    "paging",
    "videos",
)
ODD: st.SearchStrategy[Any] = st.recursive(
    JSON | st.sampled_from(["1", "0", "", "available", URL, "http://[", "9" * 4000, 10**400, -1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=16,
)


def video(**fields: object) -> Video:
    found = wire.video({"id": "7", "title": "t", **fields})
    assert found is not None
    return found


def expiry(shown: str) -> float:
    body = f'{{"downloadable":{{"status":"available","download_url":"{URL}"{shown}}}}}'
    found = wire.downloadable(body.encode())
    assert found.link is not None
    return found.link.expires_at


@given(st.binary(max_size=200) | ODD.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_get_past_the_parsers(body: bytes) -> None:
    """Whatever arrives, a parser returns or raises BadAnswerError, nothing else."""
    for parse in (wire.downloadable, wire.granted, lambda b: wire.listed(b, "videos")):
        with contextlib.suppress(BadAnswerError):
            parse(body)
    wire.error_word(body)


@given(ODD, st.dictionaries(st.sampled_from(FIELDS), ODD))
def test_no_object_gets_past_the_readers(value: object, fields: dict[str, object]) -> None:
    """A video or channel read from any value is storable: valid UTF-8, an id of 63 bits."""
    for found in (wire.video(value), wire.video({**fields, "id": "5"}), wire.channel(fields)):
        if found is not None:
            assert 0 <= found.id < 2**63
            json.loads(found.raw)
            (found.raw + found.title).encode("utf-8")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b'{"downloadable": {"status": "avail',
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe\x00",
        b"1" * 5_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"downloadable": []}',
        b'{"downloadable": null}',
        b"{}",
    ],
)
def test_no_answer_is_a_bad_answer(body: bytes) -> None:
    """HTML, cut JSON, bottomless nesting and other kinds are one error with a sentence."""
    with pytest.raises(BadAnswerError):
        wire.downloadable(body)


@pytest.mark.parametrize(
    "shown",
    [
        "",
        ',"expires_at":null',
        ',"expires_at":""',
        ',"expires_at":0',
        ',"expires_at":1e30',
        ',"expires_at":NaN',
        ',"expires_at":true',
        ',"expires_at":1e400',
        ',"expires_at":"soon"',
        ',"expires_at":[]',
        ',"expires_at":' + "9" * 400,
    ],
)
def test_an_expiry_that_says_nothing_is_never(shown: str) -> None:
    """Absent, null and nonsensical expiries are NEVER: not "expired now"."""
    assert expiry(shown) == NEVER


@pytest.mark.parametrize(
    "shown",
    [
        "1700000000",
        '"1700000000"',
        "1700000000.0",
        "1700000000000",
        '"1700000000000"',
        '"2023-11-14T22:13:20Z"',
        '"2023-11-14T22:13:20"',
        '"2023-11-14T23:13:20+01:00"',
    ],
)
def test_every_spelling_of_an_expiry_is_understood(shown: str) -> None:
    """Seconds, strings, milliseconds, floats and ISO 8601 mean the same."""
    assert expiry(f',"expires_at":{shown}') == 1_700_000_000


def test_a_duplicate_key_is_no_trouble() -> None:
    """The last of two equal keys counts."""
    assert expiry(',"expires_at":1,"expires_at":1700000000') == 1_700_000_000


@pytest.mark.parametrize(
    ("status", "url", "expected"),
    [
        ("pending", None, "pending"),
        ("unavailable", None, "unavailable"),
        ("processing", URL, "pending"),
        (None, URL, "pending"),
        (1, URL, "pending"),
        ("available", None, "pending"),
        ("available", "", "pending"),
        ("available", "/relative", "pending"),
        (" Available ", URL, "available"),
        ("available", "ftp://host/x", "pending"),
        ("available", "http://[", "pending"),
        ("available", "https://h/" + "x" * 20_000, "pending"),
        ("available", URL, "available"),
    ],
)
def test_only_a_usable_address_is_available(status: object, url: object, expected: str) -> None:
    """Unknown words and unusable addresses mean: not yet."""
    body = json.dumps({"downloadable": {"status": status, "download_url": url}}).encode()
    found = wire.downloadable(body)
    assert found.status == expected
    assert (found.link is not None) == (found.status is Readiness.AVAILABLE)


@pytest.mark.parametrize(
    "bad", [None, "", "../7", "7 ", "-7", 7.5, True, "9" * 20, 2**63, [], "\u0667"]
)
def test_only_digits_are_an_id(bad: object) -> None:
    """An id that could be a path, or overflow the ledger, is no id."""
    assert wire.video({"id": bad}) is None
    assert wire.channel({"id": bad}) is None


def test_the_largest_id_fits() -> None:
    """Ids come as strings or integers, up to 2^63 - 1."""
    for shown in (2**63 - 1, str(2**63 - 1)):
        found = wire.video({"id": shown})
        assert found is not None
        assert found.id == 2**63 - 1


@pytest.mark.parametrize("nothing", [None, 0, "0", "", 0.0])
def test_an_explicit_length_of_nothing_is_a_running_recording(nothing: object) -> None:
    """``length`` present but empty means: still being recorded; absent means nothing."""
    assert video(length=nothing).recording
    assert video(length=nothing).length_s is None
    assert not video().recording
    assert not video(length="12.5").recording


def test_a_video_is_read_as_the_vendor_writes_it() -> None:
    """Numbers in strings, the channel in a link, and every unknown field kept in ``raw``."""
    found = video(
        length="12.5",
        file_size="15924736",
        created_at=1571830966,
        added_at="1571830967",
        protect="private",
        new_field={"deep": [1]},
        title="Grüße 🎬",
        links={"channel": {"href": "https://api.example/channels/23711860.json?x=1"}},
    )
    assert (found.length_s, found.size_bytes) == (12.5, 15_924_736)
    assert found.created_at == Instant(1_571_830_966)
    assert found.added_at == Instant(1_571_830_967)
    assert (found.channel_id, found.protect, found.title) == (23_711_860, "private", "Grüße 🎬")
    assert json.loads(found.raw)["new_field"] == {"deep": [1]}
    assert video(links=[], channel={"id": 5, "title": "C"}).channel_title == "C"
    assert video(links={"channel": {"id": "8"}}, channel={"id": 5}).channel_id == 8
    assert video(title=None).title == ""
    assert video(title=5).title == "5"


def test_raw_survives_lone_surrogates_and_no_numbers() -> None:
    """What is kept can be stored as UTF-8 and read by any JSON reader."""
    page = wire.listed(b'{"videos":[{"id":"1","title":"\\ud800","x":NaN,"y":1e999}]}', "videos")
    found = wire.video(page.objects[0])
    assert found is not None
    found.raw.encode("utf-8")
    assert json.loads(found.raw, parse_constant=pytest.fail)["y"] == "1e999"
    assert found.title == "?"


def test_a_listing_is_read_in_both_dialects() -> None:
    """Objects keyed by id or in a list; ``next`` as a text or an object; ``{}`` for no list."""
    keyed = (
        b'{"channels":{"3":{"id":"3"},"4":{"id":"4"}},"paging":{"next":{"href":"https://a/b?p=2"}}}'
    )
    plain = b'{"channels":[{"id":"3"},{"id":"4"},5],"paging":{"next":"https://a/b?p=2","item_count":"2"}}'
    one, two = wire.listed(keyed, "channels"), wire.listed(plain, "channels")
    assert one.objects == two.objects
    assert one.next == two.next == "https://a/b?p=2"
    assert two.counts == (("item_count", 2),)
    for body in (
        b'{"videos":{}}',
        b'{"videos":[],"paging":[]}',
        b'{"videos":[],"paging":{"next":[]}}',
    ):
        assert wire.listed(body, "videos").objects == ()
        assert wire.listed(body, "videos").next == ""
    with pytest.raises(BadAnswerError):
        wire.listed(b'{"error":"x"}', "videos")


def test_a_channel_says_whether_it_is_shared_and_what_it_is_called() -> None:
    """Shared channels are known by ``authority.reason``; names are the title and the page's."""
    found = wire.channel(
        {
            "id": 3,
            "title": "My Shows",
            "authority": {"reason": "shared"},
            "url": "https://video.example/channel/my-shows",
        }
    )
    assert found is not None
    assert wire.is_shared(found)
    assert wire.names(found) == {"my shows", "my-shows"}
    own = wire.channel({"id": 3, "authority": []})
    assert own is not None
    assert not wire.is_shared(own)


def test_deep_objects_lose_their_raw_not_the_video() -> None:
    """An object too deep to be written again is still a video."""
    deep: dict[str, object] = {"id": "1"}
    for _ in range(100_000):
        deep = {"id": "1", "x": deep}
    assert values.compact(deep) == "{}"
    while deep:  # taken apart by hand: the interpreter's own way down is as deep
        deep = deep.get("x", {})  # type: ignore[assignment]
