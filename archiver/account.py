"""Whose videos, and how to reach them: addresses, credentials, proxy.

Rule: a secret never prints itself, and a credential belongs to the one origin it is meant for.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from archiver.errors import AuthError, SettingsError
from archiver.met import met

API_URL = "https://api.video.ibm.com"
TOKEN_URL = "https://video.ibm.com/oauth2/token"  # noqa: S105  an address, not a token
AUTHORIZE_URL = "https://authentication.video.ibm.com/authorize"


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
class Account:
    """The vendor's addresses, the owner's credentials, and the way to the outside.

    Exactly one kind of credential is used: a ready ``access_token`` before client credentials.
    """

    api_url: str = API_URL
    token_url: str = TOKEN_URL
    authorize_url: str = AUTHORIZE_URL
    client_id: str = ""
    client_secret: Secret = Secret()
    access_token: Secret = Secret()
    proxy: str | None = field(default=None, repr=False)  # its login is a secret as well
    ca_file: str | None = None
    allow_insecure_http: bool = False

    @property
    def has_credentials(self) -> bool:
        """There is something to sign in with."""
        return bool(self.access_token) or bool(self.client_id and self.client_secret)

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
        for name, url in (
            ("ARCHIVER_API_URL", self.api_url),
            ("ARCHIVER_TOKEN_URL", self.token_url),
        ):
            require_safe_url(name, url, allow_insecure_http=self.allow_insecure_http)
        for name, text in (
            ("ARCHIVER_CLIENT_ID", self.client_id),
            ("ARCHIVER_CLIENT_SECRET", self.client_secret.reveal()),
            ("ARCHIVER_ACCESS_TOKEN", self.access_token.reveal()),
        ):
            _require_plain(name, text)
        return self

    def require_credentials(self) -> None:
        """Refuse to begin what cannot be done.

        Raises:
            AuthError: there is nothing to sign in with.
        """
        if not self.has_credentials:
            raise AuthError(
                "There are no credentials.",
                "Set ARCHIVER_CLIENT_ID and ARCHIVER_CLIENT_SECRET, or ARCHIVER_ACCESS_TOKEN.",
            )


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


def require_safe_url(name: str, url: str, *, allow_insecure_http: bool) -> None:
    """Refuse what would carry a credential in the clear, or nowhere.

    Raises:
        SettingsError: with *name*, the setting to mend.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")  # as a resolver does: a label may be empty or too long
    except ValueError as error:
        raise SettingsError(f"{name} is not a web address: {error}.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(f"{name} is not a web address.", f"Set it like {API_URL}.")
    if parts.scheme == "http" and not (is_loopback(host) or allow_insecure_http):
        raise SettingsError(
            f"{name} is plain http, which would send the credentials in the clear.",
            "Use https, or set allow_insecure_http.",
        )
