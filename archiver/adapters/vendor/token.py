"""The bearer token: fetched once for everybody, renewed before its end, never sent elsewhere.

Rule 1: the client secret reaches the token address alone, the bearer the API's origin alone.
Rule 2: one token request is in flight for all who wait; who stops waiting stops nobody else.
Rule 3: trouble at the token address is that host's weather; only a plain refusal is an AuthError.
Rule 4: neither a log line nor an error holds a secret.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import aiohttp

from archiver.account import Account
from archiver.adapters.clock import WaitingClock
from archiver.adapters.http import origin_of
from archiver.adapters.vendor.grant import (
    STYLES,
    ClientGrant,
    Fresh,
    Grant,
    LoginGrant,
    SecretStyle,
)
from archiver.adapters.vendor.token_address import DEVICE_NAME, TokenAddress
from archiver.core.model import NEVER, NOW, Instant
from archiver.core.summary import ApiCalls
from archiver.core.weather import Weather
from archiver.errors import AuthError, WeatherError
from archiver.met import met

__all__ = ["STYLES", "SecretStyle", "TokenSource"]

log = logging.getLogger("archiver.vendor")
FORCED_PAUSE_S = 60.0  # between renewals because of a 401: never a loop


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
        device_name: str = DEVICE_NAME,
    ) -> None:
        self._account, self._clock, self._weather = account, clock, weather
        self._address = TokenAddress(session, account.token_url, clock, calls, device_name)
        self._clients = ClientGrant(self._address, account, clock, style, learnt)
        self._grant: Grant = self._clients
        if account.kind == "login" and account.login is not None:
            self._grant = LoginGrant(self._address, account, account.login, clock)
        self._api_origin = origin_of(account.api_url)
        self.host = self._address.host
        self._token = account.access_token.reveal()
        self._renew_at = self._ends_at = NEVER if self._token else NOW
        self._forced_at = Instant(float("-inf"))
        self._renewal: asyncio.Task[str] | None = None

    @property
    def style(self) -> SecretStyle:
        """How the client secret travels, as far as that is known."""
        return self._clients.style

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
            raise self._address.trouble("one token after the other is refused", again_at)
        met("A01")
        self._forced_at = now
        self._renew_at = self._ends_at = NOW

    async def close(self) -> None:
        """Stop a renewal that is under way; one that spends something may end first."""
        if self._renewal is not None and not self._renewal.done():
            if self._grant.closing_s:
                await asyncio.wait([self._renewal], timeout=self._grant.closing_s)
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    async def _valid(self) -> str:
        if self.is_fresh(self._clock.now()):
            return self._token
        if not self._account.has_credentials:
            raise AuthError("There are no credentials.", "Set some, or run `archiver login`.")
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
        except AuthError as error:
            if self._clock.now() < self._ends_at:
                self._renew_at = self._ends_at  # asking again before would change nothing
                log.warning("%s What is left of the token's life is used.", error)
                return self._token
            raise

    async def _renew(self) -> str:
        if (kept := await self._grant.kept(self._token)) is not None:
            self._keep(kept)
            if self.is_fresh(self._clock.now()):
                return self._token
        if not self._weather.may_try(self.host, self._clock.now()):
            retry_at = self._weather.closed_until(self.host, self._clock.now())
            raise self._address.trouble(f"token: {self._weather.reason(self.host)}", retry_at)
        try:
            found = await self._grant.granted(self._token)
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
        return self._keep(found)

    def _keep(self, found: Fresh) -> str:
        self._token = found.access_token
        self._renew_at, self._ends_at = found.renew_at, found.ends_at
        return self._token


def _seen(task: asyncio.Task[str]) -> None:
    """Take note of the result, so that nobody is told of it when every waiter has left."""
    if not task.cancelled():
        task.exception()
