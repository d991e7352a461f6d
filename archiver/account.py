"""Whose videos, and how to reach them: addresses, credentials, proxy.

Rule: a secret never prints itself, and a credential belongs to the one origin it is meant for.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

from archiver.core.model import Instant
from archiver.errors import AuthError, SettingsError
from archiver.met import met

API_URL = "https://api.video.ibm.com"
TOKEN_URL = "https://video.ibm.com/oauth2/token"  # noqa: S105  an address, not a token
AUTHORIZE_URL = "https://authentication.video.ibm.com/authorize"
AGAIN = "Log in again: archiver login"

CredentialKind: TypeAlias = Literal["token", "client", "login", "none"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that shows itself only when it is asked by name."""

    value: str = field(default="", repr=False)

    def reveal(self) -> str:
        """The text itself: for a request's head or body, for nothing else."""
        return self.value

    def __bool__(self) -> bool:
        return bool(self.value)

    def __str__(self) -> str:
        met("S02")
        return "***"


@dataclass(frozen=True, slots=True)
class Login:
    """What the owner's consent in a browser brought: tokens, and for whom they are.

    Attributes:
        api_url: whose bearer the access token is; it goes nowhere else.
        token_url: to whom the refresh token goes, and nowhere else.
        refresh_token: spent by the renewal that brings the next one; empty where there is none.
        ends_at: when the access token ends, by the server's clock.
        renewed_at: when these tokens were given.
    """

    api_url: str
    token_url: str
    client_id: str
    refresh_token: Secret
    access_token: Secret
    ends_at: Instant
    renewed_at: Instant

    def require_for(self, account: Account) -> None:
        """Refuse to serve other addresses than those that the tokens were made for.

        Raises:
            AuthError: the settings name another API or token address.
        """
        for what, own, asked in (
            ("API", self.api_url, account.api_url),
            ("token address", self.token_url, account.token_url),
        ):
            if _place(own) != _place(asked):
                met("S01")
                raise AuthError(
                    f"The stored login is for the {what} {own}, not for {asked}.",
                    "Set that address, or log in anew: archiver logout, then archiver login",
                )


class KeptLogin(Protocol):
    """Where a login is kept between runs.  Every method may wait for a disk."""

    def read(self) -> Login | None:
        """What is kept, None for nothing.

        Raises:
            AuthError: it is there, but cannot be had or is not to be trusted.
        """
        ...

    def write(self, login: Login) -> None:
        """Keep *login*, durably, and only then forget the one before.

        Raises:
            AuthError: it cannot be kept; the one before is.
        """
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Renew and forget by one process at a time.

        Raises:
            BlockingIOError: another process is at it.
            AuthError: there can be no lock.
        """
        ...


@dataclass(frozen=True, slots=True)
class Account:
    """The vendor's addresses, the owner's credentials, and the way to the outside.

    One kind of credential is used: a ready ``access_token`` before client credentials before a
    stored ``login``.
    """

    api_url: str = API_URL
    token_url: str = TOKEN_URL
    authorize_url: str = AUTHORIZE_URL
    client_id: str = ""
    client_secret: Secret = Secret()
    access_token: Secret = Secret()
    login: KeptLogin | None = field(default=None, repr=False)
    redirect_url: str = ""  # where a consent in the browser leads; empty: a free port of ours
    proxy: str | None = field(default=None, repr=False)  # its login is a secret as well
    ca_file: str | None = None
    allow_insecure_http: bool = False

    @property
    def kind(self) -> CredentialKind:
        """With which kind of credential calls are made."""
        if self.access_token:
            return "token"
        if self.client_id and self.client_secret:
            return "client"
        return "login" if self.login is not None else "none"

    @property
    def has_credentials(self) -> bool:
        """There is something to sign in with."""
        return self.kind != "none"

    @property
    def is_local(self) -> bool:
        """The API is on this machine: an emulator.  Only then may downloads be there too."""
        return is_loopback(urlsplit(self.api_url).hostname or "")

    def checked(self) -> Account:
        """Return the account itself.

        Raises:
            SettingsError: an address is no web address, or is plain http beyond this machine; a
                credential is more than one line of text.
        """
        is_lax = self.allow_insecure_http
        require_safe_url("ARCHIVER_API_URL", self.api_url, API_URL, allow_insecure_http=is_lax)
        require_safe_url(
            "ARCHIVER_TOKEN_URL", self.token_url, TOKEN_URL, allow_insecure_http=is_lax
        )
        for name, text in (
            ("ARCHIVER_CLIENT_ID", self.client_id),
            ("ARCHIVER_CLIENT_SECRET", self.client_secret.reveal()),
            ("ARCHIVER_ACCESS_TOKEN", self.access_token.reveal()),
        ):
            _require_plain(name, text)
        return self

    def require_credentials(self) -> None:
        """Refuse to begin what cannot be done.  A stored login is read: that may take a moment.

        Raises:
            AuthError: there is nothing to sign in with, or the stored login is for others.
        """
        if not self.has_credentials:
            raise AuthError(
                "There are no credentials.",
                "Set ARCHIVER_CLIENT_ID and ARCHIVER_CLIENT_SECRET (or "
                "ARCHIVER_CLIENT_SECRET_FILE), put client_id and client_secret into the settings "
                "file, or run `archiver login`.",
            )
        if self.kind == "login" and self.login is not None:
            stored(self.login).require_for(self)


def stored(kept: KeptLogin) -> Login:
    """The login that is kept.

    Raises:
        AuthError: none is, or it cannot be had or is not to be trusted.
    """
    found = kept.read()
    if found is None:
        raise AuthError("The stored login is gone: somebody logged out.", AGAIN)
    return found


def _place(url: str) -> tuple[str, str, int | None, str]:
    """What two spellings of one address have in common."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/")


def _require_plain(name: str, text: str) -> None:
    """Refuse what no header can carry: a file of two lines, half of a character."""
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in text):
        raise SettingsError(
            f"{name} holds a line break or another control character.",
            "Give the credential alone, in one line.",
        )


def is_loopback(host: str) -> bool:
    """*host* names this machine, as a literal address or as ``localhost``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_safe_url(name: str, url: str, like: str, *, allow_insecure_http: bool) -> None:
    """Refuse what would carry a credential in the clear, or nowhere.

    Args:
        like: what *name* looks like where it is right.

    Raises:
        SettingsError: with *name*, the setting to mend.
    """
    advice = f"Set it like {like}."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")  # as a resolver does: a label may be empty or too long
    except ValueError as error:
        raise SettingsError(f"{name} is not a web address: {error}.", advice) from error
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(f"{name} is not a web address.", advice)
    if parts.scheme == "http" and not (is_loopback(host) or allow_insecure_http):
        raise SettingsError(
            f"{name} is plain http, which would send the credentials in the clear.",
            "Use https, or set allow_insecure_http.",
        )
