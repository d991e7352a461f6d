"""What the user asks for is understood, or refused with a sentence that helps."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.model import ChannelId, Instant, Video, VideoId
from archiver.core.selection import (
    ALL,
    AccountSource,
    ChannelSource,
    Filter,
    PlaylistSource,
    Source,
    VideoSource,
    parse_moment,
    parse_pattern,
    parse_share,
    parse_size,
    parse_source,
    parse_span,
    read_sources,
    unique,
)

VIDEO = VideoSource(VideoId(124347309))
DAY = 86_400.0
NOW = Instant(1_795_435_200.0)  # 2026-11-23T12:00:00Z


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("account", AccountSource()),
        (" Account ", AccountSource()),
        ("124347309", VIDEO),
        ("0124347309", VIDEO),
        ("video:124347309", VIDEO),
        ("VIDEO:124347309", VIDEO),
        ("channel:23711860", ChannelSource(ChannelId(23711860))),
        ("channel:my-channel", ChannelSource("my-channel")),
        ("playlist:7", PlaylistSource(7)),
        ("https://video.ibm.com/recorded/124347309", VIDEO),
        ("http://www.ustream.tv/recorded/124347309/highlight/1", VIDEO),
        ("https://video.ibm.com/embed/recorded/124347309?autoplay=1", VIDEO),
        ("video.ibm.com/recorded/124347309#top", VIDEO),
        ("HTTPS://VIDEO.IBM.COM/recorded/124347309/", VIDEO),
        ("https://ustream.tv/channel/23711860", ChannelSource(ChannelId(23711860))),
        ("https://www.ustream.tv/channel/id/23711860", ChannelSource(ChannelId(23711860))),
        ("https://video.ibm.com/channel/caf%C3%A9-tv", ChannelSource("café-tv")),
        ("https://video.ibm.com/embed/23711860", ChannelSource(ChannelId(23711860))),
    ],
)
def test_every_way_of_naming_a_source_is_understood(text: str, source: Source) -> None:
    """A noun, a number or the address of a page names the same thing."""
    assert parse_source(text) == source


@pytest.mark.parametrize(
    "text",
    [
        "", "accounts", "video:", "video:x", "video:-1", "video:0", "0", "12345678901234567890",
        "channel:", "channel:a b", "channel:99999999999999999999", "channel:a/b", "playlist:best",
        "https://example.com/recorded/124347309", "https://video.ibm.com.evil.example/recorded/1",
        "ftp://video.ibm.com/recorded/1", "https://video.ibm.com/", "https://video.ibm.com/login",
        "https://video.ibm.com/recorded/x", "https://[video.ibm.com/recorded/1", "\uff11\uff12",
        "file:///etc/passwd", "\x1b[2J", "x" * 5_000,
    ],
)  # fmt: skip
def test_what_is_no_source_is_refused_in_one_short_line(text: str) -> None:
    """Nonsense never becomes a source, and the complaint cannot steer a terminal."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse_source(text)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 250


def test_a_pasted_signature_is_not_repeated() -> None:
    """What stands behind a ``?`` may be a secret, and does not come back in the complaint."""
    with pytest.raises(ValueError, match="no source") as caught:
        parse_source("https://cdn.example/file.mp4?signature=canary")
    assert "canary" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_source_or_a_value_error(text: str) -> None:
    """Nothing that can be typed breaks the parser, and what it understood it writes back."""
    try:
        source = parse_source(text)
    except ValueError:
        return
    assert parse_source(str(source)) == source


def test_sources_write_themselves_as_they_are_read() -> None:
    """Each source's text names it again."""
    for source in (AccountSource(), ChannelSource("x"), PlaylistSource(3), VIDEO):
        assert parse_source(str(source)) == source


def test_repeated_sources_count_once() -> None:
    """The first mention decides the order; another spelling is no other source."""
    texts = ("124347309", "account", "video:124347309", "account")
    assert unique(map(parse_source, texts)) == (VIDEO, AccountSource())


def test_a_file_of_sources_has_comments_and_empty_lines() -> None:
    """A byte order mark, comments, spaces and foreign line ends are no sources."""
    text = "\ufeff# ours\r\n\r\n  account   # all\n124347309\nvideo.ibm.com/recorded/1#x\n\t\n"
    assert read_sources(text) == ("account", "124347309", "video.ibm.com/recorded/1#x")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("6h", 21_600), ("30d", 30 * DAY), ("2w", 14 * DAY),
     ("1.5 h", 5_400), ("6H", 21_600), ("0", 0)],
)  # fmt: skip
def test_spans_of_time(text: str, seconds: float) -> None:
    """A number alone is seconds; a letter is the unit."""
    assert parse_span(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("500", 500), ("800k", 819_200), ("20M", 20 * 1024**2), ("20MB", 20_000_000),
     ("1.5GiB", 3 * 2**29), ("1 b", 1), ("2T", 2 * 1024**4), ("1P", 1024**5)],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    """A letter counts by 1024, as in rclone and curl; with a B alone, by 1000."""
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("100 %", 1.0), ("2.5", 0.025)])
def test_shares(text: str, share: float) -> None:
    """A share is a percentage."""
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("parse", "texts"),
    [
        (parse_span, ["", "h", "-1h", "6 hours", "nan", "1e9", "1" * 400, "99999d"]),
        (parse_size, ["", "M", "0", "-5M", "20 megs", "0.5", "9999999P", "inf"]),
        (parse_share, ["", "0%", "101%", "-5%", "half"]),
        (parse_pattern, ["(", "[a", "*"]),
    ],
)
def test_nonsense_is_refused(parse: object, texts: list[str]) -> None:
    """No number with a known unit, no value."""
    for text in texts:
        with pytest.raises(ValueError, match=r"is no "):
            parse(text)  # type: ignore[operator]


def test_dates_and_ages() -> None:
    """A day begins in UTC and, as an end, is included; an age counts back from now."""
    day = Instant(1_795_392_000.0)  # 2026-11-23T00:00:00Z
    assert parse_moment("2026-11-23", NOW) == day
    assert parse_moment("20261123", NOW, end=True) == day + DAY
    assert parse_moment("2026-11-23T12:00:00Z", NOW, end=True) == NOW
    assert parse_moment("2026-11-23T13:00+01:00", NOW) == NOW
    assert parse_moment("2026-11-23 12:00", NOW) == NOW
    assert parse_moment("30d", NOW, end=True) == NOW - 30 * DAY


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "30", "9999-12-31", "0d ago"])
def test_what_is_no_date_is_refused(text: str) -> None:
    """A bare number has no unit, and a date beyond the calendar is none."""
    with pytest.raises(ValueError, match="is no"):
        parse_moment(text, NOW, end=True)


VIEW = Video(VideoId(1), "Town hall 2019", created_at=Instant(5.0), added_at=Instant(10.0))


def test_dates_look_at_what_owners_cannot_edit() -> None:
    """``added_at`` decides; ``created_at`` only where there is no other."""
    assert Filter(since=Instant(10.0)).admits(VIEW)
    assert not Filter(until=Instant(10.0)).admits(VIEW)
    assert not Filter(since=Instant(10.1)).admits(VIEW)
    old = replace(VIEW, added_at=None)
    assert Filter(until=Instant(10.0)).admits(old)
    assert not Filter(since=Instant(6.0), until=Instant(10.0)).admits(old)


def test_doubt_keeps_a_video() -> None:
    """A video without a date, or without a word on who may see it, is not filtered out."""
    vague = replace(VIEW, added_at=None, created_at=None)
    assert Filter(since=NOW, until=NOW, protect="private").admits(vague)


def test_public_and_private() -> None:
    """Both are archived unless told otherwise."""
    private = replace(VIEW, protect="private")
    assert ALL.admits(private)
    assert Filter(protect="private").admits(private)
    assert not Filter(protect="public").admits(private)


def test_a_pattern_is_searched_for_in_the_title() -> None:
    """Anywhere in the title, with capitals as they stand."""
    assert Filter(match=parse_pattern("hall 20[0-9]+$")).admits(VIEW)
    assert not Filter(match=parse_pattern("^hall")).admits(VIEW)
    assert Filter(match=re.compile("TOWN", re.IGNORECASE)).admits(VIEW)


def test_an_open_filter_says_so() -> None:
    """Whoever finds nothing may then blame the listing."""
    assert ALL.is_open
    assert not Filter(limit=3).is_open


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("channel", "'channel' is no source; known are "),
        ("https://video.ibm.com/a/b?token=s",
         ("'https://video.ibm.com/a/b' is no page of a video or a channel: "
         "those have /recorded/ID or /channel/ID-or-name.")),
        ("https://video.ibm.com/channel/a%20b",
         "'https://video.ibm.com/channel/a%20b' names no channel: give its number or its name."),
        ("https://video.ibm.com/embed/abc",
         "'https://video.ibm.com/embed/abc' needs a number, as in video:124347309."),
        ("video:" + "x" * 74, f"'video:{'x' * 74}' needs"),
        ("video:" + "x" * 75, f"'video:{'x' * 71}...' needs"),
        ("a?b?c", "'a' is"),
    ],
)  # fmt: skip
def test_a_refusal_quotes_what_was_said_and_says_what_would_do(text: str, sentence: str) -> None:
    """Short, and without what stands behind a question mark."""
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        parse_source(text)


def test_a_name_may_have_a_colon() -> None:
    """The first one parts the noun from it."""
    assert parse_source("channel:a:b") == ChannelSource("a:b")
    assert str(parse_source("account")) == "account"


def test_an_exbibyte_is_still_a_size() -> None:
    """One byte more is a slip of the finger."""
    assert parse_size("1048576T") == 2**60
    with pytest.raises(ValueError, match="size"):
        parse_size("1152921504606848000")


@pytest.mark.usefixtures("far_from_utc")
def test_a_time_without_a_zone_is_utc_and_units_may_be_capitals() -> None:
    """The same command means the same on every machine."""
    assert parse_moment("2026-11-23T12:00:00", NOW) == NOW
    assert parse_moment("30D", NOW) == NOW - 30 * DAY
