"""The OAuth addresses: the token endpoint, the page of consent, revocation.

They stand on the API's origin here; the real ones have hosts of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from aiohttp import web

from archiver.emulator import wire
from archiver.emulator.envelope import HTML, Answer, in_json, sent
from archiver.emulator.faults import Faults
from archiver.emulator.stats import Stats
from archiver.emulator.tokens import Tokens


class OauthDoor:
    """The handlers of the OAuth addresses.

    Args:
        tokens: who may speak.
        faults: strike the token endpoint.
        stats: counters.
        now: the vendor's clock.
    """

    def __init__(
        self, tokens: Tokens, faults: Faults, stats: Stats, now: Callable[[], float]
    ) -> None:
        self._tokens, self._faults, self._stats, self._now = tokens, faults, stats, now

    def add_routes(self, app: web.Application) -> None:
        """Makes them reachable."""
        app.router.add_post("/oauth2/token", self.token)
        app.router.add_post("/oauth2/token/revoke", self.revoke)
        app.router.add_get("/authorize", self.authorize)

    async def token(self, request: web.Request) -> web.StreamResponse:
        """The token endpoint."""
        self._stats.calls["tokens"] += 1
        faults = self._faults
        if faults.strikes("token-503", "token"):
            return sent(in_json(503, {"error": "server_error"}))
        if faults.strikes("token-html", "token"):
            return sent(Answer(200, HTML.encode(), "text/html"))
        form = {
            name: text for name, text in (await request.post()).items() if isinstance(text, str)
        }
        said = self._tokens.answer(form, request.headers.get("Authorization", ""), self._now())
        if said.status == 200 and faults.strikes("token-lost", "token"):
            wire.reset(request)
            return web.Response()
        if said.status == 200 and faults.strikes("token-no-expiry", "token"):
            said.body.pop("expires_in")
        elif said.status == 200 and faults.strikes("token-zero-expiry", "token"):
            said.body["expires_in"] = 0
        return sent(in_json(said.status, said.body, {"Cache-Control": "no-store"}))

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """The page where an owner agrees: at once, back to ``redirect_uri`` or showing the code."""
        query = dict(request.query)
        code = self._tokens.consent(query, self._now())
        if code is None:
            return sent(in_json(400, {"error": "invalid_request"}))
        if not query.get("redirect_uri"):
            return sent(Answer(200, f"<p>Your code: <code>{code}</code></p>".encode(), "text/html"))
        denied = self._faults.strikes("consent-denied", "token")
        said = {"error": "access_denied"} if denied else {"code": code}
        back = urlencode({**said, "state": query.get("state", "")})
        return web.Response(status=302, headers={"Location": f"{query['redirect_uri']}?{back}"})

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """Revocation: always well, whether the token was known or not."""
        form = await request.post()
        self._tokens.revoke(str(form.get("token", "")))
        return sent(in_json(200, {}))
