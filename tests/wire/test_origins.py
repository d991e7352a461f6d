"""Where credentials go: the bearer to the API's origin, the secret to the token address, and no
further, whatever an answer says."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiohttp import ClientSession, web
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.adapters.http import origin_of
from archiver.adapters.vendor.token import TokenSource
from archiver.core.model import Instant, JobKey, VideoId
from archiver.core.summary import ApiCalls
from archiver.core.weather import Weather
from archiver.errors import Misfortune
from tests.wire.door import SECRET, Asked, Clock, Door, reply, token, visit

KEY = JobKey(VideoId(7))
STATUSES = (301, 302, 303, 307, 308)
OURS = "http://127.0.0.1:8080"
PIECES = st.sampled_from(
    ["http:", "https:", "HTTP:", "//", "/", "\\", "127.0.0.1", "127.0.0.1.", "127.1", "2130706433",
     "[::1]", "localhost", "api.example", "@", ":8080", ":80", ":", ".", "?", "#", "%2F", "%00",
     "\t", "\u3002", "\uff11\uff12\uff17", "x"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=8).map("".join))
def test_no_spelling_of_another_place_gets_the_bearer(url: str) -> None:
    """S01: a header is made for the API's own origin, to the letter, and for nothing that looks
    like it."""

    at_home = url.lower().startswith(OURS) and origin_of(url) == OURS
    source = granted()
    try:
        head = asyncio.run(source.authorize(url))
    except ValueError as refused:
        assert "origin" in str(refused)  # noqa: PT017  both ends are right, each for its addresses
        assert not at_home
    else:
        assert head == {"Authorization": "Bearer t1"}
        assert at_home


def granted() -> TokenSource:
    """A source that has a token, and so asks nobody."""
    account = Door(lambda _: web.Response()).account(api_url=OURS, token_url=f"{OURS}/token")
    nobody = cast("ClientSession", None)
    source = TokenSource(nobody, account, Clock(), Weather(), ApiCalls())
    source._token, source._renew_at = "t1", Instant(source._clock.now() + 1e6)
    return source


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("at", ["api", "token"])
def test_no_redirect_carries_a_credential_away(status: int, at: str) -> None:
    """S01: an API or token address that redirects, in any way, to any place, is not followed."""
    seen: list[Asked] = []

    def noted(asked: Asked) -> web.Response:
        seen.append(asked)
        return web.Response()

    async def visited(place: str) -> None:
        def gone(_: Asked) -> web.Response:
            return web.Response(status=status, headers={"Location": place})

        answer, grant = (gone, lambda _: token()) if at == "api" else (lambda _: reply(), gone)
        async with Door(answer, grant).open() as door, visit(door, Clock()) as client:
            with pytest.raises(Misfortune):
                await client.status(KEY)
            assert len(door.asked) == (2 if at == "api" else 1)
            assert all(SECRET not in str(asked) for asked in door.calls())

    async def story() -> None:
        async with Door(noted).open() as thief:
            bare = thief.url.removeprefix("http:")
            for place in (thief.url, bare, f"{thief.url}/x?y", f"http://a@{bare[2:]}"):
                await visited(place)
        assert seen == []

    asyncio.run(story())
