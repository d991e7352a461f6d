"""Which addresses a download may go to: the public web, and this machine for an emulator alone.

Rule 1: checked for every hop as a text, and again for what a name resolves to when connecting: a
name that changes its address in between gains nothing.
Rule 2: what the owner named (the API's host, the proxy) is never refused for where it lies.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from archiver.account import Account, is_loopback
from archiver.adapters.look_up import system_resolver
from archiver.met import met

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# 2130706433, 0x7f.1, 127.1: an address in disguise, which some resolvers understand.
_DISGUISED = re.compile(r"(.*\.)?(0[xX][0-9a-fA-F]*|[0-9]+)\.?")

# Names that can only lead inside; a proxy would resolve them where nobody here can see it.
_INSIDE = re.compile(
    r"(.*\.)?(localhost|local|internal|home\.arpa)\.?|[a-z][a-z0-9_-]*\.?", re.IGNORECASE
)


class ForbiddenAddressError(OSError):
    """A download address that is not to be visited; the text names the host alone."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What is allowed beyond https to the public web.

    ``local``: this machine, also by plain http.  ``insecure_http``: plain http anywhere.
    ``named``: hosts that the owner's settings name.
    """

    local: bool = False
    insecure_http: bool = False
    named: frozenset[str] = frozenset()

    @classmethod
    def of(cls, account: Account) -> AddressPolicy:
        """The policy that goes with an account's settings."""
        hosts = (urlsplit(account.api_url).hostname, urlsplit(account.proxy or "").hostname)
        named = frozenset(host for host in hosts if host and not is_loopback(host))
        if account.proxy and is_loopback(hosts[1] or ""):
            named |= {hosts[1] or ""}
        return cls(account.is_local, account.allow_insecure_http, named)

    def check(self, url: URL, came_from: URL | None = None) -> None:
        """Say nothing, or refuse *url*.

        Args:
            came_from: the address that redirected here.

        Raises:
            ForbiddenAddressError: another scheme, a downgrade, a password, or a private place.
        """
        host = _read(url.host or "")
        if url.scheme not in ("http", "https") or not host:
            met("D24")
            raise ForbiddenAddressError("a download address is no web address")
        if url.user is not None or url.password is not None:
            raise ForbiddenAddressError(f"{host}: a download address carries a password")
        if url.scheme == "http":
            if came_from is not None and came_from.scheme == "https":
                met("D21")
                raise ForbiddenAddressError(f"{host}: a redirect leads from https to http")
            if not (self.insecure_http or (self.local and is_loopback(host))):
                raise ForbiddenAddressError(f"{host}: a download address is plain http")
        if host.lower() in self.named:
            return
        if _INSIDE.fullmatch(host) and not (self.local and is_loopback(host)):
            met("D23")
            raise ForbiddenAddressError(f"{host} is a name of a private place")
        self._check_literal(host)

    def _check_literal(self, host: str) -> None:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            if _DISGUISED.fullmatch(host):
                met("D23")
                raise ForbiddenAddressError(f"{host} is an address in disguise") from None
            return
        self.check_address(host, address)

    def check_address(self, host: str, address: _Address) -> None:
        """Say nothing, or refuse to connect to *address*, to which *host* leads.

        Raises:
            ForbiddenAddressError: it is private, local or reserved.
        """
        if host.lower() in self.named:
            return
        for each in _disclosed(address):
            if self.local and each.is_loopback:
                continue
            if not each.is_global or each.is_multicast or each.is_reserved:
                met("D23")
                raise ForbiddenAddressError(f"{host} leads to a private address")


def _disclosed(address: _Address) -> list[_Address]:
    """*address* itself, or the IPv4 addresses that are wrapped in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    wrapped: list[_Address] = [address]
    if address.sixtofour is not None:
        wrapped.append(address.sixtofour)
    if address.teredo is not None:
        wrapped.extend(address.teredo)
    return wrapped


def _read(host: str) -> str:
    """*host* as a resolver that knows Unicode reads it: wide digits, other full stops."""
    return unicodedata.normalize("NFKC", host).replace("\u3002", ".")


def download_resolver(account: Account) -> GuardedResolver:
    """The resolver for the downloads' connector."""
    return GuardedResolver(AddressPolicy.of(account))


class GuardedResolver(AbstractResolver):
    """A resolver whose answers the policy has approved: what is connected to was checked.

    Args:
        inner: who really resolves; the system's way where it is not given.
    """

    def __init__(self, policy: AddressPolicy, inner: AbstractResolver | None = None) -> None:
        self._inner, self._policy = inner or system_resolver(), policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve *host*.

        Raises:
            ForbiddenAddressError: one of its addresses is private; a good one beside it does not
                help, since a host that mixes them is up to something.
        """
        found = await self._inner.resolve(host, port, family)
        for each in found:
            self._policy.check_address(host, ipaddress.ip_address(each["host"]))
        return found

    async def close(self) -> None:
        """Let go of the resolver below."""
        await self._inner.close()
