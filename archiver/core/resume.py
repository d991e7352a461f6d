"""What to ask of a download host and what to make of its answer, so that no two files are mixed.

Rule 1: bytes are appended only to the beginning of the same file; in doubt it is taken from 0.
Rule 2: a stretch that is saved already is fetched again and compared before anything is appended.
Rule 3: an answer is complete only where its whole length is known from somewhere else than its end.
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
    """Another address: compare both ends and the index first (``witness_spans``)."""


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is saved already."""

    saved: Saved


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer is none; ``kind`` says whose fault it is."""

    kind: Literal["weather", "refused", "broken", "corrupt"]
    reason: str


Decision: TypeAlias = Take | Append | Restart | Again | Witness | Done | Refuse


def first_ask(saved: Saved, source: str) -> Ask | Witness:
    """The first question: the whole file, the rest of it, or a comparison before that.

    Args:
        source: fingerprint of the address that is asked now.
    """
    known = strong(saved.etag) is not None
    if saved.source == source or known:
        return _rest(saved, OVERLAP_BYTES)
    if saved.total is None or saved.last_modified is None or saved.bytes <= WITNESS_BYTES:
        return Ask()
    return Witness()


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
    if head.status == 416 and not ask.is_whole:
        same_size = unsatisfied_total(head.content_range) == saved.bytes
        if same_size and saved.source == source:
            return Done(replace(saved, total=saved.bytes))
        return Restart()
    if head.status == 412 and not ask.is_whole:
        return Restart()
    if head.status not in (200, 206):
        return _refused(head.status)
    if not head.is_plain:
        if ask.again:
            return Refuse("broken", "the host encodes the file although it was asked not to")
        return Again(replace(ask, again=True))
    if head.is_text:
        return Refuse("refused", "the host answered with a page of text")
    if head.status == 200:
        return _whole(saved, source, ask, head)
    return _partial(saved, source, ask, head, witnessed=witnessed)


def _refused(status: int) -> Refuse:
    if status >= 500 or status in _TEMPORARY:
        return Refuse("weather", f"the host answered {status}")
    if status >= 400 and status != 416:
        return Refuse("refused", f"the host refused the address ({status})")
    return Refuse("broken", f"the host answered {status}")


def _whole(saved: Saved, source: str, ask: Ask, head: Head) -> Decision:
    """A 200: the rest was not to be had, or the file changed."""
    if not ask.is_whole:
        met("D08")
    if head.total == 0:
        return Refuse("corrupt", "the host says that the file is empty")
    unchanged = ask.if_range is not None and ask.if_range in (head.etag, head.last_modified)
    if unchanged and not ask.is_whole and head.total in (None, saved.total):
        # Some hosts know ranges, but not If-Range: ask once without it.
        return Again(replace(ask, if_range=None))
    return Take(Saved(0, head.total, head.etag or None, head.last_modified or None, source))


def _partial(saved: Saved, source: str, ask: Ask, head: Head, *, witnessed: bool) -> Decision:
    """A 206: the stretch that was asked for, of the file that was asked for, or nothing."""
    if ask.is_whole:
        return Refuse("broken", "the host answered with a part although the whole was asked")
    span = _span(ask, head)
    if span is None or (span.end < saved.bytes and ask.end is None):
        return Restart()
    if span.total is not None and span.total < saved.bytes:
        return Restart()
    if _differ(span.total, saved.total):
        return Restart()
    same_file = strong(saved.etag) is not None and saved.etag == head.etag
    same_date = saved.last_modified is not None and saved.last_modified == head.last_modified
    same_total = span.total is not None and span.total == saved.total
    joined = saved.source != source
    if joined and not same_file and not (witnessed and same_total and same_date):
        worth = saved.bytes > WITNESS_BYTES and not witnessed
        return Witness() if same_total and same_date and worth else Restart()
    if not same_file and not joined and not _may_continue(saved, head, same_total=same_total):
        return Restart()
    return Append(
        span.start,
        Saved(
            saved.bytes, span.total or saved.total, head.etag or saved.etag,
            head.last_modified or saved.last_modified, source, saved.joined or joined,
        ),
    )  # fmt: skip


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


def _may_continue(saved: Saved, head: Head, *, same_total: bool) -> bool:
    """The same address goes on with the same file, as far as a head can say.

    Nodes of one network may give equal bytes different ETags; the date then is still the same.
    """
    if _differ(saved.last_modified, head.last_modified or None):
        return False
    return same_total or not _differ(saved.etag, head.etag or None)


def _differ(left: object, right: object) -> bool:
    """Both are known and are not the same."""
    return left is not None and right is not None and left != right


def witnesses(saved: Saved, ask: Ask, head: Head) -> bool:
    """A stretch of another address comes from a file of the same length and date."""
    span = _span(ask, head) if head.status == 206 else None
    return (
        head.is_plain
        and span is not None
        and span.total is not None
        and span.total == saved.total
        and head.last_modified == saved.last_modified
    )


def stall_s(window_s: float) -> float:
    """How long no byte may come: 5 % of the time an address lives, from 2 s to a minute."""
    return min(60.0, max(2.0, 0.05 * window_s))
