"""One download: questions to a host until the file is whole, and what each answer is good for.

Rule 1: ``core.resume`` decides what an answer is good for; here it is only carried out.
Rule 2: "no error" is not "complete": a length must be known from somewhere else than the end.
Rule 3: before saved bytes are dropped, the ledger knows that they do not count any more.
An undisturbed download is one GET.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import NoReturn, TypeAlias, assert_never

from archiver.adapters.download_body import Body, Limits
from archiver.adapters.download_decode import DecodedBody
from archiver.adapters.download_intake import Intake
from archiver.adapters.download_stream import stream_rest
from archiver.adapters.download_wire import Answer, Wire, drain
from archiver.adapters.download_witness import closes, witness_spans
from archiver.adapters.throttle import Throttle
from archiver.core import resume
from archiver.core.answer import Ask, strong
from archiver.core.container import is_text
from archiver.core.model import NOTHING, Link, Saved
from archiver.errors import BrokenError, CorruptError, LinkRefusedError, WeatherError
from archiver.met import met
from archiver.ports import Progress

ROUNDS_MOST = 6  # ask, without If-Range, encoded once, compare, start again: and one to spare
_Step: TypeAlias = Ask | resume.Witness | Saved


def fingerprint(url: str) -> str:
    """What tells one address from another without giving its signature away."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Transfer:
    """Questions until the file is whole."""

    def __init__(
        self,
        wire: Wire,
        link: Link,
        intake: Intake,
        report: Progress,
        throttle: Throttle,
        limits: Limits,
        stall_s: float,
    ) -> None:
        self._wire, self._link, self._source = wire, link, fingerprint(link.url)
        self._intake, self._part, self._report = intake, intake.part, report
        self._throttle, self._limits, self._stall_s = throttle, limits, stall_s
        self._witnessed = self._reached = False

    async def run(self) -> Saved:
        step: _Step = resume.first_ask(self._intake.saved, self._source)
        for _ in range(ROUNDS_MOST):
            match step:
                case Saved():
                    return step
                case resume.Witness():
                    self._witnessed = await self._witness()
                    saved = self._intake.saved
                    step = resume.witnessed_ask(saved) if self._witnessed else Ask()
                case Ask():
                    asked = await self._round(step)
                    if asked is None:
                        return await self._end()
                    step = asked
                case _:
                    assert_never(step)
        raise BrokenError("the host never gave the answer that it led us to ask for")

    async def ended_again(self, before: Saved) -> Saved | None:
        """The file, where it broke off at the same byte as the last time and is whole there.

        A host that announces more than it has would be asked for ever.
        """
        offset = self._part.offset
        is_same = self._reached and offset == before.bytes > 0
        if not is_same or not await closes(self._part):
            return None
        met("D07")
        return replace(self._intake.saved, bytes=offset, total=offset, measured=True)

    def _ask(self, ask: Ask) -> AbstractAsyncContextManager[Answer]:
        """One question.  A transfer may take several, and the address may run out in between."""
        if self._wire.clock.now() >= self._link.expires_at:
            met("D16")
            raise LinkRefusedError("the address ran out before the file was whole")
        return self._wire.ask(self._link.url, ask, self._stall_s)

    async def _round(self, ask: Ask) -> _Step | None:
        """One question.  Returns the next, what is saved, or None: a body ended without error."""
        saved = self._intake.saved
        async with self._ask(ask) as answer:
            decision = resume.decide(
                saved, self._source, ask, answer.head, witnessed=self._witnessed
            )
            match decision:
                case resume.Refuse():
                    self._refuse(decision, answer)
                case resume.Again(next_ask):
                    await drain(answer.response, self._stall_s)
                    return next_ask
                case resume.Restart():
                    await drain(answer.response, self._stall_s)
                    return Ask()
                case resume.Witness():
                    return decision
                case resume.Done(done):
                    return done
                case resume.Take(fresh):
                    await self._take(answer, self._body(answer), fresh)
                case resume.Decode(fresh):
                    body = DecodedBody(self._body(answer), answer.origin)
                    await self._take(answer, body, fresh)
                case resume.Append(start, grown):
                    if not await self._append(answer, start, grown):
                        return Ask()
                case _:
                    assert_never(decision)
        return None

    async def _take(self, answer: Answer, body: Body | DecodedBody, fresh: Saved) -> None:
        first = await body.first(resume.SURE_BYTES)
        if is_text(first):  # before anything saved is given up for it
            met("D17", "D18")
            raise LinkRefusedError(f"{answer.origin} answered with a page of text")
        if not first:
            met("D27")
            raise CorruptError(f"{answer.origin}: the file is empty")
        await self._intake.forget()
        self._intake.saved, self._reached = fresh, True
        await self._copy(body, first, answer)

    async def _append(self, answer: Answer, start: int, grown: Saved) -> bool:
        body = self._body(answer)
        first = await body.compare(self._part, start, grown.bytes)
        if first is None:
            met("D12", "D15")  # another file, or another place of it
            return False
        # From here on, and not before, it is known to fit.
        self._intake.saved, self._reached = grown, True
        await self._copy(body, first, answer)
        return True

    async def _copy(self, body: Body | DecodedBody, first: bytes, answer: Answer) -> None:
        total, intake = self._intake.saved.total, self._intake
        if first:
            self._require_room(len(first), answer)
            await intake.put(first)
        if isinstance(body, Body):
            self._require_room(body.left, answer)
            await stream_rest(answer, body, intake, self._report, self._throttle, self._stall_s)
        while piece := await body.piece():
            self._require_room(len(piece), answer)
            await intake.put(piece)
        await intake.settle()
        if total is None:
            met("D06" if answer.head.chunked else "D05")  # an end that proves nothing: see `_end`

    def _require_room(self, count: int, answer: Answer) -> None:
        """The file may become *count* bytes longer."""
        total, most = self._intake.saved.total, self._limits.file_bytes
        most = most if total is None else min(most, total)
        if self._part.offset + count > most:
            met("D29")
            raise CorruptError(f"{answer.origin} sent more than the {most} bytes of the file")

    async def _end(self) -> Saved:
        """The body ended: is it the file's end?"""
        intake, offset = self._intake, self._part.offset
        if intake.saved.total is None:
            intake.saved = replace(intake.saved, total=await self._probe())
        total = intake.saved.total
        if total is None:
            return replace(intake.saved, bytes=offset, total=offset, measured=True)
        if offset < total:
            met("D04")
            raise BrokenError(f"the transfer ended after {offset} of {total} bytes")
        if offset > total:
            raise CorruptError(f"{offset} bytes came of a file of {total}")
        return replace(intake.saved, bytes=offset, total=offset)

    async def _probe(self) -> int | None:
        """Ask how long the file is; None where the host does not say."""
        ask = Ask(0, 1)
        async with self._ask(ask) as answer:
            head = answer.head
            self._refuse_unless_file(ask, answer)
            await drain(answer.response, self._stall_s)
            ours = strong(self._intake.saved.etag)
            if ours is not None and (strong(head.etag) or ours) != ours:
                raise CorruptError(f"{answer.origin}: the file changed under way")
            return head.total if head.is_plain else None

    async def _witness(self) -> bool:
        """Compare what decides whether bytes of two addresses belong to the same file."""
        saved = self._intake.saved
        spans = await witness_spans(self._part, saved, self._source)
        for start, end in spans:
            ask = Ask(start, end, if_range=saved.last_modified)
            async with self._ask(ask) as answer:
                self._refuse_unless_file(ask, answer)
                if not resume.witnesses(saved, ask, answer.head):
                    return False
                body = self._body(answer)
                # The end is read as well, so that the connection can be used again.
                if await body.compare(self._part, start, end) != b"" or await body.piece():
                    return False
        return bool(spans)

    def _body(self, answer: Answer) -> Body:
        return Body(answer, self._report, self._throttle, self._limits, self._stall_s)

    def _refuse_unless_file(self, ask: Ask, answer: Answer) -> None:
        decision = resume.decide(NOTHING, "", ask, answer.head)
        if isinstance(decision, resume.Refuse):
            self._refuse(decision, answer)

    def _refuse(self, refuse: resume.Refuse, answer: Answer) -> NoReturn:
        reason = f"{answer.origin}: {refuse.reason}"
        match refuse.kind:
            case "weather":
                raise WeatherError(answer.origin, reason, self._wire.retry_at(answer))
            case "refused":
                raise LinkRefusedError(reason)
            case "broken":
                raise BrokenError(reason)
            case "corrupt":
                raise CorruptError(reason)
            case _:
                assert_never(refuse.kind)
