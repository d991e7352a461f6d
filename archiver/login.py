"""Logging in, out, and saying who is: credentials by the owner's consent in a browser.

Rule 1: a login is stored before it is told of; it is deleted even where it cannot be taken back.
Rule 2: tokens go to the addresses they were made for, whatever the settings say meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from archiver.account import (
    AUTHORIZE_URL,
    TOKEN_URL,
    Account,
    CredentialKind,
    Login,
    require_safe_url,
)
from archiver.adapters.clock import SystemClock
from archiver.adapters.consent_window import browse, window
from archiver.adapters.http import open_sessions
from archiver.adapters.login_keyring import Keyring
from archiver.adapters.login_store import LoginStore, users_own
from archiver.adapters.vendor.grant import in_thread, login_of, lone
from archiver.adapters.vendor.token_address import DEVICE_NAME, GrantRefusedError, TokenAddress
from archiver.connecting import connected
from archiver.core import consent
from archiver.core.model import Channel
from archiver.core.summary import ApiCalls, iso
from archiver.errors import ArchiverError, AuthError, Misfortune, SettingsError, WeatherError

_WAIT_S = 10.0  # a person waits for the answer
_BUSY = "Another process is renewing the login: try again in a moment."


@dataclass(frozen=True, slots=True)
class Stored:
    """A login, and where it is kept."""

    login: Login
    place: str


async def login(
    account: Account,
    show: Callable[[str, bool], None],
    *,
    browser: bool = True,
    store: LoginStore | None = None,
) -> Stored:
    """Ask the owner, and store what the consent brings.

    Args:
        show: told the address of the page, and whether a browser was opened there.
        browser: open one; otherwise the code or the address may be pasted into standard input.

    Raises:
        SettingsError: there is no client ID, or an address cannot be used.
        AuthError: the owner declined, the vendor refused, or nothing could be stored.
    """
    _require_askable(account)
    store = users_own(await in_thread(Keyring.found)) if store is None else store
    clock = SystemClock()
    async with (
        open_sessions(account, requests=1) as sessions,
        window(account.redirect_url) as open_,
    ):
        page = consent.address(account.authorize_url, account.client_id, open_.asking, DEVICE_NAME)
        opened = browser and open_.listens and browse(page)
        show(page, opened)
        code = await open_.answer(pasted=not opened)
        address = TokenAddress(sessions.api, account.token_url, clock, ApiCalls())
        made = await _exchanged(address, account, open_.asking, code, clock)
    async with lone(store, clock) as is_alone:
        if not is_alone:
            raise AuthError(_BUSY)
        await in_thread(lambda: store.begin(made))
    return Stored(made, await in_thread(lambda: store.place))


def _require_askable(account: Account) -> None:
    account.checked()
    for name, url, like in (
        ("ARCHIVER_AUTHORIZE_URL", account.authorize_url, AUTHORIZE_URL),
        ("ARCHIVER_REDIRECT_URL", account.redirect_url, "http://127.0.0.1:8400/callback"),
    ):
        if url:
            require_safe_url(name, url, like, allow_insecure_http=account.allow_insecure_http)
    if not account.client_id:
        raise SettingsError(
            "A login needs a client ID.",
            "Make a native application in the account's settings, and set ARCHIVER_CLIENT_ID.",
        )


async def _exchanged(
    address: TokenAddress, account: Account, asking: consent.Asking, code: str, clock: SystemClock
) -> Login:
    form = {
        "grant_type": "authorization_code", "client_id": account.client_id, "code": code,
        "code_verifier": asking.verifier, "redirect_uri": asking.redirect_url,
    }  # fmt: skip
    try:
        granted = await address.ask(form)
    except GrantRefusedError as error:
        raise AuthError(f"The vendor refused the code ({error}).", "Run it again.") from error
    except WeatherError as error:
        raise ArchiverError(f"The login could not be ended: {error}.", "Run it again.") from error
    return login_of(account, account.client_id, granted, clock.now())


async def logout(account: Account, *, store: LoginStore | None = None) -> str:
    """Have the stored login taken back, and delete it.

    Args:
        account: the way to the outside; the addresses are the login's own.

    Returns:
        What happened, as a sentence.

    Raises:
        ArchiverError: it was deleted here, but may live on at the vendor.
        AuthError: it could not be deleted.
    """
    store = users_own() if store is None else store
    if not store.is_there:
        return "There is no stored login."
    clock, why = SystemClock(), ""
    async with lone(store, clock) as is_alone:
        if not is_alone:
            raise AuthError(_BUSY)
        try:
            found = await in_thread(store.read)
            if found is not None:
                await _revoke(replace(account, token_url=found.token_url), found, clock)
        except (AuthError, SettingsError, WeatherError) as error:
            why = str(error).removesuffix(".")
        await in_thread(store.forget)
    if why:
        raise ArchiverError(
            f"The stored login is deleted here, but was not taken back: {why}.",
            "It ends by itself within 30 days; the account's settings can end it now.",
        )
    return "Logged out: the vendor took the login back, and it is deleted here."


async def _revoke(account: Account, found: Login, clock: SystemClock) -> None:
    url = found.token_url
    require_safe_url(
        "The login's token address",
        url,
        TOKEN_URL,
        allow_insecure_http=account.allow_insecure_http,
    )
    async with open_sessions(account, requests=1) as sessions:
        address = TokenAddress(sessions.api, url, clock, ApiCalls())
        for token in (found.refresh_token, found.access_token):
            if token:
                await address.revoke(found.client_id, token.reveal())


@dataclass(frozen=True, slots=True)
class Identity:
    """With what calls are made, and what they see.

    Attributes:
        place: where a stored login is kept.
        channels: None where nobody could be asked.
        trouble: why not, or why the credentials are no good.
        refused: they are no good.
    """

    kind: CredentialKind
    account: Account
    login: Login | None = None
    place: str = ""
    channels: list[Channel] | None = None
    trouble: str = ""
    hint: str = field(default="", repr=False)
    refused: bool = False

    @property
    def exit_code(self) -> int:
        """0 where the credentials work, 3 where they do not, 1 where nobody knows."""
        if self.refused:
            return AuthError.exit_code
        return 0 if self.channels is not None else ArchiverError.exit_code

    def as_json(self) -> dict[str, Any]:
        """The keys of ``whoami --json``."""
        for_ = self.login or self.account  # a login stays its own, whatever the settings say
        known = self.refused or self.channels is not None
        seen = None
        if self.channels is not None:
            seen = [{"id": str(one.id), "title": one.title} for one in self.channels]
        return {
            "credentials": self.kind, "accepted": not self.refused if known else None,
            "api_url": for_.api_url, "token_url": for_.token_url,
            "client_id": for_.client_id if self.kind in ("client", "login") else None,
            "kept_in": self.place or None,
            "renewed_at": iso(self.login.renewed_at) if self.login else None,
            "channels": seen, "message": self.trouble or None,
        }  # fmt: skip


async def whoami(account: Account, *, wait_s: float = _WAIT_S) -> Identity:
    """Say which credentials are used, and try them."""
    known = Identity(account.kind, account)
    try:
        known = await _with_login(known)
        account.checked().require_credentials()
        async with connected(account, SystemClock(), requests=1, max_wait_s=wait_s) as to:
            channels = [channel async for channel in to.vendor.channels()]
        known = await _with_login(known)  # it may have been renewed for this
    except AuthError as error:
        return replace(known, trouble=str(error), hint=error.hint, refused=True)
    except ArchiverError as error:
        return replace(known, trouble=str(error), hint=error.hint)
    except Misfortune as trouble:
        return replace(known, trouble=str(trouble) or type(trouble).__name__)
    return replace(known, channels=channels)


async def _with_login(known: Identity) -> Identity:
    kept = known.account.login
    if known.kind != "login" or kept is None:
        return known
    place = kept.place if isinstance(kept, LoginStore) else ""
    return replace(known, place=place, login=await in_thread(kept.read))
