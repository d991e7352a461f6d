"""A small picture from a host that nobody vouches for: its bytes, and what they really are.

Rule 1: no credential goes there; every hop obeys the policy for downloads (``download_wire``).
Rule 2: the kind comes from the bytes alone, never from an address or a header.
Rule 3: nothing but Misfortune and DestinationError leaves, and no text holds an address's query.
Rule 4: a host of pictures in trouble holds back pictures, not the videos that lie there too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NoReturn

import aiohttp

from archiver.account import Account
from archiver.adapters.address_policy import AddressPolicy
from archiver.adapters.download_body import Body, Limits
from archiver.adapters.download_decode import DecodedBody
from archiver.adapters.download_wire import Answer, Wire
from archiver.adapters.http import origin_of
from archiver.adapters.throttle import Throttle
from archiver.core import picture
from archiver.core.answer import Ask
from archiver.core.model import Saved
from archiver.core.weather import Weather
from archiver.errors import (
    BadAnswerError,
    BrokenError,
    CorruptError,
    LinkRefusedError,
    NotFoundError,
    WeatherError,
)
from archiver.met import met
from archiver.ports import Clock

PICTURE_MOST = 20 * 1024 * 1024  # 1920x1080 without any compression is 6 MiB
TOGETHER = 2  # the session has that many connections beyond those of the videos
PATIENCE_S = 20.0
LIMITS = Limits(stall_s=PATIENCE_S, slow_bytes_s=10_000.0, slow_over_s=30.0)
_NOT_THERE = frozenset({401, 402, 403, 404, 410})
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a picture; ``kind`` is one of ``core.picture.KINDS``."""

    content: bytes
    kind: str


class SmallDownloads:
    """Gets thumbnails, a few at a time.

    Args:
        session: ``adapters.http``'s for downloads, as for ``HttpSource``.
        account: says where a download may go.
        weather: of the run; the gates used are the pictures' own.
        throttle: shared with the videos; None: no limit.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        account: Account,
        clock: Clock,
        weather: Weather,
        throttle: Throttle | None = None,
        *,
        limits: Limits = LIMITS,
    ) -> None:
        self._wire = Wire(session, clock, AddressPolicy.of(account))
        self._clock, self._weather, self._limits = clock, weather, limits
        self._throttle = throttle or Throttle(None, clock)
        self._places = asyncio.Semaphore(TOGETHER)

    async def picture(self, address: str) -> Picture:
        """Get the picture at *address*; asked for once.

        Raises:
            NotFoundError: it is not there, or not for us (401, 402, 403, 404, 410).
            WeatherError: no answer, 408, 425, 429, 5xx, or it broke off.
            BadAnswerError: no picture, too large, or a place where no download may go.
            DestinationError: no more connections can be opened just now.
        """
        async with self._places:
            gate = f"{origin_of(address)} (pictures)"
            if not self._weather.may_try(gate, self._clock.now()):
                at = self._weather.closed_until(gate, self._clock.now())
                raise WeatherError(gate, self._weather.reason(gate), at, sent=False)
            try:
                found = await self._got(address)
            except WeatherError as error:
                self._weather.failed(gate, self._clock.now(), error.retry_at, str(error))
                raise
            except (NotFoundError, BadAnswerError):
                self._weather.succeeded(gate)
                raise
            finally:
                self._weather.let_go(gate)
            self._weather.succeeded(gate)
            return found

    async def _got(self, address: str) -> Picture:
        patience_s = self._limits.patience_s(None)
        try:
            async with self._wire.ask(address, Ask(), patience_s) as answer:
                if answer.head.status != 200:
                    self._refuse(answer)
                content = await self._read(answer)
                is_measured = answer.head.length is not None
        except BrokenError as error:
            raise WeatherError(origin_of(address), str(error)) from error
        except (LinkRefusedError, CorruptError) as error:
            raise BadAnswerError(str(error)) from error
        kind = picture.kind(content)
        if kind is None:
            met("S07")
            raise BadAnswerError(f"{answer.origin}: no picture ({len(content)} bytes)")
        if not is_measured and not picture.is_whole(content):
            raise WeatherError(answer.origin, f"{answer.origin}: the picture was cut off")
        return Picture(content, kind)

    async def _read(self, answer: Answer) -> bytes:
        limits = self._limits
        plain = Body(answer, _Unfollowed(), self._throttle, limits, limits.patience_s(None))
        body = plain if answer.head.is_plain else DecodedBody(plain, answer.origin)
        pieces, length = [], 0
        while piece := await body.piece():
            length += len(piece)
            if length > PICTURE_MOST:
                met("D29")
                raise BadAnswerError(f"{answer.origin}: a picture of more than 20 MiB")
            pieces.append(piece)
        return b"".join(pieces)

    def _refuse(self, answer: Answer) -> NoReturn:
        status = answer.head.status
        reason = f"{answer.origin} answered {status}"
        if status in _NOT_THERE:
            raise NotFoundError(reason)
        if status >= 500 or status in _LATER:
            raise WeatherError(answer.origin, reason, self._wire.retry_at(answer))
        raise BadAnswerError(reason)


class _Unfollowed:
    """Nobody follows a small transfer."""

    def received(self, count: int) -> None:
        """Not counted: these are no bytes of a video."""

    async def durable(self, saved: Saved) -> None:
        """Nothing is durable before the whole is."""
