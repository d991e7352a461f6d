"""What to ask of a download host and what to make of its answer, so that no two files are mixed.

Rule 1: bytes are appended only to the beginning of the same file; in doubt it is taken from 0.
Rule 2: a stretch that is saved already is fetched again and compared before anything is appended.
Rule 3: an answer is complete only where its whole length is known from somewhere else than its end.
Rule 4: one strong ETag is one file.  Without it length and date must be equal, and what is saved
is compared at both ends and in its index: at one address as at two.
Sources: RFC 9110 sections 13 to 15 and, for each rule, the misbehaviour of a host seen in the wild.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from archiver.core.answer import Ask, Head, Span, content_range, strong, unsatisfied_total
from archiver.core.model import Saved
from archiver.met import met

OVERLAP_BYTES = 64 * 1024  # compared before every append: a file swapped in between shows here
WITNESS_BYTES = 1024 * 1024  # compared at either end before bytes of two addresses are joined
MOOV_MOST_BYTES = 64 * 1024 * 1024  # a larger index is not worth comparing: start from 0
FOUR_GIB = 1 << 32  # where 32 bits end
SURE_BYTES = 16  # so many bytes tell a video from a page of text
_TEMPORARY = frozenset({407, 408, 425, 429})


@dataclass(frozen=True, slots=True)
class Take:
    """The body is the whole file: forget what is saved and take it."""

    saved: Saved


@dataclass(frozen=True, slots=True)
class Append:
    """The body goes on from ``start``: compare up to what is saved, then append.

    Where the comparison fails, the file is another one: ``Restart``.
    """

    start: int
    saved: Saved


@dataclass(frozen=True, slots=True)
class Restart:
    """What is saved does not fit: ask for the whole file."""


@dataclass(frozen=True, slots=True)
class Again:
    """This answer is of no use, but another question may bring a better one."""

    ask: Ask


@dataclass(frozen=True, slots=True)
class Witness:
    """No strong ETag says that it is the same file: compare both ends and the index first."""


@dataclass(frozen=True, slots=True)
class Decode:
    """The body is the whole file, encoded though it was asked not to be: decode it.

    What comes of it is never gone on with: ``saved`` names no source.
    """

    saved: Saved


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is saved already."""

    saved: Saved


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer is none; ``kind`` says whose fault it is."""

    kind: Literal["weather", "refused", "broken", "corrupt"]
    reason: str


Decision: TypeAlias = Take | Append | Restart | Again | Witness | Decode | Done | Refuse


def first_ask(saved: Saved, source: str) -> Ask | Witness:
    """The first question: the whole file, the rest of it, or a comparison before that.

    Args:
        source: fingerprint of the address that is asked now.
    """
    if strong(saved.etag) is not None:
        return _rest(saved, OVERLAP_BYTES)
    if saved.total is None or saved.bytes <= WITNESS_BYTES:
        return Ask()
    return Ask() if saved.last_modified is None and saved.source != source else Witness()


def witnessed_ask(saved: Saved) -> Ask:
    """The question after ``Witness`` found no difference."""
    return _rest(saved, WITNESS_BYTES)


def _rest(saved: Saved, overlap_bytes: int) -> Ask:
    """From *overlap_bytes* before the end; so little that it is all overlap is not worth it."""
    if saved.bytes <= overlap_bytes:
        return Ask()
    return Ask(saved.bytes - overlap_bytes, if_range=strong(saved.etag) or saved.last_modified)


def decide(saved: Saved, source: str, ask: Ask, head: Head, *, witnessed: bool = False) -> Decision:
    """What the answer *head* to the question *ask* is good for.

    Args:
        source: fingerprint of the address that was asked.
        witnessed: both ends and the index were compared and are equal.
    """
    if head.status in (412, 416) and not ask.is_whole:
        return _unsatisfied(saved, source, head)
    if head.status not in (200, 206):
        return _refused(saved, head.status)
    if not head.is_plain:
        return _encoded(ask, head)
    if head.is_text:
        met("D17", "D18")
        return Refuse("refused", "the host answered with a page of text")
    if head.status == 200:
        return _whole(saved, source, ask, head)
    return _partial(saved, source, ask, head, witnessed=witnessed)


def _unsatisfied(saved: Saved, source: str, head: Head) -> Decision:
    """A 416 or 412: the end of the very file that is saved, or another file."""
    same_size = unsatisfied_total(head.content_range) == saved.bytes
    if head.status == 416 and same_size and saved.source == source:
        met("D10")
        return Done(replace(saved, total=saved.bytes))
    met("D11")
    return Restart()


def _refused(saved: Saved, status: int) -> Refuse:
    if status >= 500 or status in _TEMPORARY:
        met("D31")
        return Refuse("weather", f"the host answered {status}")
    if status >= 400 and status != 416:
        if saved.bytes:  # it was good before
            met("D16")
        return Refuse("refused", f"the host refused the address ({status})")
    return Refuse("broken", f"the host answered {status}")


def _encoded(ask: Ask, head: Head) -> Decision:
    """Ask once more, then for the whole of it, and decode that: some hosts know no other way."""
    met("D19")
    if not ask.again:
        return Again(replace(ask, again=True))
    if not ask.is_whole:
        return Again(Ask(again=True))
    if head.status != 200 or not head.is_gzip:
        return Refuse("broken", "the host encodes the file although it was asked not to")
    return Decode(Saved())


def _whole(saved: Saved, source: str, ask: Ask, head: Head) -> Decision:
    """A 200: the rest was not to be had, or the file changed."""
    if head.total == 0:
        met("D27")
        return Refuse("corrupt", "the host says that the file is empty")
    if not ask.is_whole:
        met("D08")
        unchanged = ask.if_range in (None, head.etag, head.last_modified)
        if unchanged and ask.if_range is not None and head.total in (None, saved.total):
            # Some hosts know ranges, but not If-Range: ask once without it.
            met("D14")
            return Again(replace(ask, if_range=None))
        met("D30" if unchanged else "D12")
    return Take(Saved(0, head.total, head.etag or None, head.last_modified or None, source))


def _partial(saved: Saved, source: str, ask: Ask, head: Head, *, witnessed: bool) -> Decision:
    """A 206: the stretch that was asked for, of the file that was asked for, or nothing."""
    if ask.is_whole:
        return Refuse("broken", "the host answered with a part although the whole was asked")
    span = _span(ask, head)
    if span is None or not _continues(saved, ask, span):
        met("D09")
        return Restart()
    if strong(saved.etag) is None or saved.etag != head.etag:
        if not _may_be_same(saved, source, span, head):
            met("D12")
            return Restart()
        if not witnessed:
            return Witness() if saved.bytes > WITNESS_BYTES else Restart()
        met("D13")
    if span.end > FOUR_GIB:
        met("D38")
    return Append(
        span.start,
        Saved(
            saved.bytes, span.total or saved.total, head.etag or saved.etag,
            head.last_modified or saved.last_modified, source,
            saved.joined or saved.source != source,
        ),
    )  # fmt: skip


def _continues(saved: Saved, ask: Ask, span: Span) -> bool:
    """The stretch reaches beyond what is saved, within a file of the length that is known."""
    if span.end < saved.bytes and ask.end is None:
        return False
    if span.total is not None and span.total < saved.bytes:
        return False
    return saved.total is None or span.total in (None, saved.total)


def _may_be_same(saved: Saved, source: str, span: Span, head: Head) -> bool:
    """Without a strong ETag in common: length and date are known and equal.

    Nodes of one network may give equal bytes different ETags.  At the address that the bytes came
    from, what the host leaves out is no contradiction.
    """
    if span.total is None or span.total != saved.total:
        return False
    if saved.last_modified is not None and saved.last_modified == head.last_modified:
        return True
    return saved.source == source and not _contradicts(saved, head)


def _contradicts(saved: Saved, head: Head) -> bool:
    """The answer has a mark of its own that is not the one that is known."""
    return head.last_modified not in ("", saved.last_modified) or head.etag not in ("", saved.etag)


def _span(ask: Ask, head: Head) -> Span | None:
    """What a 206 holds, where it is what was asked for and does not contradict itself."""
    span = content_range(head.content_range)
    if span is None or span.start != ask.start:
        return None
    if head.length is not None and head.length != span.end - span.start:
        return None
    if ask.end is not None and span.end != ask.end:
        return None
    return span


def witnesses(saved: Saved, ask: Ask, head: Head) -> bool:
    """A stretch to compare comes from a file of the same length and date."""
    span = _span(ask, head) if head.status == 206 else None
    return (
        head.is_plain
        and span is not None
        and span.total is not None
        and span.total == saved.total
        and head.last_modified in ("", saved.last_modified)
    )


def stall_s(window_s: float) -> float:
    """How long no byte may come: 5 % of the time an address lives, from 2 s to a minute."""
    return min(60.0, max(2.0, 0.05 * window_s))
