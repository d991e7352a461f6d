"""Where a download may go: checked as a text for every hop, and when connecting."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from archiver.account import Account
from archiver.adapters.address_policy import (
    AddressPolicy,
    ForbiddenAddressError,
    GuardedResolver,
    download_resolver,
)
from archiver.adapters.download_wire import parsed
from archiver.errors import LinkRefusedError

PUBLIC = AddressPolicy()
LOCAL = AddressPolicy(local=True)

PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "255.255.255.255", "224.0.0.1", "[::1]", "[::]", "[fe80::1]", "[fd00::1]",
    "[::10.0.0.1]", "[::ffff:0:10.0.0.1]", "[64:ff9b:1::a00:1]", "[4000::1]",
    "[::ffff:10.0.0.1]", "[::ffff:127.0.0.1]", "[64:ff9b::a00:1]", "[2002:a00:1::]", "[ff02::1]",
]  # fmt: skip


def refused(policy: AddressPolicy, url: str, came_from: str | None = None) -> bool:
    """Whether *policy* refuses *url*."""
    try:
        policy.check(parsed(url), URL(came_from) if came_from else None)
    except (ForbiddenAddressError, LinkRefusedError) as error:
        return "s3cr" not in str(error)
    return False


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_in_every_form(host: str) -> None:
    """D23: also wrapped in IPv6, also for a local account unless it is this machine."""
    assert refused(PUBLIC, f"https://{host}/x?sig=s3cr")
    here = host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]")
    assert refused(LOCAL, f"https://{host}/x") is not here


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "0x7f.1", "localhost", "LOCALHOST."]
)
def test_addresses_in_disguise_are_refused(host: str) -> None:
    """D23: forms that only some resolvers understand."""
    assert refused(PUBLIC, f"https://{host}/x")


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]", "cdn.example", "1.example"])
def test_the_public_web_is_open(host: str) -> None:
    """D22: any public host, by https."""
    assert not refused(PUBLIC, f"https://{host}/x?sig=s3cr")


def test_only_https_and_never_a_downgrade() -> None:
    """D21, D24: plain http on this machine for an emulator, or where the owner allowed it."""
    assert refused(PUBLIC, "http://cdn.example/x")
    assert refused(PUBLIC, "http://127.0.0.1/x")
    assert refused(LOCAL, "http://cdn.example/x")
    assert not refused(LOCAL, "http://127.0.0.1:8000/x")
    assert not refused(LOCAL, "http://localhost:8000/x")
    allowed = AddressPolicy(insecure_http=True)
    assert not refused(allowed, "http://cdn.example/x")
    assert refused(allowed, "http://127.0.0.1/x")
    assert refused(allowed, "http://cdn.example/x", "https://cdn.example/x")
    for url in (
        "file:///etc/passwd",
        "ftp://cdn.example/x",
        "data:,x",
        "unix:/x",
        "/x",
        "https:///",
    ):
        assert refused(allowed, url)


def test_an_address_with_a_password_is_refused() -> None:
    """E7: it would go out as a credential."""
    assert refused(PUBLIC, "https://me:s3cr@cdn.example/x")


def test_what_the_owner_named_is_open() -> None:
    """Rule 2: an API or a proxy in the house is the owner's own choice."""
    account = Account(
        api_url="https://10.1.2.3/api", proxy="http://127.0.0.1:3128", allow_insecure_http=True
    )
    policy = AddressPolicy.of(account)
    assert not refused(policy, "https://10.1.2.3/x")
    assert refused(policy, "https://10.1.2.4/x")
    policy.check_address("127.0.0.1", ipaddress.ip_address("127.0.0.1"))
    assert AddressPolicy.of(Account()) == AddressPolicy(named=frozenset({"api.video.ibm.com"}))
    assert AddressPolicy.of(Account(api_url="http://localhost:9")) == AddressPolicy(local=True)


@given(st.integers(0, 2**32 - 1))
def test_a_wrapped_address_is_judged_like_a_bare_one(number: int) -> None:
    """D23 over all of IPv4: mapping or translating an address changes nothing."""
    bare = ipaddress.IPv4Address(number)
    wrapped = [
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(0x64FF9B << 96 | number),
    ]
    answers = {refused(PUBLIC, f"https://[{each}]/x") for each in wrapped}
    answers.add(refused(PUBLIC, f"https://{bare}/x"))
    assert len(answers) == 1


def _octets(number: int, count: int) -> list[int]:
    """The last *count* octets."""
    return [number >> shift & 255 for shift in range(8 * (count - 1), -1, -8)]


@st.composite
def inside(draw: st.DrawFn) -> str:
    """A private IPv4 address in one of the forms that somebody, somewhere, takes for it."""
    networks = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
                "100.64.0.0/10", "0.0.0.0/8")  # fmt: skip
    network = ipaddress.IPv4Network(draw(st.sampled_from(networks)))
    number = int(network[0]) + draw(st.integers(0, network.num_addresses - 1))
    if draw(st.booleans()):
        prefix = draw(st.sampled_from([0xFFFF << 32, 0x64FF9B << 96]))
        wrapped = ipaddress.IPv6Address(prefix | number)
        text = draw(st.sampled_from([wrapped.compressed, wrapped.exploded]))
        return f"[{draw(st.sampled_from([text, text.upper()]))}]"
    # 1 to 4 numbers, of which the last one takes what is left; each in any base.
    count = draw(st.integers(1, 4))
    numbers = [*_octets(number, 4)[: count - 1], number & ((1 << 8 * (5 - count)) - 1)]
    written = [draw(st.sampled_from([str(n), hex(n), f"0{n:o}", f"0X{n:08X}"])) for n in numbers]
    plain = ".".join(written) + draw(st.sampled_from(["", "."]))
    wide = str.maketrans(
        "0123456789.", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\u3002"
    )
    return plain.translate(wide) if draw(st.booleans()) else plain


@given(inside())
def test_no_form_of_a_private_address_is_let_in(host: str) -> None:
    """D23: short, decimal, octal, hexadecimal, wide, wrapped, with a dot at its end."""
    assert refused(PUBLIC, f"https://{host}/x?sig=s3cr")
    assert refused(PUBLIC, f"https://{host}:8443/x", "https://cdn.example/x")


@pytest.mark.parametrize(
    "host", ["printer", "nas.local", "db.internal.", "metadata.google.internal", "x.LOCALHOST",
             "router.home.arpa"],
)  # fmt: skip
def test_names_that_can_only_lead_inside_are_refused(host: str) -> None:
    """D23: behind a proxy nobody here sees what they resolve to."""
    assert refused(PUBLIC, f"https://{host}/x")
    assert refused(LOCAL, f"https://{host}/x")


class Names(AbstractResolver):
    """Resolves every name to the addresses it was given."""

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.closed = addresses, False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=a, port=port, family=family, proto=0, flags=0)
            for a in self.addresses
        ]

    async def close(self) -> None:
        self.closed = True


def test_a_name_that_leads_inside_is_refused_when_connecting() -> None:
    """D23: what a name resolves to at that moment is what counts; one bad address is enough."""

    async def main() -> None:
        good = GuardedResolver(PUBLIC, Names("8.8.8.8", "2606:4700::1111"))
        assert [each["host"] for each in await good.resolve("cdn.example", 443)] == [
            "8.8.8.8", "2606:4700::1111",
        ]  # fmt: skip
        for inside in ("127.0.0.1", "fe80::1%1", "::ffff:10.0.0.1"):
            names = Names("8.8.8.8", inside)
            bad = GuardedResolver(PUBLIC, names)
            with pytest.raises(ForbiddenAddressError, match=r"rebind\.example"):
                await bad.resolve("rebind.example", 443)
            await bad.close()
            assert names.closed
        with pytest.raises(ForbiddenAddressError):
            await download_resolver(Account()).resolve("localhost", 443)
        assert await download_resolver(Account(api_url="http://localhost:1")).resolve("localhost")

    asyncio.run(main())


def test_a_name_is_looked_up_by_the_systems_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread that nobody waits for: its answer, its refusal, and none to be had."""

    def getaddrinfo(host: str, port: int, **_how: object) -> list[object]:
        if host == "gone.example":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        resolver = GuardedResolver(PUBLIC)
        found = await resolver.resolve("files.example", 443)
        assert [(each["host"], each["port"]) for each in found] == [("8.8.8.8", 443)]
        with pytest.raises(socket.gaierror):
            await resolver.resolve("gone.example", 443)
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="temporarily unavailable"):
            await resolver.resolve("files.example", 443)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    asyncio.run(main())
