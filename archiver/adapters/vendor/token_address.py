"""The vendor's token address: one form, one answer, and whose turn it is after a refusal.

Rule 1: secrets go into the form or the head of this one address; no redirect is followed.
Rule 2: trouble is that host's weather; only a plain refusal is about the credentials.
Rule 3: neither a log line nor an error holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from archiver.adapters.clock import WaitingClock
from archiver.adapters.http import origin_of, read_body
from archiver.adapters.vendor import trouble, wire
from archiver.core import pacing
from archiver.core.model import Instant
from archiver.core.summary import ApiCalls
from archiver.errors import AuthError, BadAnswerError, WeatherError

ANSWER_MOST = 1024 * 1024
DEVICE_NAME = "archiver"  # under it the owner finds our tokens, to take them back


class GrantRefusedError(Exception):
    """The token address refuses these credentials, or this way of sending them."""


class TokenAddress:
    """Sends forms to *url* and counts them.

    Args:
        session: without secrets of its own; a form and its head are all that is added.
        url: ``Account.token_url``.
        calls: counted when a head goes out.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        clock: WaitingClock,
        calls: ApiCalls,
        device_name: str = DEVICE_NAME,
    ) -> None:
        self._session, self._url, self._clock, self._calls = session, url, clock, calls
        self._device_name = device_name
        self.host = origin_of(url)

    async def ask(
        self, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> wire.Granted:
        """Ask for a token; *form* names the grant and holds what it takes.

        Raises:
            GrantRefusedError: a plain refusal, with the vendor's word.
            AuthError: the address does not know this kind of grant.
            WeatherError: anything else; the grant may have been spent.
        """
        named = {**form, "device_name": self._device_name}
        status, body, retry_at = await self._post(self._url, named, headers or {})
        if status == 200 and body is not None:
            try:
                return wire.granted(body)
            except BadAnswerError as error:
                raise self.trouble(f"token: {error}", retry_at) from error
        word = wire.error_word(body or b"")
        if word is not None and status in (400, 401, 403):
            raise GrantRefusedError(f"{status} {word}".strip())
        if status == 501 and word:
            raise AuthError(
                f"The token address does not know {named['grant_type'].replace('_', ' ')} ({word})."
            )
        raise self.trouble(f"the token address answered {status}", retry_at)

    async def revoke(self, client_id: str, token: str) -> None:
        """Have a token taken back; one that is not known is as good as taken back.

        Raises:
            WeatherError: whether it was is not known.
        """
        form = {"token": token, "client_id": client_id}
        status, _, retry_at = await self._post(f"{self._url.rstrip('/')}/revoke", form, {})
        if status != 200:
            raise self.trouble(f"the token address answered {status}", retry_at)

    async def _post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, bytes | None, Instant | None]:
        """Status, body (None: too long) and when to come again."""
        sent_at = self._clock.now()
        try:
            async with self._session.post(
                url, data=form, headers={"Accept": "application/json", **headers},
                allow_redirects=False, trace_request_ctx=self,
            ) as response:  # fmt: skip
                self._clock.heard(response.headers.get("Date", ""), sent_at, self._clock.now())
                body = await read_body(response, ANSWER_MOST)
        except trouble.TROUBLE as error:
            # The chain is cut: a cause may quote the request.
            raise self.trouble(f"token: {trouble.describe(error)}") from None
        retry_at = pacing.when(response.headers.get("Retry-After"), self._clock.now())
        return response.status, body, retry_at

    def trouble(self, reason: str, retry_at: Instant | None = None) -> WeatherError:
        """Weather of the token's host: the API's call that waits for the token was not sent."""
        return WeatherError(self.host, reason, retry_at, sent=False)

    def sent(self) -> None:
        """Count a request whose head went out."""
        self._calls.token += 1
