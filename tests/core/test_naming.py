"""Names: whatever a title holds, the archive can be copied to any disk and shown anywhere."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archiver.core import naming
from archiver.core.model import ChannelId, Instant, JobKey, Video, VideoId

# Everything Python can hold, lone surrogates and control characters among it.
TEXT = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cs", "Cc", "Cf", "Mn", "Zs", "Zl"]),
        st.sampled_from('.. /\\:*?"<>|%\r\n\x1b\u202e\u200d\u0301\U0001f1e9\U0001f468'),
    ),
    max_size=120,
)
IDS = st.integers(0, 2**63 - 1)
VIDEO = Video(
    VideoId(124347309),
    "Video title",
    added_at=Instant(1571830966.0),
    created_at=Instant(86400.0),
)
TEMPLATES = (naming.TEMPLATE, "{title} [{id}]", "[{id}]", "{date} \U0001f3ac {title}ABCD [{id}]")
NAMES = (
    ("info", "mp4"), ("video", "mp4"), ("caption", "zh-hant-00"),
    ("thumbnail", "webp"), ("details", "json"),
)  # fmt: skip


def test_names_are_those_of_the_public_page() -> None:
    """The names on disk are exactly those that the user's page shows."""
    channel = naming.channel_folder(ChannelId(23711860), "Channel title")
    place = naming.place_for(VIDEO, channel)
    stem = "2019-10-23 Video title [124347309]"
    assert place == naming.Place(f"data/Channel title [23711860]/2019/{stem}", stem)
    assert naming.file_name(stem, "video", "mp4", 1) == f"{stem}.mp4"
    assert naming.file_name(stem, "video", "flv", 2) == f"{stem} v2.flv"
    assert naming.file_name(stem, "info", "mp4", 1) == f"{stem}.info.json"
    assert naming.file_name(stem, "info", "mp4", 2) == f"{stem} v2.info.json"
    assert naming.file_name(stem, "thumbnail", "jpg", 1) == f"{stem}.jpg"
    assert naming.file_name(stem, "caption", "en-00", 1) == f"{stem}.en-00.vtt"
    assert naming.file_name(stem, "chat", "json", 1) == f"{stem}.chat.json"
    assert naming.file_name("channel", "details", "json", 1) == "channel.info.json"
    assert naming.channel_folder(None, "whatever") == "account"


def test_the_date_comes_from_when_the_vendor_added_the_video() -> None:
    """Owners edit ``created_at``; it dates a video only where there is nothing better."""
    assert naming.place_for(replace(VIDEO, added_at=None), "account").stem.startswith("1970-01-02 ")
    for absurd in (None, Instant(float("inf")), Instant(float("nan")), Instant(-5.0)):
        undated = naming.place_for(replace(VIDEO, added_at=absurd, created_at=None), "account")
        assert undated.folder == "data/account/undated/Video title [124347309]"


@pytest.mark.parametrize(
    ("title", "cleaned"),
    [
        ("AC/DC: live", "AC-DC- live"),
        ('"50%" <best> of?*', "50 best of"),
        ("../../etc/passwd", "-..-etc-passwd"),
        ("  two\t lines\r\nand\u2028more. . ", "two lines and more"),
        ("evil\x1b[31m\u202egpj.exe", "evil[31mgpj.exe"),
        ("e\u200b\u0301", "\u00e9"),
        ("\u0301.\u0301x", "x"),
        ("CON", "_CON"),
        ("com\u00b9.txt", "_com\u00b9.txt"),
        ("nul .x", "_nul .x"),
        ("console", "console"),
        ("\ud800\ue000\u0378\u3164\u2800", "untitled"),
        ("", "untitled"),
        ("...", "untitled"),
    ],
)
def test_titles_become_portable(title: str, cleaned: str) -> None:
    """What Windows, macOS, SMB or a terminal trips over does not come into a name."""
    assert naming.clean(title) == cleaned


@pytest.mark.parametrize(
    ("title", "last"),
    [
        ("x" * 78 + "e\u0323\u0301", "x"),  # an accent that has no ready-made letter
        ("x" * 77 + "\U0001f1e9\U0001f1ea", "x"),  # a flag
        ("x" * 76 + "\U0001f44d\U0001f3fd", "x"),  # a thumb and its skin tone
        ("x" * 76 + "\u1112\u119e\u11ab", "x"),  # an old Korean syllable
        ("x" * 79 + "\u00fc", "x"),
        ("\u00fc" * 99, "\u00fc"),
    ],
)
def test_titles_are_cut_between_characters(title: str, last: str) -> None:
    """A cut tears no accent from its letter, no flag and no emoji apart."""
    cut = naming.clean(title)
    assert cut.endswith(last)
    assert len(cut.encode()) <= 80
    assert cut.encode().decode() == cut


def test_a_heap_of_accents_is_cut_somewhere() -> None:
    """One letter with a hundred accents still gives a name."""
    assert 0 < len(naming.clean("a" + "\u0323" * 100).encode()) <= 80


@given(TEXT, TEXT, IDS, IDS, st.booleans(), st.sampled_from(TEMPLATES))
@example("CON.x" * 40, "W" * 200, 2**63 - 1, 2**63 - 1, True, naming.TEMPLATE)
@example("W" * 200, "W" * 200, 2**63 - 1, 2**63 - 1, True, TEMPLATES[-1])
def test_every_name_is_portable(
    title: str, channel_title: str, video_id: int, channel_id: int, dated: bool, template: str
) -> None:
    """No title makes a name that is too long, leaves the archive, or trips a tool."""
    channel = naming.channel_folder(ChannelId(channel_id), channel_title)
    at = VIDEO.added_at if dated else None
    video = Video(VideoId(video_id), title, added_at=at)
    place = naming.Names(naming.parse_template(template)).place_for(video, channel)
    parts = place.folder.split("/")
    assert parts[0] == "data"
    assert parts[1] == channel
    assert len(parts) == 4
    assert parts[3] == place.stem
    for kind, variant in NAMES:
        name = naming.numbered(naming.file_name(place.stem, kind, variant, 999), 2)
        path = f"{place.folder}/{name}"
        assert naming.utf16_units(path) <= naming.PATH_UNITS_MOST
        assert len(name.encode()) <= naming.NAME_BYTES_MOST
        for component in path.split("/"):
            assert_portable(component)
    assert place.stem.endswith(f"[{video_id}]")
    assert channel.endswith(f"[{channel_id}]")


def assert_portable(name: str) -> None:
    """Judge a name without asking the module that made it."""
    assert name == name.strip(" .")
    assert name
    assert unicodedata.is_normalized("NFC", name)
    assert not set(name) & set('<>:"/\\|?*%\r\n')
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn") for char in name)
    device = unicodedata.normalize("NFKC", name.split(".")[0]).strip().upper()
    assert device not in {"CON", "PRN", "AUX", "NUL", "COM1", "COM9", "LPT1", "LPT9"}
    assert "  " not in name


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{title}", "[{id}] once"), ("{id} {title}", "[{id}] once"), ("[{id}] [{id}]", "once"),
        ("{owner} [{id}]", "no other field"), ("{title [{id}]", "no other field"),
        ("{title} {title} [{id}]", "{title} once"),
        ("{title} " + "x" * 30 + "[{id}]", "too long"), ("{date}/{title} [{id}]", "every disk"),
        ("..{title} [{id}]", "every disk"), ("{title}\x1b[{id}]", "every disk"),
    ],
)  # fmt: skip
def test_a_template_that_makes_no_good_names_is_refused(template: str, said: str) -> None:
    """Each with what is wrong; a name without its number could be two videos'."""
    with pytest.raises(ValueError, match=re.escape(said)):
        naming.parse_template(template)


def test_a_title_is_no_template() -> None:
    """What looks like a field in a title stays as it is."""
    video = replace(VIDEO, title="{id} {date}")
    names = naming.Names("{title} [{id}]")
    assert names.place_for(video, "account").stem == "{id} {date} [124347309]"
    assert names.channel_folder(ChannelId(1), "{id}") == "{id} [1]"


@given(TEXT, IDS, IDS)
def test_two_videos_never_share_a_name(title: str, one: int, other: int) -> None:
    """Names differ even where case and compatibility forms are folded."""

    def folded(video_id: int) -> str:
        stem = naming.place_for(Video(VideoId(video_id), title), "account").stem
        return unicodedata.normalize("NFKC", stem).casefold()

    assert (folded(one) == folded(other)) == (one == other)


@given(TEXT)
@example("\x9b31m\u202e\u2066\ud800 \u200d")
def test_display_is_one_harmless_line(text: str) -> None:
    """What is shown cannot move a cursor, colour a line or turn its direction."""
    shown = naming.display(text)
    assert shown.isprintable() or all(
        unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in shown
    )
    assert not set(shown) & set("\x1b\u202e\u2066\u200b\ufeff")
    shown.encode()


def test_what_comes_later_stands_beside_what_there_is() -> None:
    """A revision of an extra is no version of the video."""
    assert naming.file_name("s", "details", "json", 2) == "s r2.info.json"
    assert naming.file_name("s", "thumbnail", "webp", 3) == "s r3.webp"
    assert naming.file_name("s", "caption", "en-00", 2) == "s r2.en-00.vtt"
    assert naming.file_name("s", "info", "mp4", 2) == "s v2.info.json"
    assert naming.numbered("s r2.info.json", 2) == "s r2 (2).info.json"


def test_extensions_come_from_our_list() -> None:
    """No server and no title decides how a file ends."""
    with pytest.raises(ValueError, match="no name"):
        naming.file_name("stem", "video", "exe", 1)
    with pytest.raises(ValueError, match="no name"):
        naming.file_name("stem", "../x", "mp4", 1)
    assert naming.file_name("s", "caption", "../EN_us/..", 1) == "s.enus.vtt"
    assert naming.file_name("s", "caption", "\u4e2d", 1) == "s.und.vtt"


def test_parts_are_named_by_their_key() -> None:
    """A part is found again whatever the title has become."""
    assert naming.part_name(JobKey(VideoId(5))) == "5.mp4.v1.part"
    assert naming.part_name(JobKey(VideoId(5), "caption", "../en", 2)) == "5.en.v2.part"


def test_a_taken_name_is_numbered_before_its_ending() -> None:
    """A second file beside a stranger's keeps an ending that programs know."""
    assert naming.numbered("a b.mp4", 2) == "a b (2).mp4"
    assert naming.numbered("a.info.json", 3) == "a (3).info.json"
    assert naming.numbered("a.en-00.vtt", 2) == "a.en-00 (2).vtt"


@pytest.mark.parametrize(
    "mark",
    ["\u0301", "\u0903", "\u20dd", "\U0001f3fb", "\U0001f3ff", "\u1161", "\u11ff", "\ud7b0",
     "\ud7fb"],
)  # fmt: skip
def test_a_cut_takes_a_letter_with_its_mark(mark: str) -> None:
    """Accents of every kind, skin tones, and the later letters of a Korean syllable."""
    assert naming.clean("a" * 78 + "q" + mark) == "a" * 78
    assert naming.clean("a" * 70 + "q" + mark) == "a" * 70 + "q" + mark


@pytest.mark.parametrize("other", ["\u1200", "\U0001f3fa", "\U0001f400", "\u10ff"])
def test_a_cut_takes_no_neighbour_for_a_mark(other: str) -> None:
    """What stands for itself is left out by itself."""
    assert naming.clean("a" * 78 + "q" + other) == "a" * 78 + "q"


@pytest.mark.parametrize("flag", ["\U0001f1e6" * 2, "\U0001f1ff" * 2])
def test_a_cut_tears_no_flag(flag: str) -> None:
    """Two letters are a flag; the third begins another."""
    assert naming.clean("a" * 73 + flag) == "a" * 73
    assert naming.clean("a" * 72 + flag) == "a" * 72 + flag
    assert naming.clean("a" * 72 + flag + flag) == "a" * 72 + flag
    assert naming.clean("a" * 71 + "q" + flag[0]) == "a" * 71 + "q" + flag[0]
    assert naming.clean("a" * 76 + "q" + flag[0]) == "a" * 76 + "q"


def test_a_letter_under_a_heap_of_accents_keeps_as_many_as_fit() -> None:
    """A title is never cut to nothing."""
    assert naming.clean("q" + "\u0301" * 60) == "q" + "\u0301" * 39


def test_a_name_is_as_long_as_it_may_be() -> None:
    """What fits exactly is not cut, and what does not is cut by no more than it must."""
    assert naming.clean("a" * 81) == "a" * 80
    assert naming.channel_folder(ChannelId(1), "b" * 70) == "b" * 66 + " [1]"
    assert naming.channel_folder(ChannelId(1), None) == "untitled [1]"
    longest = naming.place_for(replace(VIDEO, title="t" * 80), "c" * 70)
    assert longest.stem == f"2019-10-23 {'t' * 24} [124347309]"


@pytest.mark.parametrize(("title", "cleaned"), [("XXL", "XXL"), ("\u0903x", "x"), ("\u20ddx", "x")])
def test_only_marks_dots_and_spaces_are_taken_from_the_beginning(title: str, cleaned: str) -> None:
    """A mark needs a letter to sit on; a letter needs nothing."""
    assert naming.clean(title) == cleaned


def test_a_display_shows_that_something_was_there() -> None:
    """A surrogate is no character; a format character is nothing to see; joiners stay."""
    assert naming.display("a\ud800b\u200bc\u200dd") == "a\ufffdbc\u200dd"


@pytest.mark.usefixtures("far_from_utc")
def test_the_day_of_a_name_is_that_of_utc() -> None:
    """And a time outside of all sense is no day."""
    assert naming.place_for(replace(VIDEO, added_at=Instant(0.5)), "c").stem.startswith(
        "1970-01-01"
    )
    late = replace(VIDEO, added_at=Instant(1571788799.0))
    assert naming.place_for(late, "c").stem.startswith("2019-10-22")
    for absurd in (0.0, 1e11):
        video = replace(VIDEO, added_at=Instant(absurd), created_at=None)
        assert naming.place_for(video, "c").folder.startswith("data/c/undated/")


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{title}", "it needs [{id}] once: the number makes names unique."),
        ("{day} [{id}]", "it knows {date}, {title} once and {id}, and no other field."),
        ("a} [{id}]", "it knows {date}, {title} once and {id}, and no other field."),
        ("y" * 21 + " [{id}]", "it is too long: little room would be left for titles."),
        ("a:b [{id}]", "it has characters that not every disk takes in a name."),
    ],
)
def test_a_template_is_refused_with_the_reason(template: str, sentence: str) -> None:
    """The user sees the sentence."""
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        naming.parse_template(template)


def test_a_template_may_be_as_long_as_there_is_room() -> None:
    """24 units, with a short title and number."""
    assert naming.parse_template("y" * 20 + " [{id}]") == "y" * 20 + " [{id}]"


def test_the_rest_of_a_name_is_bounded_too() -> None:
    """A language or a format is the vendor's text as well."""
    assert naming.file_name("s", "caption", "zh-hant-0-x", 1) == "s.zh-hant-0.vtt"
    assert naming.file_name("s", "caption", "-en-", 1) == "s.-en.vtt"
    assert naming.part_name(JobKey(VideoId(7), variant="a" * 40)) == f"7.{'a' * 32}.v1.part"
    assert naming.part_name(JobKey(VideoId(7), variant="\u00e9")) == "7.und.v1.part"
    assert naming.numbered("s.chat.json", 2) == "s (2).chat.json"
