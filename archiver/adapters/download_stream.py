"""The rest of a body whose length is known, from the transport straight into a part.

aiohttp made the connection, sent the question and read the head; its pool, TLS checks, proxies and
redirects stay its business.  For the length of the body its protocol on the transport gives way to
one that has the bytes written where they belong: no copy, no wake-up, no object for each read.

Rule 1: after the last byte aiohttp's protocol is back, as if it had read the body itself.
Rule 2: as in ``download_body``: only the time spent waiting for the host counts against it.
Rule 3: a byte beyond the announced length is looked for, and breaks the transfer.
"""

from __future__ import annotations

import asyncio

from aiohttp.client_proto import ResponseHandler

from archiver.adapters.download_body import Body, Pace
from archiver.adapters.download_intake import Intake
from archiver.adapters.download_patience import Patience
from archiver.adapters.download_wire import Answer
from archiver.adapters.http import HEADER_MOST
from archiver.adapters.throttle import Throttle
from archiver.errors import BrokenError, CorruptError, DestinationError, Misfortune
from archiver.met import met
from archiver.ports import Progress

_NOWHERE = memoryview(bytearray(64 * 1024))  # for what may still come after the end of a transfer


class Stream(asyncio.BufferedProtocol):
    """What stands on the transport while the body comes.

    Args:
        handler: aiohttp's own protocol, which gets the transport back.
        left: bytes that are still to come, more than none.
        came: bytes that came just before, through aiohttp.
        is_metered: every read is to be paid for before the next.
    """

    def __init__(
        self,
        answer: Answer,
        handler: ResponseHandler,
        left: int,
        came: int,
        intake: Intake,
        report: Progress,
        pace: Pace,
        stall_s: float,
        *,
        is_metered: bool,
    ) -> None:
        assert handler.transport is not None
        self._answer, self._handler, self._transport = answer, handler, handler.transport
        self._left, self._intake, self._report = left, intake, report
        self._part, self._pace, self._stall_s = intake.part, pace, stall_s
        self._is_metered = is_metered
        self._loop = asyncio.get_running_loop()
        self._patience = Patience(stall_s, self._give_up)
        self._came = came  # since the transfer last looked
        self._wake: asyncio.Future[None] | None = None  # pending while bytes are wanted
        self._error: Misfortune | DestinationError | None = None
        self._is_over = False
        self._end = memoryview(bytearray(2))  # the last byte, where the part's room ends with it
        self._transport.set_protocol(self)
        self._transport.pause_reading()  # until ``run`` wants bytes

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  the room is what there is
        """Where the next bytes belong; with the last of them, room for one that is too many."""
        if self._is_over:
            return _NOWHERE
        room = self._part.room()
        if len(room) != self._left:
            return room[: self._left + 1]
        return room[:-1] if self._left > 1 else self._end

    def buffer_updated(self, count: int) -> None:
        """*count* bytes came."""
        if self._is_over:
            return
        self._patience.heard()
        if count > self._left:
            met("D07", "D29")
            self._break(CorruptError(f"{self._answer.origin} sent more than it had announced"))
            return
        try:
            if len(self._part.room()) == self._left == count:
                self._part.room()[:] = self._end[:1]
            self._intake.filled(count)
        except DestinationError as error:
            self._break(error)
            return
        self._left -= count
        self._came += count
        self._report.received(count)
        if not self._left:
            self._give_back()
            self._look_here()
            return
        sync = self._intake.begin_if_due(self._loop.time())
        if sync is not None:
            sync.add_done_callback(self._synced)
        if self._is_metered or self._intake.is_full:
            self._transport.pause_reading()
            self._look_here()

    def eof_received(self) -> None:
        """The host sends nothing more; ``connection_lost`` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: aiohttp's books have to say so too."""
        self._handler.connection_lost(exc)
        if not self._is_over:
            met("D01", "D04")
            why = type(exc).__name__ if exc else f"{self._left} bytes too early"
            self._break(BrokenError(f"{self._answer.origin} broke off: {why}"))

    async def run(self, throttle: Throttle) -> None:
        """Bring the body to its end; it rests only where the disk cannot follow.

        Raises:
            BrokenError: the host broke off, went silent, or crawls.
            CorruptError: the host sent more than it had announced.
            DestinationError: the disk is full or refuses.
        """
        try:
            while True:
                if await throttle.pay(self._came) and not self._left:
                    met("D35")  # the host is long done; what it sent waits for our own limit
                self._came = 0
                await self._intake.rest()
                if not self._left:
                    return
                await self._until_due()
                if self._left:  # who has brought everything is not sent away for having crawled
                    self._pace.judge(self._patience.waited_s, self._came)
        except BaseException:
            self._is_over = True
            if self._left:  # else it is aiohttp's again, and another question may be on it
                self._transport.abort()
            raise

    async def _until_due(self) -> None:
        """Read until there is something to do; all this time is the host's."""
        if self._error is None:
            self._wake = self._loop.create_future()
            self._transport.resume_reading()
            try:
                with self._patience:
                    await self._wake
            finally:
                self._wake = None
        if self._error is not None:
            raise self._error

    def _give_up(self) -> None:
        met("D02")
        self._break(BrokenError(f"{self._answer.origin}: no byte for {self._stall_s:g} s"))

    def _synced(self, sync: asyncio.Task[None]) -> None:
        """A refusal of the disk ends the transfer, also where no byte comes any more."""
        error = None if sync.cancelled() else sync.exception()
        if isinstance(error, DestinationError) and not self._is_over:
            self._break(error)

    def _break(self, error: Misfortune | DestinationError) -> None:
        self._error, self._is_over = error, True
        self._look_here()

    def _look_here(self) -> None:
        """There is something to do for the transfer."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _give_back(self) -> None:
        """Leave aiohttp's protocol as after a body that it had read itself.

        Its parser is in the middle of a body that it will never see the end of: a new one takes
        what may still come for an answer to nothing, and closes the connection.
        """
        self._handler.set_response_params(max_line_size=HEADER_MOST, max_field_size=HEADER_MOST)
        self._is_over = True
        self._transport.set_protocol(self._handler)
        self._answer.response.content.feed_eof()


async def stream_rest(
    answer: Answer,
    body: Body,
    intake: Intake,
    report: Progress,
    throttle: Throttle,
    stall_s: float,
) -> None:
    """Bring what is left of *body* into the part, where its length is known and more is to come.

    Otherwise nothing happens but that what aiohttp has read already is in the part: the rest comes
    by pieces.

    Raises:
        BrokenError, CorruptError, DestinationError: as ``Stream.run``.
    """
    response = answer.response
    pieces = body.waiting()
    handler = response.connection.protocol if response.connection is not None else None
    if answer.head.length is None or handler is None or handler.transport is None:
        for piece in pieces:
            await throttle.pay(len(piece))
            await intake.put(piece)
        return
    # From here to the exchange nothing is awaited: nothing can come in between.
    for piece in pieces:
        intake.take(piece)
    stream = Stream(
        answer, handler, answer.head.length - body.came, sum(map(len, pieces)), intake, report,
        body.pace, stall_s, is_metered=throttle.is_limited,
    )  # fmt: skip
    await stream.run(throttle)
