"""Downloads in threads of their own: what is told where, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import pytest

from archiver.adapters import byte_thread as byte_thread_module
from archiver.adapters import byte_workers as byte_workers_module
from archiver.adapters.byte_thread import Opening
from archiver.adapters.byte_workers import ByteWorkers, count_for
from archiver.adapters.clock import SystemClock
from archiver.adapters.download import HttpSource
from archiver.adapters.download_body import Limits
from archiver.adapters.http import tls_context
from archiver.adapters.publish import LocalVault
from archiver.adapters.throttle import Throttle
from archiver.connecting import byte_workers
from archiver.core.model import NOTHING, JobKey, Link, Saved, VideoId
from archiver.errors import CrowdedError, DestinationError, LinkRefusedError
from archiver.ports import Part, Progress
from tests.wire.download_bench import LOCAL, FilePart, trusted, video
from tests.wire.raw_server import File, RawServer, Reply, Request, cut, reply

LONG = 3_000_000


class Follower:
    """Follows a transfer, and notices in which thread."""

    def __init__(self) -> None:
        self.count, self.threads = 0, set[str]()
        self.reported: list[Saved] = []
        self.told: list[str] = []

    def received(self, count: int) -> None:
        self.count += count
        self.note("received")

    async def durable(self, saved: Saved) -> None:
        self.reported.append(saved)
        self.note("durable")

    def note(self, what: str) -> None:
        self.threads.add(threading.current_thread().name)
        self.told.append(what)


def running() -> set[str]:
    """The workers' threads that there are now."""
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name.startswith("bytes-")}


@asynccontextmanager
async def workers(count: int = 2, limits: Limits | None = None) -> AsyncIterator[ByteWorkers]:
    """Real ones, each with the real source."""
    make = partial(HttpSource, account=LOCAL, clock=SystemClock(), limits=limits)
    async with byte_workers(LOCAL, tls_context(None), count, make) as source:
        yield source


def test_every_file_comes_whole_and_is_told_of_here(tmp_path: Path) -> None:
    """Into the production part; what is told comes on the caller's thread, in order."""
    files = {f"/{number}": video(LONG + number, number) for number in range(6)}

    def handler(request: Request) -> Reply:
        return File(files[request.target])(request)

    async def main() -> None:
        async with RawServer(handler) as server, workers(limits=Limits(sync_bytes=500_000)) as to:
            assert running() == set()
            with LocalVault.open(tmp_path / "archive", create=True) as vault:

                async def one(number: int) -> None:
                    name, follower = f"/{number}", Follower()
                    part, _ = await vault.part(JobKey(VideoId(number + 1)), NOTHING)
                    link = Link(f"http://127.0.0.1:{server.port}{name}")
                    saved = await to.fetch(link, NOTHING, part, follower)
                    assert await part.sync() == saved.total == len(files[name])
                    assert await part.read(0, LONG * 2) == files[name]
                    assert follower.count == len(files[name])
                    assert follower.threads == {threading.current_thread().name}
                    assert len(follower.reported) > 1
                    assert follower.told[0] == "received"
                    await part.close()

                async with asyncio.TaskGroup() as tasks:
                    for number in range(len(files)):
                        tasks.create_task(one(number))
            assert running() == {"bytes-0", "bytes-1"}
            assert server.connections <= len(files)
        assert running() == set()

    asyncio.run(main())


def test_a_misfortune_is_the_callers(tmp_path: Path) -> None:
    """As if there were no threads; the worker goes on."""

    async def main() -> None:
        content = video(LONG)
        answers = iter([reply(403, b"no"), reply(200, content)])
        async with RawServer(lambda _: next(answers)) as server, workers(1) as to:
            part = FilePart(tmp_path / "part")
            with pytest.raises(LinkRefusedError, match="403"):
                await to.fetch(Link(server.url), NOTHING, part, Follower())
            await to.fetch(Link(server.url), NOTHING, part, Follower())
            await part.sync()
            assert part.path.read_bytes() == content
            await part.close()

    asyncio.run(main())


def test_a_cancelled_download_has_ended_when_the_caller_goes_on(tmp_path: Path) -> None:
    """L29: what came is synced and recorded first, and the thread lets go of the part."""

    async def main() -> None:
        answer = cut(reply(200, video(LONG)), 2_000_000, "stall")
        async with RawServer(lambda _: answer) as server, workers(1) as to:
            part, follower = FilePart(tmp_path / "part"), Follower()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(to.fetch, Link(server.url), NOTHING, part, follower)
                while follower.count < 1_000_000:
                    await asyncio.sleep(0)
                tasks.cancel_scope.cancel()
            assert follower.reported[-1].bytes == part.durable == part.offset > 0
            await part.close()
            while server.open_connections:
                await asyncio.sleep(0)

    asyncio.run(main())


def test_a_record_that_fails_ends_the_download(tmp_path: Path) -> None:
    """The ledger's disk is full: that is raised where the download was asked for."""

    class Refusing(Follower):
        async def durable(self, saved: Saved) -> None:
            raise DestinationError(f"no room for {saved.bytes}")

    async def main() -> None:
        file, limits = File(video(LONG)), Limits(sync_bytes=500_000)
        async with RawServer(file) as server, workers(1, limits) as to:
            part = FilePart(tmp_path / "part")
            with pytest.raises(DestinationError, match="no room for"):
                await to.fetch(Link(server.url), NOTHING, part, Refusing())
            await part.close()

    asyncio.run(main())


class Idle:
    """A source that waits for ever."""

    def __init__(self, _session: aiohttp.ClientSession) -> None:
        self.began = 0

    async def fetch(self, link: Link, saved: Saved, part: Part, report: Progress) -> Saved:
        report.received(1)
        await asyncio.Event().wait()
        return saved


def test_the_one_with_the_least_to_do_is_next(tmp_path: Path) -> None:
    """And a thread begins with its first download."""
    seen: list[set[str]] = []

    async def main() -> None:
        part = FilePart(tmp_path / "part")
        async with (
            ByteWorkers(aiohttp.ClientSession, Idle, 2) as to,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(3):
                follower = Follower()
                tasks.start_soon(to.fetch, Link("x"), NOTHING, part, follower)
                while not follower.count:
                    await asyncio.sleep(0)
                seen.append(running())
            tasks.cancel_scope.cancel()
        await part.close()

    asyncio.run(main())
    assert seen == [{"bytes-0"}, {"bytes-0", "bytes-1"}, {"bytes-0", "bytes-1"}]


def test_a_thread_that_cannot_begin_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug there ends the run here; its traceback goes where those of threads go."""
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(str(args.exc_value)))

    def opening() -> aiohttp.ClientSession:
        raise RuntimeError("a bug")

    async def main() -> None:
        part = FilePart(tmp_path / "part")
        async with ByteWorkers(opening, Idle, 1) as to:
            with pytest.raises(RuntimeError, match="could not begin"):
                await to.fetch(Link("x"), NOTHING, part, Follower())
        await part.close()

    asyncio.run(main())
    assert told == ["a bug"]


def test_no_descriptor_for_a_thread_is_weather(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L07: said as for any other file, and the next download tries again."""
    honest = byte_thread_module.new_event_loop
    refusals = iter([OSError(errno.EMFILE, "too many")])

    def new_event_loop() -> asyncio.AbstractEventLoop:
        for error in refusals:
            raise error
        return honest()

    async def main() -> None:
        content = video(LONG)
        async with RawServer(File(content)) as server, workers(1) as to:
            monkeypatch.setattr(byte_thread_module, "new_event_loop", new_event_loop)
            part = FilePart(tmp_path / "part")
            with pytest.raises(CrowdedError):
                await to.fetch(Link(server.url), NOTHING, part, Follower())
            saved = await to.fetch(Link(server.url), NOTHING, part, Follower())
            assert saved.total == LONG
            await part.close()

    asyncio.run(main())


def test_no_thread_for_downloads_is_weather(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L07: nobody waits for a thread that never began, and the next download tries again."""
    honest = threading.Thread.start
    refusals = iter([RuntimeError("can't start new thread")])

    def start(self: threading.Thread) -> None:
        for error in refusals:
            raise error
        honest(self)

    async def main() -> None:
        part = FilePart(tmp_path / "part")
        async with RawServer(File(video(LONG))) as server:
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", start)
                async with workers(1) as to:
                    with pytest.raises(CrowdedError, match="no thread"):
                        await to.fetch(Link(server.url), NOTHING, part, Follower())
            async with workers(1) as to:
                saved = await to.fetch(Link(server.url), NOTHING, part, Follower())
                assert saved.total == LONG
        await part.close()

    asyncio.run(main())


def closing_host(tls: ssl.SSLContext, answer: bytes) -> socket.socket:
    """A host that answers one question over TLS as fast as it can, and is done with sending."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, tls.wrap_socket(listening.accept()[0], server_side=True) as line:
            line.recv(65536)
            line.sendall(answer)
            with socket.socket(fileno=socket.dup(line.fileno())) as below:
                below.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):  # newer OpenSSL answers a close, and cannot
                line.recv(1)

    threading.Thread(target=serve, daemon=True).start()
    return listening


def test_a_limit_loses_nothing_of_a_host_that_closes(tmp_path: Path) -> None:
    """D35: it is long done with sending, and the rest of it lies before our own limit."""
    answer = reply(200, video(LONG), "Connection: close").raw
    tls, account = trusted(tmp_path, "127.0.0.1")
    clock = SystemClock()
    make = partial(HttpSource, account=account, clock=clock, throttle=Throttle(2e7, clock))

    async def main() -> None:
        port = closing_host(tls, answer).getsockname()[1]
        verifying, part = tls_context(account.ca_file), FilePart(tmp_path / "part", room=2 * LONG)
        account_there = replace(account, api_url=f"https://127.0.0.1:{port}")
        async with byte_workers(account_there, verifying, 1, make, is_metered=True) as to:
            link = Link(f"https://127.0.0.1:{port}/file.mp4")
            assert (await to.fetch(link, NOTHING, part, Follower())).total == LONG
        await part.close()

    asyncio.run(main())


def told_of_threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What threads that die of an error say from now on."""
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(repr(args.exc_value)))
    return told


async def one_download_each(count: int, opening: Opening, folder: Path) -> None:
    """Let *count* workers begin and end."""
    part = FilePart(folder / "part")
    async with ByteWorkers(opening, Idle, count) as to, anyio.create_task_group() as tasks:
        followers = [Follower() for _ in range(count)]
        for follower in followers:
            tasks.start_soon(to.fetch, Link("x"), NOTHING, part, follower)
        while not all(follower.count for follower in followers):
            await asyncio.sleep(0)
        tasks.cancel_scope.cancel()
    await part.close()


def test_the_threads_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """L26: each may take its time, and all of them no longer than one."""
    told, both = told_of_threads(monkeypatch), threading.Barrier(2)
    monkeypatch.setattr(byte_workers_module, "END_S", 60.0)

    @asynccontextmanager
    async def opening() -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession() as session:
            yield session
        both.wait(10)  # in vain where the other is only told later

    asyncio.run(one_download_each(2, opening, tmp_path))
    assert (told, running()) == ([], set())


def test_a_thread_that_ends_after_its_caller_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hung in the system; nobody is there any more to be told."""
    told, free = told_of_threads(monkeypatch), threading.Event()
    monkeypatch.setattr(byte_workers_module, "END_S", 0.05)

    @asynccontextmanager
    async def opening() -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession() as session:
            yield session
        free.wait()

    asyncio.run(one_download_each(1, opening, tmp_path))
    late = next(each for each in threading.enumerate() if each.name == "bytes-0")
    free.set()
    late.join()
    assert told == []


class Held(Idle):
    """A source whose thread is held up, as in a system call, until *free*; then it does *last*."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        held: threading.Event,
        free: threading.Event,
        last: Callable[[], Saved],
    ) -> None:
        super().__init__(session)
        self._held, self._free, self._last = held, free, last

    async def fetch(self, link: Link, saved: Saved, part: Part, report: Progress) -> Saved:
        if self._held.is_set():
            return await super().fetch(link, saved, part, report)
        self._held.set()
        self._free.wait()
        report.received(1)
        return self._last()


def test_a_thread_that_dies_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug: who was queued there is told, and who comes afterwards as well."""
    told, held, free = told_of_threads(monkeypatch), threading.Event(), threading.Event()

    def die() -> None:
        raise SystemExit("a bug")  # one of the few that end a loop

    def last() -> Saved:
        asyncio.get_running_loop().call_soon(die)
        return NOTHING

    async def main() -> None:
        part = FilePart(tmp_path / "part")
        make = partial(Held, held=held, free=free, last=last)
        async with ByteWorkers(aiohttp.ClientSession, make, 1) as to:

            def one() -> asyncio.Task[Saved]:
                return asyncio.create_task(to.fetch(Link("x"), NOTHING, part, Follower()))

            first = one()
            while not held.is_set():
                await asyncio.sleep(0)
            queued = one()
            await asyncio.sleep(0)
            free.set()
            for task in (queued, one()):
                with pytest.raises(RuntimeError, match="ended before"):
                    await task
            assert await first == NOTHING
        await part.close()

    asyncio.run(main())
    assert (told, running()) == (["SystemExit('a bug')"], set())


def test_a_result_that_comes_after_its_caller_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread hung in the system, and the caller's loop is closed by then."""
    told, held, free = told_of_threads(monkeypatch), threading.Event(), threading.Event()
    monkeypatch.setattr(byte_workers_module, "END_S", 0.05)

    async def main() -> None:
        part = FilePart(tmp_path / "part")
        make = partial(Held, held=held, free=free, last=lambda: NOTHING)
        async with ByteWorkers(aiohttp.ClientSession, make, 1) as to:
            task = asyncio.create_task(to.fetch(Link("x"), NOTHING, part, Follower()))
            while not held.is_set():
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await part.close()

    asyncio.run(main())
    late = next(each for each in threading.enumerate() if each.name == "bytes-0")
    free.set()
    late.join()
    assert (told, caplog.records) == ([], [])


LOOKING_UP = """
import asyncio, socket, threading
from functools import partial
from archiver.account import Account
from archiver.adapters.clock import SystemClock
from archiver.adapters.download import HttpSource
from archiver.adapters.http import tls_context
from archiver.connecting import byte_workers
from archiver.core.model import NOTHING, Link

asked = threading.Event()

def hang(*_, **how):
    asked.set()
    threading.Event().wait()

async def main():
    account, link = Account(), Link("https://files.example/file.mp4")
    make = partial(HttpSource, account=account, clock=SystemClock())
    # Metered: on Python's own loop, whose threads are waited for.
    async with byte_workers(account, tls_context(None), 1, make, is_metered=True) as to:
        task = asyncio.create_task(to.fetch(link, NOTHING, None, None))
        while not asked.is_set():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    left = [each.name for each in threading.enumerate() if each.name.startswith("bytes-")]
    print(task.cancelled(), left)

socket.getaddrinfo = hang
asyncio.run(main())
"""


def test_a_look_up_that_hangs_does_not_hold_up_the_end() -> None:
    """L26: neither that of the thread nor the program's; nothing can end the look-up."""
    command = [sys.executable, "-c", LOOKING_UP]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True []\n", "")


@pytest.mark.parametrize(
    ("processors", "downloads", "count"), [(1, 8, 1), (2, 8, 2), (64, 8, 4), (64, 1, 1)]
)
def test_no_more_threads_than_processors_or_downloads(
    processors: int, downloads: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four at most: Python's lock is shared."""
    here: Callable[[int], set[int]] = lambda _: set(range(processors))  # noqa: E731
    monkeypatch.setattr("os.sched_getaffinity", here)
    assert count_for(downloads) == count
