"""Access tokens and the call quota: who may speak, and how often.

Like the rest of the world without a clock: every call takes ``now``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archiver.emulator.config import EmulatorConfig

GRACE_S = 2.0  # calls that were on their way already when a 429 was sent
PROBE_S = 890.0  # who looks again after a quarter of an hour is not impatient: a reset can be wrong
REFRESH_LIFE_S = 30 * 86_400
CODE_LIFE_S = 600


@dataclass(frozen=True, slots=True)
class _Consent:
    """What a code was given for: it can be spent by whoever knows the challenge's verifier."""

    redirect_uri: str
    challenge: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What the token endpoint says: an HTTP status and a JSON object."""

    status: int
    body: dict[str, Any]


def _refusal(status: int, error: str, description: str) -> TokenAnswer:
    return TokenAnswer(status, {"error": error, "error_description": description})


class Tokens:
    """The token endpoint's memory.

    Attributes:
        client_id: 40 characters, as the real ones.
        client_secret: the one secret that is accepted, in the one style of the settings.
        issued: every access and refresh token that was ever given out.
    """

    def __init__(self, config: EmulatorConfig) -> None:
        self._config = config
        self._chance = random.Random(f"tokens {config.seed}")
        self.client_id = hashlib.sha256(f"client {config.seed}".encode()).hexdigest()[:40]
        self.client_secret = hashlib.sha256(f"secret {config.seed}".encode()).hexdigest()[:40]
        self.issued: list[str] = []
        self._access: dict[str, float] = {}
        self._refresh: dict[str, float] = {}
        self._given_with: dict[str, str] = {}  # refresh token -> access token
        self._codes: dict[str, _Consent] = {}

    def issue(self, now: float) -> dict[str, Any]:
        """A new pair of tokens, as the endpoint's JSON."""
        access, refresh = self._chance.randbytes(20).hex(), self._chance.randbytes(20).hex()
        self.issued += (access, refresh)
        self._access[access] = now + self._config.token_life_s
        self._refresh[refresh] = now + REFRESH_LIFE_S
        self._given_with[refresh] = access
        return {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "bearer",
            "expires_in": max(1, int(self._config.token_life_s)),
        }

    def is_good(self, authorization: str, now: float) -> bool:
        """Whether the header carries a token that lives."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and now < self._access.get(token, float("-inf"))

    def revoke(self, token: str | None = None) -> None:
        """Ends one token, or all access tokens; a refresh token takes its access token along."""
        if token is None:
            self._access.clear()
            return
        self._refresh.pop(token, None)
        self._access.pop(self._given_with.get(token, token), None)

    def is_live(self, token: str, now: float) -> bool:
        """Whether this access or refresh token would still be taken."""
        return now < max(self._access.get(token, 0.0), self._refresh.get(token, 0.0))

    def answer(self, form: Mapping[str, str], authorization: str, now: float) -> TokenAnswer:
        """The endpoint: client credentials, an authorisation code, and refresh."""
        grant = form.get("grant_type", "")
        if not grant:
            return _refusal(400, "invalid_request", "grant_type is missing")
        if grant == "refresh_token":
            return self._refreshed(form, now)
        if grant == "authorization_code":
            return self._exchanged(form, now)
        if grant != "client_credentials":
            return _refusal(501, "unsupported_grant_type", grant)
        if not form.get("device_name"):
            return _refusal(400, "invalid_request", "device_name is missing")
        if not self._is_client(form, authorization):
            return _refusal(400, "invalid_client", "client authentication failed")
        return TokenAnswer(200, self.issue(now))

    def consent(self, query: Mapping[str, str], now: float) -> str | None:
        """The code that an owner who agrees at once is given; None for a request that is wrong."""
        challenge, method = query.get("code_challenge", ""), query.get("code_challenge_method")
        asked = (query.get("response_type"), query.get("client_id"))
        if asked != ("code", self.client_id) or not challenge or method != "S256":
            return None
        code = self._chance.randbytes(12).hex()
        self._codes[code] = _Consent(query.get("redirect_uri", ""), challenge, now + CODE_LIFE_S)
        return code

    def _exchanged(self, form: Mapping[str, str], now: float) -> TokenAnswer:
        if form.get("client_id") != self.client_id:
            return _refusal(400, "invalid_client", "unknown client_id")
        consent = self._codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if (
            consent is None
            or now >= consent.expires_at
            or challenge != consent.challenge
            or form.get("redirect_uri", "") != consent.redirect_uri
        ):
            return _refusal(400, "invalid_grant", "the code is not valid")
        return TokenAnswer(200, self.issue(now))

    def _refreshed(self, form: Mapping[str, str], now: float) -> TokenAnswer:
        if form.get("client_id") != self.client_id:
            return _refusal(400, "invalid_client", "unknown client_id")
        # Each refresh spends its token and gives a new one.
        if now >= self._refresh.pop(form.get("refresh_token", ""), float("-inf")):
            return _refusal(400, "invalid_grant", "the refresh token is not valid")
        return TokenAnswer(200, self.issue(now))

    def _is_client(self, form: Mapping[str, str], authorization: str) -> bool:
        scheme, _, credential = authorization.partition(" ")
        basic = credential if scheme.lower() == "basic" else None
        style = self._config.secret_style
        if style == "basic":
            try:
                decoded = base64.b64decode(basic or "", validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return False
            return decoded == f"{self.client_id}:{self.client_secret}"
        if form.get("client_id") != self.client_id:
            return False
        sent = form.get("client_secret") if style == "body" else basic
        return sent == self.client_secret


class Quota:
    """Calls allowed in each period of the vendor's clock.

    Attributes:
        limited: how many 429s it has given.
        impatient: how many of them to calls that came although they could know better.
    """

    def __init__(self, config: EmulatorConfig) -> None:
        self._config = config
        self._period = -1
        self._used = 0
        self._first_refused_at, self._last_refused_at = float("inf"), 0.0
        self.limited = self.impatient = 0

    def spend(self, now: float) -> tuple[bool, dict[str, str]]:
        """Counts one call: whether it is allowed, and the headers of its answer."""
        limit, period_s = self._config.rate_limit, self._config.rate_period_s
        if limit is None:
            return True, {}
        period = int(now // period_s)
        if period != self._period:
            self._period, self._used, self._first_refused_at = period, 0, float("inf")
        self._used += 1
        allowed = self._used <= limit
        if not allowed:
            self.limited += 1
            on_its_way = now - self._first_refused_at <= GRACE_S
            self.impatient += not on_its_way and now - self._last_refused_at < PROBE_S
            self._first_refused_at = min(self._first_refused_at, now)
            self._last_refused_at = now
        return allowed, self.headers(now)

    def headers(self, now: float, *, always: bool = False) -> dict[str, str]:
        """``X-RateLimit-…`` as of now; the reset is rounded up to a whole second."""
        if not (self._config.rate_headers or always):
            return {}
        period_s = self._config.rate_period_s
        limit = self._config.rate_limit or 100
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - self._used)),
            "X-RateLimit-Reset": str(int(-(-((now // period_s + 1) * period_s) // 1))),
        }
