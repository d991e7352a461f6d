"""The ways to a fresh access token: client credentials, and a stored login.

Rule 1: a refresh token is spent by one process at a time, and only where its successor can be kept.
Rule 2: what another process has renewed is taken from the store; nobody is asked again.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeAlias, TypeVar, get_args

from archiver.account import AGAIN, Account, KeptLogin, Login, Secret, stored
from archiver.adapters.clock import WaitingClock
from archiver.adapters.vendor import wire
from archiver.adapters.vendor.token_address import GrantRefusedError, TokenAddress
from archiver.core.model import Instant
from archiver.errors import AuthError
from archiver.met import met

T = TypeVar("T")
log = logging.getLogger("archiver.vendor")
SecretStyle: TypeAlias = Literal["body", "raw-basic", "basic"]
STYLES: tuple[SecretStyle, ...] = get_args(SecretStyle)  # in the order of trying
LIFE_S = 3_600.0  # assumed where the server says nothing sensible
RENEW_AT = 0.9  # of a token's life
LEAST_LIFE_S = 1.0  # a shorter one makes no sense
REFRESH_S = 7 * 86_400.0  # a refresh token dies unused after 30 days, however long the access lives
LOCK_LOOK_S, LOCK_PATIENCE_S = 0.1, 90.0  # another process's renewal ends after 60 s at most
FUTURE_MOST_S = 300.0  # a store written by a clock that was further ahead is not believed


@dataclass(frozen=True, slots=True)
class Fresh:
    """An access token, when it is to be renewed, and when it ends."""

    access_token: str = field(repr=False)
    renew_at: Instant
    ends_at: Instant


class Grant(Protocol):
    """A way to a fresh token.

    Attributes:
        closing_s: how long a renewal under way is waited for when the run ends.
    """

    closing_s: float

    async def kept(self, worn: str) -> Fresh | None:
        """A token that lives, other than *worn*, and can be had without asking the vendor."""
        ...

    async def granted(self, worn: str) -> Fresh:
        """A token from the vendor.

        Raises:
            WeatherError, AuthError.
        """
        ...


def fresh(granted: wire.Granted, now: Instant) -> Fresh:
    """How long to use what was granted at *now*."""
    life_s = granted.expires_in_s
    if life_s is None or life_s < LEAST_LIFE_S:
        met("A05")
        life_s = LIFE_S
    return Fresh(granted.access_token, Instant(now + RENEW_AT * life_s), Instant(now + life_s))


class ClientGrant:
    """Client credentials: finds out how the secret has to be sent, and keeps to it.

    Args:
        style: the way that worked last time; tried first.
        learnt: told when another way worked.
    """

    closing_s = 0.0  # nothing is spent by a renewal that is cut off

    def __init__(
        self,
        address: TokenAddress,
        account: Account,
        clock: WaitingClock,
        style: SecretStyle,
        learnt: Callable[[SecretStyle], None] | None,
    ) -> None:
        self._address, self._account, self._clock = address, account, clock
        self.style, self._learnt = style, learnt

    async def kept(self, worn: str) -> Fresh | None:  # noqa: ARG002  nothing is kept
        """See ``Grant``."""
        return None

    async def granted(self, worn: str) -> Fresh:  # noqa: ARG002  each is a new one
        """See ``Grant``."""
        styles = (self.style, *(style for style in STYLES if style != self.style))
        reason: GrantRefusedError | None = None
        for style in styles:
            try:
                granted = await self._ask(style)
            except GrantRefusedError as error:
                reason = error
                continue
            if style != self.style:
                self.style = style
                if self._learnt is not None:
                    self._learnt(style)
            return fresh(granted, self._clock.now())
        raise AuthError(f"The client ID or its secret was refused ({reason}).") from reason

    async def _ask(self, style: SecretStyle) -> wire.Granted:
        secret, headers = self._account.client_secret.reveal(), {}
        form = {"grant_type": "client_credentials", "client_id": self._account.client_id}
        if style == "body":
            form["client_secret"] = secret
        else:
            pair = f"{self._account.client_id}:{secret}".encode()
            basic = secret if style == "raw-basic" else base64.b64encode(pair).decode("ascii")
            headers["Authorization"] = f"Basic {basic}"
        return await self._address.ask(form, headers)


class LoginGrant:
    """A stored login: each renewal spends the refresh token and stores the next one."""

    closing_s = 3.0  # an answer that nobody takes in would cost the login

    def __init__(
        self, address: TokenAddress, account: Account, store: KeptLogin, clock: WaitingClock
    ) -> None:
        self._address, self._account, self._store, self._clock = address, account, store, clock
        self._unkept: Login | None = None  # tokens that the disk did not take

    async def kept(self, worn: str) -> Fresh | None:
        """See ``Grant``."""
        return self._living(await self._login(), worn)

    async def granted(self, worn: str) -> Fresh:
        """See ``Grant``."""
        async with self._alone():
            login = await self._login()
            found = self._living(login, worn)
            if found is not None and self._clock.now() < found.renew_at:
                met("A03")  # another process was quicker
                return found
            # A disk that is full or read-only shows now, while the refresh token is still good.
            await in_thread(lambda: self._store.write(login))
            renewed, found = await self._renewed(login)
            try:
                await in_thread(lambda: self._store.write(renewed))
            except AuthError as error:
                self._unkept = renewed
                log.warning("%s This run goes on; the next needs `archiver login`.", error)
            return found

    async def _renewed(self, login: Login) -> tuple[Login, Fresh]:
        form = {
            "grant_type": "refresh_token",
            "client_id": login.client_id,
            "refresh_token": login.refresh_token.reveal(),
        }
        if not login.refresh_token:
            raise AuthError("The stored login has ended: the vendor lets it not be renewed.", AGAIN)
        try:
            granted = await self._address.ask(form)
        except GrantRefusedError as error:
            raise AuthError(f"The stored login was refused ({error}).", AGAIN) from error
        renewed = login_of(self._account, login.client_id, granted, self._clock.now())
        if not renewed.refresh_token:  # none was given: the old one goes on
            renewed = replace(renewed, refresh_token=login.refresh_token)
        return renewed, fresh(granted, self._clock.now())

    async def _login(self) -> Login:
        if self._unkept is not None:
            return self._unkept
        found = await in_thread(lambda: stored(self._store))
        found.require_for(self._account)
        return found

    def _living(self, login: Login, worn: str) -> Fresh | None:
        """The access token of *login* where it is worth a call."""
        access_token, now = login.access_token.reveal(), self._clock.now()
        if access_token == worn or not login.renewed_at - FUTURE_MOST_S <= now < login.ends_at:
            return None
        life_s = login.ends_at - login.renewed_at
        renew_at = Instant(login.renewed_at + min(RENEW_AT * life_s, REFRESH_S))
        return Fresh(access_token, renew_at, login.ends_at)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with lone(self._store, self._clock) as is_alone:
            if not is_alone:
                raise self._address.trouble("another process is renewing the login, for too long")
            yield


def login_of(account: Account, client_id: str, granted: wire.Granted, now: Instant) -> Login:
    """What is stored of an answer of the token address that came at *now*."""
    return Login(
        account.api_url, account.token_url, client_id, Secret(granted.refresh_token),
        Secret(granted.access_token), fresh(granted, now).ends_at, now,
    )  # fmt: skip


@asynccontextmanager
async def lone(store: KeptLogin, clock: WaitingClock) -> AsyncIterator[bool]:
    """Hold the store's lock; False: another process held it for longer than a renewal takes."""
    until = clock.now() + LOCK_PATIENCE_S
    with ExitStack() as held:
        is_alone = _enter(held, store)
        while not is_alone and clock.now() < until:
            await clock.sleep_until(Instant(clock.now() + LOCK_LOOK_S))
            is_alone = _enter(held, store)
        yield is_alone


def _enter(held: ExitStack, store: KeptLogin) -> bool:
    try:
        held.enter_context(store.alone())
    except BlockingIOError:
        return False
    return True


async def in_thread(work: Callable[[], T]) -> T:
    """Do what waits for a disk without holding up the loop; *work* that has begun is waited for."""
    doing = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise
