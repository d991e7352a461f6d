"""The metrics file, as the collector's own parser reads it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parsed

from archiver.core.metrics import exposition
from archiver.core.model import Instant, VideoId
from archiver.core.summary import ApiCalls, Deletion, Summary

START, END = Instant(1_795_435_200.0), Instant(1_795_435_512.4)
NIGHT = Summary(
    START, 312.4, "complete", 0, selected=12, already_archived=8, archived=3, gone=1,
    bytes_downloaded=400, bytes_archived=300, api_calls=ApiCalls(1, 2, 3, 4, 5), expired=6,
    deletion=Deletion(9, (VideoId(1), VideoId(2))),
)  # fmt: skip


def read(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels; none is there twice."""
    each = [sample for family in parsed(text) for sample in family.samples]
    found = {(one.name, frozenset(one.labels.items())): one.value for one in each}
    assert len(found) == len(each)
    return found


def of(text: str, name: str, archive: str = "/srv/videos", **labels: str) -> float | None:
    return read(text).get((f"archiver_{name}", frozenset({"archive": archive, **labels}.items())))


def test_every_figure_of_a_night_is_there() -> None:
    """Each under its name, with its help and its type."""
    text = exposition(NIGHT, "/srv/videos", END, 7, "")
    assert of(text, "last_run_timestamp_seconds") == START
    assert of(text, "last_run_duration_seconds") == 312.4
    assert of(text, "last_run_exit_code") == 0
    assert of(text, "last_run_warnings") == 7
    assert of(text, "last_good_run_timestamp_seconds") == 1_795_435_512
    assert of(text, "last_run_videos", state="archived") == 3
    assert of(text, "last_run_videos", state="already_archived") == 8
    assert of(text, "last_run_videos", state="gone") == 1
    assert of(text, "last_run_videos", state="selected") is None  # a sum would count all twice
    assert of(text, "last_run_bytes", kind="downloaded") == 400
    assert of(text, "last_run_bytes", kind="archived") == 300
    assert of(text, "last_run_api_calls", purpose="poll") == 4
    assert of(text, "last_run_expired") == 6
    assert of(text, "videos_to_be_deleted") == 9
    assert of(text, "videos_not_safe") == 2
    assert {(family.type, bool(family.documentation)) for family in parsed(text)} == {
        ("gauge", True)
    }


def test_the_last_good_night_is_remembered_while_others_fail() -> None:
    """It is what an alarm watches: the age of the last good end."""
    good = exposition(NIGHT, "/srv/videos", END, 0, "")
    late = Summary(START, 1.0, "partial", 1, selected=2, archived=1, remaining=1)
    later = exposition(late, "/srv/videos", Instant(END + 86_400), 0, good)
    assert of(later, "last_good_run_timestamp_seconds") == 1_795_435_512
    assert of(later, "last_run_exit_code") == 1
    refused = Summary(START, 1.0, "refused", 3)
    last = exposition(refused, "/srv/videos", Instant(END + 172_800), 0, later)
    assert of(last, "last_good_run_timestamp_seconds") == 1_795_435_512
    assert of(last, "last_run_videos", state="archived") is None  # nothing is known of them
    assert of(last, "last_run_exit_code") == 3


def test_a_night_that_was_stopped_in_time_is_a_good_one_and_none_is_made_up() -> None:
    """5 goes on by itself; before the first good night there is no figure for it."""
    stopped = Summary(START, 1.0, "stopped", 5, selected=2, remaining=2)
    assert of(exposition(stopped, "a", END, 0, ""), "last_good_run_timestamp_seconds", "a")
    refused = Summary(START, 1.0, "refused", 4)
    text = exposition(refused, "a", END, 0, "nonsense")
    assert of(text, "last_good_run_timestamp_seconds", "a") is None
    # A listing that cannot be believed refuses, too, but knows what was selected.
    known = Summary(START, 1.0, "refused", 1, selected=2, remaining=2)
    assert of(exposition(known, "a", END, 0, ""), "last_run_videos", "a", state="remaining") == 2


def test_a_sample_is_written_as_the_format_has_it() -> None:
    """To the letter: other collectors are stricter than this parser."""
    text = exposition(NIGHT, 'a "b"\\c\nd', END, 0, "")
    label = r'archive="a \"b\"\\c\nd"'
    assert f"archiver_last_run_exit_code{{{label}}} 0\n" in text
    assert f'archiver_last_run_bytes{{{label},kind="archived"}} 300\n' in text
    assert text.endswith("\n")


@given(st.text(st.characters(exclude_categories=["Cs"]).filter(lambda each: each != "\r")))
def test_any_name_of_a_folder_comes_through(archive: str) -> None:
    """Quotes, backslashes and line breaks are no end of a label, nor of the file."""
    text = exposition(NIGHT, archive, END, 0, exposition(NIGHT, archive, END, 0, ""))
    assert of(text, "last_run_exit_code", archive) == 0
    bad = Summary(START, 1.0, "refused", 4)
    kept = exposition(bad, archive, Instant(END + 9), 0, text)
    assert of(kept, "last_good_run_timestamp_seconds", archive) == 1_795_435_512


def test_the_last_good_run_of_another_archive_is_none_of_this_one() -> None:
    """A mistyped --to must not look as if it had been well a moment ago."""
    good = exposition(Summary(START), "a", END, 0, "")
    bad = Summary(START, 1.0, "refused", 4)
    assert of(exposition(bad, "a", END, 0, good), "last_good_run_timestamp_seconds", "a")
    assert of(exposition(bad, "b", END, 0, good), "last_good_run_timestamp_seconds", "b") is None
