"""What a download never does: trust a strange host, give a secret away, lose its place."""

from __future__ import annotations

import asyncio
import ssl
import traceback
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from aiohttp.abc import ResolveResult

from archiver.account import Account
from archiver.adapters.address_policy import download_resolver
from archiver.adapters.clock import SystemClock
from archiver.adapters.download import HttpSource
from archiver.adapters.download_body import Limits
from archiver.adapters.http import open_sessions
from archiver.adapters.throttle import Throttle
from archiver.core.model import NOTHING, Link, Saved
from archiver.errors import BrokenError, LinkRefusedError, Misfortune, WeatherError
from tests.wire.download_bench import (
    LOCAL,
    SIZE,
    Bench,
    FilePart,
    Told,
    bench,
    benched,
    trusted,
    video,
)
from tests.wire.raw_server import File, RawServer, Reply, cut, in_turn, reply
from tests.wire.test_address_policy import Names


def test_a_trusted_host_is_read_overtrusted(tmp_path: Path) -> None:
    """The owner's own authority counts beside the known ones."""
    content = video()
    tls, account = trusted(tmp_path, "127.0.0.1")

    async def body(b: Bench) -> None:
        await b.fetch()
        assert b.content == content

    bench(tmp_path, File(content), body, account=account, tls=tls)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("unknown authority", "local issuer"),
        ("self-signed", "self-signed"),
        ("another name", "mismatch"),
        ("expired", "expired"),
    ],
)
def test_a_host_with_a_bad_certificate_is_never_read(
    tmp_path: Path, fault: str, reason: str
) -> None:
    """D26: weather, with the host and the reason, and nothing was sent."""
    tls, account = trusted(tmp_path, "other.example" if fault == "another name" else "127.0.0.1")
    if fault in ("unknown authority", "self-signed"):
        account = LOCAL
    if fault == "self-signed":
        authority = trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (tmp_path / "own.pem").write_bytes(
            authority.private_key_pem.bytes() + authority.cert_pem.bytes()
        )
        tls.load_cert_chain(tmp_path / "own.pem")
    if fault == "expired":
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        past = datetime(2020, 1, 1, tzinfo=UTC)
        authority.issue_cert("127.0.0.1", not_after=past).configure_cert(tls)

    async def body(b: Bench) -> None:
        with pytest.raises(WeatherError, match=rf"127\.0\.0\.1.*{reason}"):
            await b.fetch()
        assert b.server.requests == []

    bench(tmp_path, File(video()), body, account=account, tls=tls)


def test_a_host_with_an_old_tls_is_never_read(tmp_path: Path) -> None:
    """D26: a version that is broken is none."""
    tls, account = trusted(tmp_path, "127.0.0.1")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        tls.maximum_version = ssl.TLSVersion.TLSv1_1

    async def body(b: Bench) -> None:
        with pytest.raises(WeatherError, match=r"https://127\.0\.0\.1:\d+ .*(TLS|reset)"):
            await b.fetch()
        assert b.server.requests == []

    bench(tmp_path, File(video()), body, account=account, tls=tls)


def test_a_host_in_the_clear_is_never_read_as_https(tmp_path: Path) -> None:
    """D26: it says so in words, and the address stays where it is."""

    async def clear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 No\r\n\r\n")
        writer.close()

    async def body(b: Bench) -> None:
        server = await asyncio.start_server(clear, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            with pytest.raises(WeatherError, match=f"127.0.0.1:{port} .*does not speak TLS"):
                await b.fetch(url=f"https://127.0.0.1:{port}/x")
        finally:
            server.close()
            await server.wait_closed()

    bench(tmp_path, in_turn(), body)


def test_a_redirect_never_leads_from_https_to_http(tmp_path: Path) -> None:
    """D21: not even where plain http is allowed."""
    tls, account = trusted(tmp_path, "127.0.0.1")
    account = replace(account, allow_insecure_http=True)

    async def body(b: Bench) -> None:
        with pytest.raises(LinkRefusedError, match="https to http"):
            await b.fetch()
        assert len(b.server.requests) == 1

    down = reply(302, b"", "Location: http://127.0.0.1:1/x")
    bench(tmp_path, in_turn(down), body, account=account, tls=tls)


def test_a_redirect_to_another_host_takes_nothing_along(tmp_path: Path) -> None:
    """D22: the other host hears of the range, and of nothing else that is ours."""
    content, before = video(), video()[:200_000]

    async def main() -> None:
        async with RawServer(File(content)) as other:
            there = reply(302, b"", f"Location: {other.url}", "Set-Cookie: id=1")

            async def body(b: Bench) -> None:
                await b.fetch(b.saved(before, total=SIZE))
                assert b.content == content
                (request,) = other.requests
                assert set(request.headers) <= {
                    "host", "accept", "accept-encoding", "user-agent", "range", "if-range", "",
                }  # fmt: skip

            await benched(tmp_path, in_turn(there), body, before=before)

    asyncio.run(main())


def test_a_name_that_leads_inside_is_not_connected_to(tmp_path: Path) -> None:
    """D23: the resolver's answer is what counts, and the address is refused for it."""
    account = Account(allow_insecure_http=True)

    async def body(b: Bench) -> None:
        with pytest.raises(LinkRefusedError, match=r"rebind\.example leads to a private"):
            await b.fetch(url=f"http://rebind.example:{b.server.port}/x?signature=s3cr")
        assert b.server.connections == 0

    bench(tmp_path, File(video()), body, account=account, names=Names("127.0.0.1"))


def test_a_name_that_changes_its_address_gains_nothing(tmp_path: Path) -> None:
    """D23: what was checked is what is connected to; each new connection is checked anew."""
    account = replace(LOCAL, allow_insecure_http=True)

    class Rebinding(Names):
        async def resolve(self, host: str, port: int = 0, *args: Any) -> list[ResolveResult]:
            found = await super().resolve(host, port, *args)
            self.addresses = ("10.0.0.1",)
            return found

    async def body(b: Bench) -> None:
        with pytest.raises(LinkRefusedError, match=r"rebind\.example leads to a private"):
            await b.fetch(url=f"http://rebind.example:{b.server.port}/x?signature=s3cr")
        assert [r.headers["host"] for r in b.server.requests] == [f"rebind.example:{b.server.port}"]

    again = reply(302, b"", "Location: http://rebind.example:1/x")
    bench(tmp_path, in_turn(again), body, account=account, names=Rebinding("127.0.0.1"))


@pytest.mark.parametrize(
    "place",
    ["10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "2130706433", "0x7f.1",
     "localhost", "printer", "nas.local", "metadata.google.internal", "x.localhost."],
)  # fmt: skip
def test_a_proxy_is_never_asked_for_what_lies_inside(tmp_path: Path, place: str) -> None:
    """D23: it resolves names itself, so names and literals are refused as they stand."""

    async def main() -> None:
        there = reply(302, b"", f"Location: http://{place}/secret")
        async with RawServer(in_turn(there)) as proxy:
            account = Account(proxy=f"http://127.0.0.1:{proxy.port}", allow_insecure_http=True)
            async with open_sessions(
                account, download_resolver=download_resolver(account)
            ) as sessions:
                source = HttpSource(sessions.downloads, account, SystemClock())
                part = FilePart(tmp_path / "part")
                for url in (f"http://{place}/x", "http://cdn.example/x"):
                    with pytest.raises(LinkRefusedError):
                        await source.fetch(Link(url), NOTHING, part, Told())
                await part.close()
            assert proxy.targets() == ["http://cdn.example/x"]

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        Reply(b"SSH-2.0-OpenSSH_9.9\r\n", "close"),
        Reply(b"HTTP/1.1 200 OK\r\nBad Header\x00: s3cr\r\n\r\n", "close"),
        Reply(b"", "close"),
        reply(403, b"no"),
        reply(503),
        reply(302, b"", "Location: http://[::1?signature=s3cr"),
        reply(302, b"", "Location: http://u:s3cr@127.0.0.1/"),
        reply(302, b"", "Location: //?signature=s3cr"),
        cut(reply(200, video()), 1000),
        cut(reply(200, video()), 1000, "close"),
    ],
)
def test_no_failure_tells_the_signature(tmp_path: Path, answer: Reply) -> None:
    """S03: neither the text nor the trace of any failure holds the address's query."""

    async def body(b: Bench) -> None:
        with pytest.raises(Misfortune) as caught:
            await b.fetch()
        assert "s3cr" not in "".join(traceback.format_exception(caught.value))

    bench(tmp_path, lambda r: answer, body)


@pytest.mark.parametrize(
    "url",
    [
        "", "http://", "http://[::1", "no address", "http://127.0.0.1:x/",
        "https://a..b/x", f"https://{'a' * 64}.example/",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    """The vendor's word is not trusted to be an address."""

    async def body(b: Bench) -> None:
        with pytest.raises(LinkRefusedError):
            await b.fetch(url=url or "%")

    bench(tmp_path, in_turn(), body)


@pytest.mark.parametrize("size", [140_000, SIZE, 1_000_000])
def test_a_limit_slower_than_the_host_loses_nothing(tmp_path: Path, size: int) -> None:
    """D35: the host sends all and closes while we still read at our own pace."""
    content = video(size)

    async def breath(seconds: float) -> None:
        assert seconds > 0
        await asyncio.sleep(0.002)

    async def body(b: Bench) -> None:
        saved = await b.fetch()
        assert b.content == content
        assert saved.total == size

    throttle = Throttle(1e6, SystemClock(), breath)
    bench(tmp_path, lambda r: reply(200, content, then="close"), body, throttle=throttle)


def test_the_ledger_knows_before_saved_bytes_are_dropped(tmp_path: Path) -> None:
    """A crash in between must not leave a record of bytes that are another file's by then."""
    content, before = video(seed=2), video()[:200_000]

    async def body(b: Bench) -> None:
        seen: list[tuple[Saved, int]] = []

        class Watch:
            def received(self, count: int) -> None:
                pass

            async def durable(self, saved: Saved) -> None:
                seen.append((saved, b.part.offset))

        b.told = Watch()  # type: ignore[assignment]
        await b.fetch(b.saved(before, total=SIZE))
        assert seen[0] == (NOTHING, 200_000)
        assert b.content == content

    bench(tmp_path, File(content, '"two"'), body, before=before)


class LingeringPart(FilePart):
    """A part on a slow disk, which notices two hands at once."""

    busy = False

    def filled(self, count: int) -> None:
        assert not self.busy
        super().filled(count)

    async def sync(self) -> int:
        assert not self.busy
        self.busy = True
        for _ in range(50):
            await asyncio.sleep(0)
        self.busy = False
        return await super().sync()


def test_a_sync_that_began_is_finished_before_the_last_sync(tmp_path: Path) -> None:
    """Cancelled in the middle of a sync: it ends, and what it made durable is recorded."""
    content = video()

    async def body(b: Bench) -> None:
        slow = LingeringPart(tmp_path / "slow")
        b.part = slow
        task = asyncio.create_task(b.fetch())
        while not slow.busy:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not slow.busy
        assert b.last.bytes == slow.durable > 0
        assert b.content == content[: slow.durable]
        await slow.close()

    bench(tmp_path, File(content), body, limits=Limits(sync_bytes=100_000))


def test_what_came_is_kept_when_a_whole_run_is_cancelled(tmp_path: Path) -> None:
    """A cancelled scope cancels again at every await; the last sync and its record still end."""

    async def body(b: Bench) -> None:
        slow = LingeringPart(tmp_path / "slow")
        b.part = slow
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(b.fetch)
            while b.told.count < 100_000:
                await asyncio.sleep(0)
            tasks.cancel_scope.cancel()
        assert not slow.busy
        assert b.last.bytes == slow.durable > 0
        await slow.close()

    bench(tmp_path, lambda r: cut(reply(200, video()), 100_000, "stall"), body)


def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Within the time that an interrupt leaves, recorded or not."""

    class Hanging(FilePart):
        async def sync(self) -> int:
            await asyncio.Event().wait()
            return 0

    async def body(b: Bench) -> None:
        b.part = Hanging(tmp_path / "hanging")
        task = asyncio.create_task(b.fetch())
        while b.told.count < 100_000:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert b.told.reported == []
        await b.part.close()

    answer = cut(reply(200, video()), 100_000, "stall")
    bench(tmp_path, lambda r: answer, body, limits=Limits(keep_s=0.05))


def test_a_break_with_nothing_new_records_nothing(tmp_path: Path) -> None:
    """A transfer that brought nothing is no progress."""
    before = video()[:200_000]

    async def body(b: Bench) -> None:
        with pytest.raises(BrokenError):
            await b.fetch(b.saved(before, total=SIZE))
        assert b.told.reported == []
        assert b.content == before

    file = File(video())
    bench(tmp_path, lambda r: cut(file(r), 1000, "close"), body, before=before)
