"""The bag's texts: what RFC 8493 asks for, and nothing that a validator trips over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core import bag
from archiver.core.model import NEVER, Instant

SHA = "0123456789abcdef" * 4


def test_manifest_lines_are_those_of_sha256sum() -> None:
    """`sha256sum -c` reads a line: hash, two spaces, path."""
    assert bag.manifest_line(SHA, "data/a b.mp4") == f"{SHA}  data/a b.mp4\n"


@pytest.mark.parametrize("path", ["", "data/50%", "data/a\nb", "data/a\rb", "data\\a"])
def test_a_path_that_needs_encoding_is_a_bug(path: str) -> None:
    """What validators disagree about never gets into a manifest."""
    with pytest.raises(ValueError, match="no manifest can hold"):
        bag.manifest_line(SHA, path)


@pytest.mark.parametrize("sha256", ["", "abc", SHA.upper(), SHA + "0"])
def test_a_hash_that_is_none_is_a_bug(sha256: str) -> None:
    """A manifest holds 64 lowercase hexadecimal digits a line."""
    with pytest.raises(ValueError, match="not a SHA-256"):
        bag.manifest_line(sha256, "data/a")


@given(st.text(st.characters(exclude_characters="%*\r\n\\", exclude_categories=["Cs"]), min_size=1))
def test_lines_come_back(path: str) -> None:
    """What was written is what is read."""
    assert bag.parse_line(bag.manifest_line(SHA, path.strip() or "x")) == (SHA, path.strip() or "x")


def test_lines_of_other_tools_are_understood() -> None:
    """`sha256sum -b` puts an asterisk before the path; nonsense is no line."""
    assert bag.parse_line(f"{SHA.upper()} *data/a\r\n") == (SHA, "data/a")
    assert bag.parse_line("nonsense") is None


def test_bag_info_counts_bytes_and_files() -> None:
    """The Payload-Oxum is bytes.count; fields are one line each and sorted."""
    info = bag.bag_info(
        2, 30, Instant(86400.0), "archiver 1", {"Contact-Email": "a@b\nEvil: x", "Contact-Name": ""}
    )
    assert info == (
        "Bag-Software-Agent: archiver 1\nBagging-Date: 1970-01-02\n"
        "Contact-Email: a@b Evil: x\nPayload-Oxum: 30.2\n"
    )
    assert "Bagging-Date: 1970-01-01" in bag.bag_info(0, 0, NEVER, "a")


def test_the_date_alone_makes_no_new_bag() -> None:
    """Two bags that differ in their date only compare equal without it."""
    one, other = (bag.bag_info(1, 1, Instant(day * 86400.0), "a") for day in (1, 2))
    assert one != other
    assert bag.undated(one) == bag.undated(other)


def test_the_tag_manifest_is_sorted() -> None:
    """The same bag gives the same text."""
    text = bag.tag_manifest({"b": SHA, "a": SHA})
    assert text == f"{SHA}  a\n{SHA}  b\n"


def test_only_the_end_of_a_line_is_taken_from_a_name() -> None:
    """A name may end in a space, or in any letter."""
    assert bag.parse_line(f"{SHA}  a \r\n") == (SHA, "a ")
    assert bag.parse_line(f"{SHA}  aX\n") == (SHA, "aX")


def test_everything_but_the_date_stays() -> None:
    """Two bags that differ in the day alone are the same."""
    info = "Bag-Software-Agent: x\nBagging-Date: 2026-11-23\nPayload-Oxum: 1.1\n"
    assert bag.undated(info) == "Bag-Software-Agent: x\nPayload-Oxum: 1.1\n"


def test_whose_archive_it_is() -> None:
    """By the names of RFC 8493; what nobody told is not said, and the bag itself tells it again."""
    told = bag.Contact("Town of \u00c5", "A. Clerk", "clerk@town.example", "", None)
    assert told.fields == {
        "Source-Organization": "Town of \u00c5", "Contact-Name": "A. Clerk",
        "Contact-Email": "clerk@town.example", "Contact-Phone": "",
    }  # fmt: skip
    assert bag.Contact(description="Meetings").fields == {"External-Description": "Meetings"}
    assert bag.NO_NEWS.fields == {}
    info = bag.bag_info(1, 2, Instant(0.0), "archiver 1", told.fields)
    spoken = {name: text for name, text in told.fields.items() if text}
    assert bag.contact_in(info + "no field\nOther: one\n") == spoken
