"""The statement of completeness: it names what is missing, and claims nothing else."""

from __future__ import annotations

from dataclasses import replace

from archiver.core.completeness import Statement, Stays, is_later, statement
from archiver.core.model import Instant, VideoId
from archiver.core.summary import Failure, Listed, Reading, Summary

RUN = Summary(
    Instant(0.0), 61.4, "partial", 1, selected=12, already_archived=8, archived=2, parked=1, gone=1
)
LEFT = [
    Failure(VideoId(7), "A\x1b title", "parked", "the vendor\nsays no", 12),
    Failure(VideoId(8), "Another", "gone", "no longer there", 0),
]
TIMES = Instant(0.0), Instant(9e8)
OF = Statement("an-id", "archiver 1.2.3", RUN, ["account"],
               [Listed("account", 15, Reading.WHOLE)], LEFT)  # fmt: skip


def test_it_says_what_is_archived_and_what_is_not_and_why() -> None:
    """As a records manager reads it."""
    assert statement(OF) == (
        "Statement of completeness\n\n"
        "Archive:   an-id\n"
        "Program:   archiver 1.2.3\n"
        "Run:       1970-01-01T00:00:00Z, 61 s, partial\n"
        "Asked for: account\n\n"
        "account: 15 listed (the whole listing)\n"
        "12 selected, 10 archived, 2 not.\n\n"
        "2 not archived, because:\n"
        "           7  parked      A title: the vendor says no\n"
        "           8  gone        Another: no longer there\n"
    )


def test_nothing_is_missing() -> None:
    """Then nothing is named."""
    text = statement(replace(OF, summary=replace(RUN, archived=4, parked=0, gone=0), left=[]))
    assert text.endswith("12 selected, 12 archived, 0 not.\n")


def test_what_the_vendor_no_longer_lists_is_named_as_staying() -> None:
    """It vanished there, not here."""
    text = statement(replace(OF, stays=[Stays(VideoId(3), "Old")], stays_count=1))
    assert text.endswith(
        "\n\n1 archived, and no longer listed by the vendor: they stay:\n           3  Old\n"
    )


def test_more_than_can_be_named_is_counted() -> None:
    """Of both kinds."""
    text = statement(replace(OF, left=LEFT[:1], stays=[], stays_count=4))
    assert text.count("and 1 more\n") == 1
    assert text.count("and 4 more\n") == 1


def test_a_broken_listing_is_no_claim() -> None:
    """What it missed is not known; the choice among what was listed is told."""
    stopped = replace(RUN, message="Stopped: interrupted.")
    cut = replace(OF, summary=stopped, listed=[Listed("account", 3, Reading.CUT)], is_listed=False,
                  selected_by="--since 2020-01-01T00:00:00Z")  # fmt: skip
    text = statement(cut)
    assert "account: 3 listed (not read to its end)\nThe listing did not come to its end:" in text
    assert "Selected:  --since 2020-01-01T00:00:00Z\n" in text
    assert "\nStopped: interrupted.\n" in text


def test_a_source_in_the_report() -> None:
    """Programs learn whether it was read to its end."""
    assert Listed("channel:1", 2, Reading.RECENT).as_json() == {
        "source": "channel:1", "videos": 2, "whole": False,
    }  # fmt: skip
    assert Listed("account", 2, Reading.WHOLE).as_json()["whole"] is True


def test_the_later_statement_is_told_by_when_its_run_began() -> None:
    """What has no such time is not later than anything, nor is anything later than it."""
    early, late = (statement(replace(OF, summary=replace(RUN, started_at=at))) for at in TIMES)
    assert is_later(late, early)
    assert not is_later(early, late)
    assert not is_later(early, early)
    assert not is_later("a text\n", early)
    assert not is_later(early, "a text\n")
