"""One document of many answers, and when a later one says something else."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from archiver.core.extras import Playlist
from archiver.core.extras_document import channel_document, composed, is_changed
from archiver.core.model import VideoId

VIDEO = {
    "id": "7",
    "title": "Council",
    "views": "12",
    "stats": {"views": 12},
    "media_urls": [],
    "locks": {"delete": False},
    "thumbnail": {"image_320x180": "https://a.example/7/320.jpg?s=abc"},
    "description": "https://council.example/?item=1",
    "chapters": {},
}
ANSWERS = {
    "details": json.dumps(VIDEO),
    "captions": json.dumps([{"language": "en"}, {"language": "de"}]),
    "chapters": json.dumps([{"id": "1", "title": "A", "position": 0}]),
    "labels": json.dumps({"800": {"label_id": "800", "label_name": "archive"}}),
    "custom_metadata": json.dumps([{"field_id": "71", "value": "Legal"}, {"field_id": 72}, 5]),
    "expiration": json.dumps({"rule": "never"}),
    "audio_tracks": "[]",
    "unknown": "5",
}
FIELDS = json.dumps([{"id": "71", "name": "Department"}, {"field_id": 72, "name": "Class"}, 1])
LISTS = (Playlist(5, "Best", '{"id":"5","x":1}', (VideoId(7), VideoId(8))),)


def document(**changed: Any) -> dict[str, Any]:
    return composed({**ANSWERS, **{name: json.dumps(one) for name, one in changed.items()}}, FIELDS)


def test_a_document_holds_what_was_received_and_names_beside_it() -> None:
    """Only what is known is in it; locks stand in the details."""
    found = composed(ANSWERS, FIELDS, LISTS)
    assert set(found) == {
        "details", "captions", "chapters", "labels", "custom_metadata", "expiration", "locks",
        "audio_tracks", "playlists",
    }  # fmt: skip
    assert found["details"] == VIDEO
    assert found["locks"] == {"delete": False}
    assert found["custom_metadata"] == [
        {"field_id": "71", "value": "Legal", "field_name": "Department"},
        {"field_id": 72, "field_name": "Class"},
        5,
    ]
    assert found["playlists"] == [{"id": "5", "title": "Best"}]
    assert composed({}) == composed({"labels": "null"}) == {}


@pytest.mark.parametrize(
    "fields",
    [
        "null",
        "",
        "[]",
        "7",
        "{}",
        '[{"id": []}]',
        '{"a": {}}',
        '[{"id": "71", "name": null}]',
        '[{"id": [1], "name": "N"}]',
    ],
)
def test_without_field_names_the_metadata_is_as_received(fields: str) -> None:
    """A name that is not known is not made up."""
    for metadata in ([{"field_id": "71"}], {"a": {"field_id": [1]}, "b": 2}, "odd"):
        answers = {"custom_metadata": json.dumps(metadata)}
        assert composed(answers, fields)["custom_metadata"] == metadata


def test_names_are_found_in_an_object_of_fields_and_never_replaced() -> None:
    """Both dialects of lists; what the vendor names itself stays."""
    fields = json.dumps({"x": {"id": 71, "name": "Department"}})
    answers = {"custom_metadata": json.dumps({"a": {"field_id": "71"}, "b": {"field_name": "B"}})}
    assert composed(answers, fields)["custom_metadata"] == {
        "a": {"field_id": "71", "field_name": "Department"},
        "b": {"field_name": "B"},
    }
    answers = {"custom_metadata": json.dumps([{"field_id": "71", "field_name": "The vendor's"}])}
    assert composed(answers, fields)["custom_metadata"][0]["field_name"] == "The vendor's"


def test_a_channel_is_its_details_and_its_playlists_with_their_videos() -> None:
    """Where the playlists were not had, they are not said to be none."""
    raw = '{"id": "1", "title": "T"}'
    assert channel_document(raw, LISTS) == {
        "channel": {"id": "1", "title": "T"},
        "playlists": [
            {"id": "5", "title": "Best", "videos": ["7", "8"], "playlist": {"id": "5", "x": 1}}
        ],
    }
    assert channel_document(raw, None) == {"channel": {"id": "1", "title": "T"}}


@pytest.mark.parametrize(
    "details",
    [
        {"views": "13", "stats": [], "media_urls": {"mp4": "https://x/y?z"}},
        {"thumbnail": {"image_320x180": "https://a.example/7/320.jpg?s=def"}},
        {"chapters": []},
        {"chapters": None, "schedule": None},
    ],
)
def test_what_moves_by_itself_is_no_change(details: dict[str, Any]) -> None:
    """Views, signatures, and empty things of another kind."""
    assert not is_changed(document(), document(details={**VIDEO, **details}))


@pytest.mark.parametrize(
    "changed",
    [
        {"details": {**VIDEO, "title": "Council, part 1"}},
        {"details": {**VIDEO, "description": "https://council.example/?item=2"}},
        {"details": {**VIDEO, "thumbnail": {"image_320x180": "https://a.example/8/320.jpg"}}},
        {"details": {**VIDEO, "locks": {"delete": True}}},
        {"captions": [{"language": "en"}]},
        {"chapters": [{"id": "1", "title": "A", "position": 5}]},
        {"labels": {}},
        {"custom_metadata": [{"field_id": "71", "value": "https://x.example/?a=1"}]},
        {"expiration": {"rule": "at_given_time", "expires_at": 5}},
        {"audio_tracks": [{"id": "1"}]},
    ],
)
def test_what_a_person_changed_is_a_change(changed: dict[str, Any]) -> None:
    """Each part is looked at."""
    assert is_changed(document(), document(**changed))
    assert is_changed(document(**changed), document())


def test_an_address_that_a_person_entered_counts_whole() -> None:
    """A query in custom metadata is no signature."""
    first, second = (
        document(custom_metadata=[{"field_id": "71", "value": f"https://x.example/?a={number}"}])
        for number in range(2)
    )
    assert is_changed(first, second)


def test_addresses_lose_their_signature_and_nothing_else() -> None:
    """Host and path count, the query does not, wherever in the details the address stands.

    Of a picture of the vendor's the path alone counts: another of its hosts serves the same one.
    """

    def changed(before: str, after: str) -> bool:
        first, second = ({**VIDEO, "owner": {"pictures": [one]}} for one in (before, after))
        return is_changed(document(details=first), document(details=second))

    for scheme in ("http", "https"):
        assert not changed(f"{scheme}://a.example/p?x=1?y", f"{scheme}://a.example/p?z")
        assert not changed(f"{scheme}://a.example/p?x", f"{scheme}://a.example/p")
        assert changed(f"{scheme}://a.example/p?x", f"{scheme}://b.example/p?x")
        assert changed(f"{scheme}://a.example/p?x", f"{scheme}://a.example/q?x")
    for name in ("thumbnail", "picture"):
        texts = [
            {**VIDEO, name: {"image_320x180": f"https://{number}.example/p?x", "hosts": ["a"]}}
            for number in range(2)
        ]
        assert not is_changed(document(details=texts[0]), document(details=texts[1]))
        texts[1][name] = {"image_320x180": "https://1.example/q", "hosts": ["a"]}
        assert is_changed(document(details=texts[0]), document(details=texts[1]))
    assert changed("ftp://a.example/p?x", "ftp://a.example/p?y")
    assert changed("Who? Us", "Who? Them")
    texts = [{**VIDEO, "description": [f"https://a.example/?{number}"]} for number in range(2)]
    assert is_changed(document(details=texts[0]), document(details=texts[1]))


def test_the_order_of_keys_is_no_change() -> None:
    """JSON's objects have none."""
    again = document(details=dict(reversed(VIDEO.items())))
    assert list(again["details"]) != list(VIDEO)
    assert not is_changed(document(), again)
    odd = [{"language": {"a": 1, "b": 2}}, {"language": {"a": 1, "b": 1}}]
    turned = [{"language": dict(reversed(each["language"].items()))} for each in reversed(odd)]
    assert not is_changed(document(captions=odd), document(captions=turned))


def test_the_order_of_tracks_and_lists_is_no_change() -> None:
    """A list whose order means nothing may come in another."""
    labels = [{"label_name": name, "label_id": number} for name, number in (("a", 2), ("b", 1))]
    assert not is_changed(document(labels=labels), document(labels=labels[::-1]))
    tracks = [{"a": name, "id": number} for name, number in (("a", "2"), ("b", "1"))]
    assert not is_changed(document(audio_tracks=tracks), document(audio_tracks=tracks[::-1]))
    again = document(captions=[{"language": "de"}, {"language": "en"}])
    assert not is_changed(document(), again)
    mixed = document(captions=["x", {"language": "en"}, {"language": "de"}])
    assert not is_changed(mixed, document(captions=[{"language": "de"}, {"language": "en"}, "x"]))
    reordered = document(chapters=[{"id": "2"}, {"id": "1"}])
    assert is_changed(document(chapters=[{"id": "1"}, {"id": "2"}]), reordered)


def test_more_is_a_change_and_less_is_none() -> None:
    """An answer that was not had this time takes nothing back."""
    whole = composed(ANSWERS, FIELDS, LISTS)
    less = copy.deepcopy(whole)
    for name in ("labels", "playlists", "expiration"):
        del less[name]
    assert is_changed(less, whole)
    assert not is_changed(whole, less)
    assert not is_changed({**whole, "id": "7", "archive": {"x": 1}}, whole)


def test_channels_are_compared_too() -> None:
    """A video that joined a playlist is a change; a counter is none."""
    raw = json.dumps({"id": "1", "stats": {"followers": 5}})
    before = channel_document(raw, LISTS)
    assert not is_changed(before, channel_document('{"id": "1"}', LISTS))
    more = (Playlist(5, "Best", LISTS[0].raw, (VideoId(7),)),)
    assert is_changed(before, channel_document(raw, more))
    assert is_changed(before, channel_document('{"id": "1", "title": "New"}', None))


def test_a_document_from_anybody_is_compared_without_a_surprise() -> None:
    """A sidecar is a file: who nests it deeper than any reader goes gets a new one beside it."""
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"x": deep}
    assert is_changed({"details": deep}, document())
    assert not is_changed({"details": deep}, {"details": deep})


def test_numbers_that_json_cannot_say_again_are_kept_as_texts() -> None:
    """Nobody who reads our files meets an infinity."""
    found = composed({"labels": '{"a": 1e999, "b": NaN, "c": -1e999, "d": 1.5, "e": Infinity}'})
    assert found["labels"] == {"a": "1e999", "b": None, "c": "-1e999", "d": 1.5, "e": None}


def test_kept_text_that_is_no_json_says_nothing() -> None:
    """A damaged row of the ledger is as good as none."""
    assert composed({"labels": "{", "chapters": "[" * 100_000}) == {}
