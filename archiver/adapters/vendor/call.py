"""One call of the API, from the queue to the judged answer.

Rule 1: a call goes out only with a place of the rate, a valid token and an open gate.
Rule 2: a 401 renews the token once and replays the call once; more is the person's turn.
Rule 3: no redirect is followed and no address of an answer is called: the token stays at home.
Rule 4: who may be blamed is decided here: the weather, the file, the answer or the credentials.
Rule 5: of ten calls one may fail; who fails more goes one by one (``core.thrift``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from archiver.account import Account
from archiver.adapters.causes import refusal
from archiver.adapters.clock import WaitingClock
from archiver.adapters.descriptors import NO_MORE
from archiver.adapters.http import origin_of, read_body
from archiver.adapters.vendor import trouble, wire
from archiver.adapters.vendor.gates import Gates, PartError
from archiver.adapters.vendor.pace import SOON_S, Pace, Place, Purpose
from archiver.adapters.vendor.token import TokenSource
from archiver.core import thrift
from archiver.core.model import Instant
from archiver.core.weather import Trouble, Weather
from archiver.errors import (
    AuthError,
    BadAnswerError,
    DeniedError,
    NotFoundError,
    WeatherError,
)
from archiver.met import met
from archiver.ports import Allowance

PATIENCE_S = 5.0  # a step waits this long for the rate; longer waits belong to the plan
RATE_CALM_S = 90.0  # a limit is met again every period: one line for all of it
OUTSIDE = frozenset({407, 408, 425, 429})  # beside 3xx and 5xx: not the call's fault
WITHOUT_EFFECT = frozenset({407, 425, 429, 503})  # refused before anything was done, as are 3xx


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the body (None: too long) and when to come again."""

    status: int
    body: bytes | None
    retry_at: Instant | None

    @property
    def had_effect(self) -> bool:
        """The vendor may have done what was asked, though it did not say so."""
        return not (300 <= self.status < 400 or self.status in WITHOUT_EFFECT)

    @property
    def is_weather(self) -> bool:
        """The host or something on the way is in trouble (a login page redirects)."""
        away = self.status >= 500 or 300 <= self.status < 400 or self.status in OUTSIDE
        return away or self.is_page

    @property
    def is_error(self) -> bool:
        """It is weather that may be one part's of the API alone."""
        return self.status >= 500 or self.is_page

    @property
    def is_page(self) -> bool:
        """A page for people, whatever the status: from somebody on the way, not the vendor."""
        return self.body is not None and self.body[:1_000].lstrip()[:1] == b"<"

    @property
    def how(self) -> str:
        """In what way it is weather, in words without a body, an address or a secret."""
        if self.status == 429:
            return "its rate limit is used up"
        page = self.is_page and self.status < 300
        return "it answered with a web page" if page else f"it answered {self.status}"


class Caller:
    """Sends calls, at most *requests* at a time and half of them polls."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        account: Account,
        tokens: TokenSource,
        pace: Pace,
        weather: Weather,
        clock: WaitingClock,
        requests: int,
    ) -> None:
        self._session, self._tokens = session, tokens
        self._pace, self.weather, self.clock = pace, weather, clock
        self._address = account.api_url.rstrip("/")
        self.host = origin_of(account.api_url)
        self._most = max(1, requests)
        self._calls = asyncio.Semaphore(self._most)
        self._polls = asyncio.Semaphore(max(1, self._most // 2))
        self._entered = 0  # calls that wait or are under way
        self._thrift = thrift.Thrift()

    async def call(
        self,
        method: str,
        path: str,
        purpose: Purpose,
        params: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
        part: str = "",
    ) -> bytes:
        """Do one call and return the body of its success.

        Args:
            path: from the API's root, already percent-encoded.
            patience_s: how long to wait for the rate limit before giving the call back.
            part: a part of the API whose errors hold back its own calls alone.

        Raises:
            WeatherError, NotFoundError, DeniedError, BadAnswerError, AuthError.
        """
        address = self._address + path + (f"?{urlencode(params)}" if params else "")
        gates = self.gates(part)
        self._entered += 1
        try:
            async with AsyncExitStack() as places:
                if purpose == "poll":
                    await places.enter_async_context(self._polls)
                await places.enter_async_context(self._calls)
                for turn in range(2):
                    answer = await self._once(method, address, purpose, patience_s, gates)
                    if isinstance(answer, Answer):
                        return self._judged(answer, gates)
                    if turn == 0:
                        self._tokens.refused(answer)
        finally:
            self._entered -= 1
        met("A02")
        raise AuthError("The API refuses a token that was issued a moment ago.")

    def gates(self, part: str = "") -> Gates:
        """What a call of that part has to pass; "" for the API's main calls."""
        return Gates(self.weather, self.host, f"{self.host} ({part})" if part else None)

    def allowance(self) -> Allowance:
        """What rate limit, weather and the places for calls leave right now."""
        now = self.clock.now()
        hosts = [self.host]
        if not self._tokens.is_fresh(now):
            hosts.append(self._tokens.host)
        try_at = max(self.weather.closed_until(host, now) for host in hosts)
        waiting = max(0, self._entered - self._pace.in_flight)
        room = min(self._most - self._entered, self._pace.calls_now() - waiting)
        if self._thrift.is_spent or not all(self.weather.is_open(host) for host in hosts):
            room = min(room, 1 - min(1, self._entered))
        left = self._pace.left_now()
        if try_at <= now and room > 0:
            return Allowance(room, now, left)
        more_at = max(try_at, self._pace.more_at())
        return Allowance(0, Instant(more_at if more_at > now else now + SOON_S), left)

    def troubles(self) -> list[Trouble]:
        """What keeps calls waiting for longer than a moment."""
        now = self.clock.now()
        found = self.weather.troubles(now)
        more_at = self._pace.more_at()
        if more_at > now + PATIENCE_S and all(each.place != self.host for each in found):
            found.append(Trouble("the API's rate limit", "", more_at, RATE_CALM_S))
        return found

    async def _once(
        self, method: str, address: str, purpose: Purpose, patience_s: float, gates: Gates
    ) -> Answer | Mapping[str, str]:
        """Send once.  The header that was sent: a 401, the token in it is refused."""
        if gates.closed_until(self.clock.now()) > self.clock.now():
            raise gates.hindered(self.clock.now())
        was_fresh = self._tokens.is_fresh(self.clock.now())
        place = await self._pace.enter(purpose, self.host, patience_s)
        try:
            # The token comes last: it may have ended while we stood in the queue.
            if was_fresh and not self._tokens.is_fresh(self.clock.now()):
                met("A06")
            head = await self._tokens.authorize(address)
            if not gates.may_try(self.clock.now()):
                raise gates.hindered(self.clock.now())
            answer = await self._send(method, address, head, place, gates)
        finally:
            place.leave()
        return head if answer.status == 401 and not answer.is_page else answer

    async def _send(
        self, method: str, address: str, head: Mapping[str, str], place: Place, gates: Gates
    ) -> Answer:
        sent_at = self.clock.now()
        try:
            async with self._session.request(
                method, URL(address, encoded=True), allow_redirects=False, trace_request_ctx=place,
                headers={"Accept": "application/json", **head},
            ) as response:  # fmt: skip
                self.clock.heard(response.headers.get("Date", ""), sent_at, self.clock.now())
                said = place.answered(response.status, response.headers)
                body = await read_body(response)
        except trouble.TROUBLE as error:
            if isinstance(error, OSError) and error.errno in NO_MORE:
                raise refusal(error, "opening a connection") from None
            if not place.is_sent:
                met("A39")
            elif isinstance(error, TimeoutError):
                met("A38")
            how = trouble.describe(error)
            self._failed(gates, how, is_sent=place.is_sent)
            raise WeatherError(self.host, f"API: {how}", sent=place.is_sent) from None
        finally:
            gates.let_go()
        retry_at = said.retry_at
        if retry_at is None and response.status == 429:
            retry_at = said.reset_at
        answer = Answer(response.status, body, retry_at)
        if not answer.is_weather:
            self._thrift = thrift.went_well(self._thrift)
            gates.succeeded()
            return answer
        if answer.status != 429:
            met("A17" if answer.is_page else "A15" if answer.status == 503 else "A16")
        # A 429 is no failure of the host's: the pace sees to those.
        self._failed(gates, answer.how, answer, is_sent=answer.status != 429)
        return answer

    def _failed(
        self, gates: Gates, how: str, answer: Answer | None = None, *, is_sent: bool
    ) -> None:
        now, retry_at = self.clock.now(), None if answer is None else answer.retry_at
        if is_sent:
            self._thrift = thrift.failed(self._thrift)
            retry_at = Instant(max(retry_at or now, now + self._thrift.pause_s))
        gates.failed(now, retry_at, how, answered=answer is not None and answer.is_error)

    def _judged(self, answer: Answer, gates: Gates) -> bytes:
        status, body = answer.status, answer.body
        if answer.is_weather:
            kind = PartError if answer.is_error and gates.is_parts_own else WeatherError
            how = f"API: {answer.how}"
            raise kind(self.host, how, answer.retry_at, sent=answer.had_effect)
        if body is None:
            met("A35")
            raise BadAnswerError("the API's answer is longer than 16 MiB")
        if 200 <= status < 300:
            return body
        word = wire.error_word(body)
        if word is not None and status in (404, 410):
            raise NotFoundError(f"the vendor does not know it ({status} {word})".replace(" )", ")"))
        if word is not None and status in (402, 403):
            raise DeniedError(f"the account may not have it ({status} {word})".replace(" )", ")"))
        raise BadAnswerError(f"the API answered {status}")
