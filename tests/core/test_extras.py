"""What to ask of a video beside its file, when, and what the answers lead to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archiver.core import extras
from archiver.core.extras import Caption
from archiver.core.model import DAY_S, Instant, Video, VideoId

NOW = Instant(1_800_000_000.0)
HOUR_S = 3_600.0


def video(added_at: float | None, created_at: float | None = None) -> Video:
    def instant(at: float | None) -> Instant | None:
        return None if at is None else Instant(at)

    return Video(VideoId(7), "x", added_at=instant(added_at), created_at=instant(created_at))


def at(days: float) -> Instant:
    return Instant(NOW + days * DAY_S)


def test_everything_is_asked_of_a_young_video_and_nothing_twice() -> None:
    """What was answered already is left out; the order is always the same."""
    young = video(at(-30))
    assert extras.names_to_ask(young, NOW) == extras.NAMES
    assert extras.names_to_ask(young, NOW, {"details", "labels"}) == (
        "captions", "chapters", "custom_metadata", "expiration", "audio_tracks",
    )  # fmt: skip
    assert extras.names_to_ask(young, NOW, extras.NAMES) == ()


@pytest.mark.parametrize(
    ("added_at", "created_at", "asked"),
    [
        (at(-31), None, True),
        (at(-31.1), None, False),
        (at(-31.1), at(-1), False),  # owners edit the date of creation
        (None, at(-1), True),
        (None, at(-400), False),
        (None, None, True),
        (at(3), None, True),
    ],
)
def test_a_deletion_date_is_asked_of_recent_videos_alone(
    added_at: float | None, created_at: float | None, asked: bool
) -> None:
    """The vendor deletes after 30 days: older videos have none."""
    assert ("expiration" in extras.names_to_ask(video(added_at, created_at), NOW)) is asked


def test_extras_are_asked_again_at_four_ages_and_never_after() -> None:
    """Every night for a year: ages of 1, 3, 7 and 30 days, once each."""
    asked_at, nights = at(0), []
    for night in range(1, 365):
        if extras.due_again(asked_at, at(0), at(night)):
            asked_at = at(night)
            nights.append(night)
    assert nights == [1, 3, 7, 30]


def test_a_night_that_begins_a_little_earlier_counts() -> None:
    """Asked at half past two, the next night looks at ten past two."""
    asked_at = Instant(NOW + 0.5 * HOUR_S)
    assert extras.due_again(asked_at, asked_at, Instant(NOW + 24 * HOUR_S))
    assert not extras.due_again(asked_at, asked_at, Instant(NOW + 12 * HOUR_S))


def test_ages_that_nobody_ran_at_are_made_up_for_once() -> None:
    """After a pause of ten days there is one asking, not three."""
    assert extras.due_again(at(0), at(0), at(10))
    assert not extras.due_again(at(10), at(0), at(11))
    assert extras.due_again(at(10), at(0), at(200))
    assert not extras.due_again(at(200), at(0), at(400))


def test_an_age_is_an_instant() -> None:
    """At the age less the slack of a night it is due, a second before it is not; once asked, no."""
    age_at = Instant(NOW + (7 * 24 - 6) * HOUR_S)
    assert extras.due_again(at(4), at(0), age_at)
    assert not extras.due_again(at(4), at(0), Instant(age_at - 1))
    assert not extras.due_again(age_at, at(0), age_at)
    assert not extras.due_again(at(8), at(0), Instant(at(8) + HOUR_S))
    assert not extras.due_again(Instant(at(8) + HOUR_S), at(0), at(8)), "a clock set back a little"
    assert not extras.due_again(Instant(at(40) + 6 * HOUR_S), at(40), at(40))


def test_a_clock_that_was_ahead_does_not_stop_the_asking() -> None:
    """Something asked years from now is asked again."""
    assert extras.due_again(at(900), at(900), NOW)


def test_caption_tracks_are_read_in_every_dialect() -> None:
    """A list or an object keyed by anything; once a language; hidden ones too."""
    tracks = [
        {"language": "en-00", "status": "active", "is_visible": False},
        {"language": "de-DE", "status": "processing"},
        {"language": "en-00", "status": "processing"},
        {"language": "fr-00", "status": "processing"},
        {"language": "fr-00", "status": " Active "},
        {"language": "xx-00"},
    ]
    found = (
        Caption("en-00", True),
        Caption("de-DE", False),
        Caption("fr-00", True),
        Caption("xx-00", False),
    )
    assert extras.captions(json.dumps(tracks)) == found
    assert extras.captions(json.dumps(dict(enumerate(tracks)))) == found
    assert extras.captions_to_fetch(json.dumps(tracks)) == ("en-00", "fr-00")
    assert extras.captions_to_fetch(json.dumps(tracks), {"en-00"}) == ("fr-00",)


@pytest.mark.parametrize(
    "raw", ["", "null", "[]", "{}", "7", '"en"', "[" * 100_000, "[1, null, []]", '{"a": 1}']
)
def test_what_is_no_list_of_captions_leads_nowhere(raw: str) -> None:
    """Nothing raises, whatever was kept."""
    assert extras.captions(raw) == ()
    assert extras.thumbnail(raw) is None


def test_captions_being_made_are_worth_another_night_for_a_month() -> None:
    """They count as missing until the last age."""
    raw = json.dumps([{"language": "ja", "status": "processing"}, {"language": "en"}])
    assert extras.captions_awaited(raw, at(0), at(1)) == ("ja", "en")
    assert extras.captions_awaited(raw, at(0), at(30)) == ("ja", "en")
    assert extras.captions_awaited(raw, at(0), at(30.25)) == ("ja", "en")
    assert extras.captions_awaited(raw, at(0), at(30.3)) == ()


@pytest.mark.parametrize(
    "language",
    ["", ".", "..", "...", "a/b", "..\\x", "e n", "en\r\nX: y", "\x00", "\ud800", "\u202een",
     "x" * 41, None, 7, ["en"]],
)  # fmt: skip
def test_what_is_no_language_is_never_asked_for(language: Any) -> None:
    """It would be a part of an address."""
    assert extras.captions(json.dumps([{"language": language, "status": "active"}])) == ()


@pytest.mark.parametrize(
    "language",
    ["en-00", "en-US", "zh_Hant-00", "e%2f", "日本語", "a?b#c", "x", "XX", "x" * 40, ".a."],
)
def test_odd_languages_are_asked_for_all_the_same(language: str) -> None:
    """The address quotes them."""
    assert extras.is_language(language)


def test_the_largest_thumbnail_is_chosen_by_the_size_in_its_key() -> None:
    """Sizes are numbers, not texts, and what is no web address does not count."""
    addresses = {
        "default": "https://pictures.example/d.jpg",
        "image_640x360": "https://pictures.example/640.jpg",
        "image_1920x1080": "https://pictures.example/1920.jpg?s=1",
        "image_320x180": "https://pictures.example/320.jpg",
        "image_9000x9000": "javascript:alert(1)",
        "image_8000x8000": None,
        "image_7000x7000": "https://[",
        "image_6000x6000": "https://pictures.example/" + "x" * 20_000,
        "image_5000x5000": "/relative.jpg",
    }
    raw = json.dumps({"thumbnail": addresses})
    assert extras.thumbnail(raw) == "https://pictures.example/1920.jpg?s=1"
    assert extras.thumbnail(json.dumps({"thumbnail": {"default": "http://a.example/"}})) == (
        "http://a.example/"
    )
    assert extras.thumbnail(json.dumps({"thumbnail": "https://a.example/x"})) == (
        "https://a.example/x"
    )
    wide = {"a_900x100": "https://a.example/z", "b_100x901": "https://a.example/a"}
    assert extras.thumbnail(json.dumps({"thumbnail": wide})) == "https://a.example/a"
    wide = {"a_9x5": "https://a.example/a", "b_1x6": "https://a.example/z", "c": "https://a.b/z"}
    assert extras.thumbnail(json.dumps({"thumbnail": wide})) == "https://a.example/a"
    first = {"b": "https://a.example/b", "a": "https://a.example/z", "0x0": "https://a.example/zz"}
    assert extras.thumbnail(json.dumps({"thumbnail": first})) == "https://a.example/b"
    longest = "https://a.example/" + "x" * (16 * 1024 - 18)
    assert extras.thumbnail(json.dumps({"thumbnail": longest})) == longest
    for odd in ("ftp://a.example/x", "https:///x", "//a.example/x"):
        assert extras.thumbnail(json.dumps({"thumbnail": odd})) is None
    for nothing in ("{}", "[]", "null", "5", '{"default": ""}'):
        assert extras.thumbnail(f'{{"thumbnail": {nothing}}}') is None


def test_labels_are_told_by_their_names() -> None:
    """As the vendor sends them: an object of objects; what has no name is left out."""
    kept = {
        "800": {"label_id": "800", "label_name": "archive"},
        "801": {"label_name": "\u2714 done"}, "802": {"label_name": ""},
        "803": {"label_name": 7}, "804": "archive",
    }  # fmt: skip
    assert extras.labels(json.dumps(kept)) == ("archive", "\u2714 done")
    assert extras.labels(json.dumps(list(kept.values()))) == ("archive", "\u2714 done")
    assert extras.labels("null") == extras.labels("{") == ()
