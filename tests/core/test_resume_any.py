"""Resuming over every answer a host may give: nothing is appended to what it does not go on."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from archiver.core import resume
from archiver.core.answer import Ask, Head, content_range, strong
from archiver.core.model import Saved
from archiver.core.resume import (
    WITNESS_BYTES,
    Again,
    Append,
    Decision,
    Done,
    Restart,
    Take,
    Witness,
    decide,
    first_ask,
)
from tests.core.test_resume import DATE, HERE, THERE, TOTAL

etags = st.sampled_from(["", '"one"', '"two"', 'W/"one"'])
dates = st.sampled_from(["", DATE, "another day"])
saveds = st.builds(
    Saved,
    bytes=st.integers(0, TOTAL),
    total=st.sampled_from([None, TOTAL, TOTAL - 1]),
    etag=etags.map(lambda x: x or None),
    last_modified=dates.map(lambda x: x or None),
    source=st.sampled_from([HERE, THERE]),
)


@st.composite
def heads(draw: st.DrawFn) -> Head:
    """Any answer, sane or not."""
    start, end = sorted(draw(st.lists(st.integers(0, TOTAL), min_size=2, max_size=2)))
    total = draw(st.sampled_from(["*", str(TOTAL), str(end), "7"]))
    return Head(
        draw(st.sampled_from([200, 206, 206, 206, 416])),
        draw(st.sampled_from(["", str(end - start), "7"])),
        draw(st.sampled_from([f"bytes {start}-{end - 1}/{total}", f"bytes */{end}", ""])),
        draw(etags),
        draw(dates),
    )


@given(saveds, heads(), st.booleans(), st.data())
def test_nothing_is_appended_on_doubtful_evidence(
    saved: Saved, head: Head, witnessed: bool, data: st.DataObject
) -> None:
    """Rule 1 over all answers: start, total, address and marks fit wherever bytes are appended."""
    asked = first_ask(saved, HERE)
    ask = resume.witnessed_ask(saved) if isinstance(asked, Witness) else asked
    if data.draw(st.booleans()):
        found = content_range(head.content_range)
        ask = replace(ask, start=found.start if found else ask.start)
    decision = decide(saved, HERE, ask, head, witnessed=witnessed)
    if isinstance(decision, Append):
        span = content_range(head.content_range)
        assert span is not None
        assert decision.start == span.start == ask.start
        assert span.end >= saved.bytes
        assert None in (span.total, saved.total) or span.total == saved.total
        same_etag = strong(saved.etag) is not None and saved.etag == head.etag
        same_date = saved.last_modified is not None and saved.last_modified == head.last_modified
        joined = saved.source != HERE
        assert not joined or same_etag or (witnessed and same_date and span.total == saved.total)
        assert decision.saved.joined == joined
    elif isinstance(decision, Done):
        assert saved.source == HERE
        assert saved.bytes > 0 or head.content_range == "bytes */0"


class Host:
    """An honest host in memory, with one file."""

    def __init__(self, content: bytes, etag: str, date: str, *, ranges: bool, cond: bool) -> None:
        self.content, self.etag, self.date, self.ranges, self.cond = (
            content,
            etag,
            date,
            ranges,
            cond,
        )

    def answer(self, ask: Ask) -> tuple[Head, bytes]:
        """By RFC 9110, as far as the host knows it."""
        total = len(self.content)
        same = not self.cond or ask.if_range in (None, self.etag, self.date)
        marks = {"etag": self.etag, "last_modified": self.date}
        if ask.is_whole or not self.ranges or not same:
            return Head(200, str(total), **marks), self.content  # type: ignore[arg-type]
        if ask.start >= total:
            return Head(416, content_range=f"bytes */{total}"), b""
        body = self.content[ask.start : ask.end]
        span = f"bytes {ask.start}-{ask.start + len(body) - 1}/{total}"
        return Head(206, str(len(body)), span, **marks), body  # type: ignore[arg-type]


def _fetched(part: bytes, saved: Saved, host: Host) -> bytes:
    """What stands in the part after the decisions were carried out, whole bodies only."""
    asked = first_ask(saved, HERE)
    witnessed = False
    for _ in range(6):
        if isinstance(asked, Witness):
            ask = Ask(0, WITNESS_BYTES, if_range=saved.last_modified)
            head, body = host.answer(ask)
            fits = resume.witnesses(saved, ask, head)
            witnessed = fits and body == part[:WITNESS_BYTES]
            asked = resume.witnessed_ask(saved) if witnessed else Ask()
            continue
        head, body = host.answer(asked)
        decision: Decision = decide(saved, HERE, asked, head, witnessed=witnessed)
        match decision:
            case Take():
                return body
            case Append(start):
                overlap = len(part) - start
                if body[:overlap] == part[start:]:
                    return part + body[overlap:]
                asked = Ask()
            case Again(ask):
                asked = ask
            case Restart():
                asked = Ask()
            case Witness():
                asked = decision
            case _:
                raise AssertionError(decision)
    raise AssertionError("no end")


OLD = random.Random(1).randbytes(WITNESS_BYTES + 300_000)


@given(
    cut=st.integers(1, len(OLD)),
    source=st.sampled_from([HERE, THERE]),
    etag=st.booleans(),
    date=st.booleans(),
    changed=st.booleans(),
    grown=st.integers(0, 1),
    ranges=st.booleans(),
    cond=st.booleans(),
)
def test_the_file_is_always_one_of_the_hosts(
    *, cut: int, source: str, etag: bool, date: bool, changed: bool, grown: int, ranges: bool,
    cond: bool,
) -> None:  # fmt: skip
    """Whatever was saved of an old file, what is fetched is the host's, byte for byte.

    The new file differs everywhere, as a generation anew does; that a small difference within the
    same length, date and address cannot show is the limit of what a client can know.
    """
    new = random.Random(2).randbytes(len(OLD) + grown) if changed else OLD
    host = Host(
        new, ('"two"' if changed else '"one"') if etag else "", DATE if date else "",
        ranges=ranges, cond=cond,
    )  # fmt: skip
    saved = Saved(cut, len(OLD), '"one"' if etag else None, DATE if date else None, source)
    assert _fetched(OLD[:cut], saved, host) == new
