"""The bearer token: fetched once for everybody, renewed before its end, never sent elsewhere.

Rule 1: the client secret reaches the token address alone, the bearer the API's origin alone.
Rule 2: one token request is in flight for all who wait; who stops waiting stops nobody else.
Rule 3: trouble at the token address is that host's weather; only a plain refusal is an AuthError.
Rule 4: neither a log line nor an error holds a secret.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, get_args

import aiohttp

from archiver.account import Account
from archiver.adapters.clock import WaitingClock
from archiver.adapters.http import origin_of, read_body
from archiver.adapters.vendor import trouble, wire
from archiver.core import pacing
from archiver.core.model import NEVER, NOW, Instant
from archiver.core.summary import ApiCalls
from archiver.core.weather import Weather
from archiver.errors import AuthError, BadAnswerError, WeatherError
from archiver.met import met

SecretStyle: TypeAlias = Literal["body", "raw-basic", "basic"]
STYLES: tuple[SecretStyle, ...] = get_args(SecretStyle)  # in the order of trying
LIFE_S = 3_600.0  # assumed where the server says nothing sensible
RENEW_AT = 0.9  # of a token's life
LEAST_LIFE_S = 1.0  # a shorter one makes no sense
FORCED_PAUSE_S = 60.0  # between renewals because of a 401: never a loop
ANSWER_MOST = 1024 * 1024


class _RefusedStyleError(Exception):
    """This way of sending the secret was refused; another may not be."""


class TokenSource:
    """Gives every call its Authorization header.

    Args:
        session: without secrets of its own; the call's head is all that is added.
        style: the way of sending the secret that worked last time; tried first.
        learnt: told when another way worked.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        account: Account,
        clock: WaitingClock,
        weather: Weather,
        calls: ApiCalls,
        *,
        style: SecretStyle = "body",
        learnt: Callable[[SecretStyle], None] | None = None,
        device_name: str = "archiver",
    ) -> None:
        self._session, self._account, self._clock = session, account, clock
        self._weather, self._calls, self._learnt = weather, calls, learnt
        self._device_name = device_name
        self._api_origin = origin_of(account.api_url)
        self.host = origin_of(account.token_url)
        self.style: SecretStyle = style
        self._token = account.access_token.reveal()
        self._renew_at = self._ends_at = NEVER if self._token else NOW
        self._forced_at = Instant(float("-inf"))
        self._renewal: asyncio.Task[str] | None = None

    def is_fresh(self, now: Instant) -> bool:
        """A call could be sent without asking for a token first."""
        return bool(self._token) and now < self._renew_at

    async def authorize(self, url: str) -> dict[str, str]:
        """The header for a call to *url*.

        Raises:
            ValueError: *url* is not of the API's origin; a bug of the caller.
            WeatherError: the token address is in trouble.
            AuthError: the credentials were refused, or there are none.
        """
        if not self._api_origin or origin_of(url) != self._api_origin:
            met("S01")
            raise ValueError("the token is for the API's origin alone")
        return {"Authorization": f"Bearer {await self._valid()}"}

    def refused(self, headers: Mapping[str, str]) -> None:
        """The API said 401 to a call with *headers*; a newer token stays in use.

        Raises:
            AuthError: it was the ready token, which nobody can renew.
            WeatherError: the last 401 that led to a renewal was a moment ago.
        """
        if self._account.access_token:
            raise AuthError(
                "The access token was refused: it is expired, revoked or malformed.",
                "Set a new ARCHIVER_ACCESS_TOKEN, or use client credentials.",
            )
        if headers.get("Authorization") != f"Bearer {self._token}" or self._renew_at == NOW:
            met("A03")
            return
        now, again_at = self._clock.now(), Instant(self._forced_at + FORCED_PAUSE_S)
        if self._forced_at <= now < again_at:
            met("A05")
            raise self._trouble("one token after the other is refused", again_at)
        met("A01")
        self._forced_at = now
        self._renew_at = self._ends_at = NOW

    async def close(self) -> None:
        """Stop a renewal that is under way."""
        if self._renewal is not None and not self._renewal.done():
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    async def _valid(self) -> str:
        if self.is_fresh(self._clock.now()):
            return self._token
        if not self._account.has_credentials:
            raise AuthError("There are no credentials.")
        if self._renewal is None or self._renewal.done():
            # A task of its own: the waiter that began it may be cancelled, the others still wait.
            self._renewal = asyncio.get_running_loop().create_task(self._renew())
            self._renewal.add_done_callback(_seen)
        try:
            return await asyncio.shield(self._renewal)
        except WeatherError:
            if self._clock.now() < self._ends_at:
                return self._token  # the last tenth of its life is for exactly this
            raise

    async def _renew(self) -> str:
        if not self._weather.may_try(self.host, self._clock.now()):
            retry_at = self._weather.closed_until(self.host, self._clock.now())
            raise self._trouble(f"token: {self._weather.reason(self.host)}", retry_at)
        try:
            fresh, style = await self._granted()
        except WeatherError as error:
            met("A04")
            how = str(error).removeprefix("token: ")
            self._weather.failed(self.host, self._clock.now(), error.retry_at, how)
            raise
        except AuthError:
            self._weather.succeeded(self.host)
            raise
        finally:
            self._weather.let_go(self.host)
        self._weather.succeeded(self.host)
        self._keep(fresh)
        if style != self.style:
            self.style = style
            if self._learnt is not None:
                self._learnt(style)
        return self._token

    def _keep(self, fresh: wire.Granted) -> None:
        now = self._clock.now()
        life_s = fresh.expires_in_s
        if life_s is None or life_s < LEAST_LIFE_S:
            met("A05")
            life_s = LIFE_S
        self._token = fresh.access_token
        self._renew_at, self._ends_at = Instant(now + RENEW_AT * life_s), Instant(now + life_s)

    async def _granted(self) -> tuple[wire.Granted, SecretStyle]:
        styles = (self.style, *(style for style in STYLES if style != self.style))
        reason: _RefusedStyleError | None = None
        for style in styles:
            try:
                return await self._ask(style), style
            except _RefusedStyleError as error:
                reason = error
        raise AuthError(f"The client ID or its secret was refused ({reason}).") from reason

    async def _ask(self, style: SecretStyle) -> wire.Granted:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._account.client_id,
            "device_name": self._device_name,
        }
        secret, headers = self._account.client_secret.reveal(), {"Accept": "application/json"}
        if style == "body":
            form["client_secret"] = secret
        else:
            pair = f"{self._account.client_id}:{secret}".encode()
            basic = secret if style == "raw-basic" else base64.b64encode(pair).decode("ascii")
            headers["Authorization"] = f"Basic {basic}"
        sent_at = self._clock.now()
        try:
            async with self._session.post(
                self._account.token_url, data=form, headers=headers, allow_redirects=False,
                trace_request_ctx=self,
            ) as response:  # fmt: skip
                self._clock.heard(response.headers.get("Date", ""), sent_at, self._clock.now())
                body = await read_body(response, ANSWER_MOST)
        except trouble.TROUBLE as error:
            # The chain is cut: a cause may quote the request.
            raise self._trouble(f"token: {trouble.describe(error)}") from None
        retry_at = pacing.when(response.headers.get("Retry-After"), self._clock.now())
        return self._read(response.status, body, retry_at)

    def _read(self, status: int, body: bytes | None, retry_at: Instant | None) -> wire.Granted:
        if status == 200 and body is not None:
            try:
                return wire.granted(body)
            except BadAnswerError as error:
                raise self._trouble(f"token: {error}", retry_at) from error
        word = wire.error_word(body or b"")
        if word is not None and status in (400, 401, 403):
            raise _RefusedStyleError(f"{status} {word}".strip())
        if status == 501 and word:
            raise AuthError(f"The token address does not do client credentials ({word}).")
        raise self._trouble(f"the token address answered {status}", retry_at)

    def _trouble(self, reason: str, retry_at: Instant | None = None) -> WeatherError:
        """Weather of the token's host: the API's call that waits for the token was not sent."""
        return WeatherError(self.host, reason, retry_at, sent=False)

    def sent(self) -> None:
        """Count a token request whose head went out."""
        self._calls.token += 1


def _seen(task: asyncio.Task[str]) -> None:
    """Take note of the result, so that nobody is told of it when every waiter has left."""
    if not task.cancelled():
        task.exception()
