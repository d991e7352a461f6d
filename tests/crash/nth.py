"""The n-th call of a port fails, n = 1, 2, … until a run never comes to it; once or from then on.

Each failed run must end with a code of the published table and a sentence; nothing is lost by it,
neither as it stands nor after a power cut on top; and the next run completes the archive, also
where that one's own n-th call failed before.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from archiver.adapters.clock import SystemClock
from archiver.adapters.download import HttpSource
from archiver.adapters.vendor.client import VendorClient
from archiver.core.model import Instant
from archiver.core.summary import Summary
from archiver.emulator.server import Emulator
from archiver.errors import (
    ArchiverError,
    BadAnswerError,
    BrokenError,
    CorruptError,
    DeniedError,
    LinkRefusedError,
    NotFoundError,
    WeatherError,
    only,
)
from tests.crash.points import MEMORY, VENDOR, Protocol, World
from tests.crash.protocols import PROTOCOLS
from tests.crash.strict_disk import Folder, StrictDisk
from tests.crash.survival import Judge, Listener, at_once, commits_of, read
from tests.hasty import HastyLoop, emulator

CODES = frozenset({0, 1, 3, 4, 5})
MOST = 2_000  # calls of a port in a run: far more than there are
PATIENCE_S = 600.0  # of a run with a vendor in trouble
DAY_S = 86_400.0


@dataclass
class Nth:
    """Says which calls fail: the one numbered ``at``, and with ``lasting`` all after it."""

    at: int
    lasting: bool = False
    calls: int = 0

    def strikes(self) -> bool:
        """One more call: does it fail?"""
        self.calls += 1
        return self.calls == self.at or (self.lasting and self.calls > self.at)

    @property
    def was_reached(self) -> bool:
        """The run came so far."""
        return self.calls >= self.at


NEVER = Nth(0)


class FailingDisk(StrictDisk):
    """A strict disk whose n-th call fails: with an error, or by writing less than it was given."""

    def __init__(self, root: Path, nth: Nth = NEVER, code: int = errno.EIO, cut: str = "") -> None:
        super().__init__(root)
        self._nth, self._code, self._cut = nth, code, cut

    def _fail(self, name: str) -> bool:
        """Whether this call does less than it should; raises if it fails."""
        frees = name == "unlink" and self._code in (errno.ENOSPC, errno.EDQUOT)
        if frees or (self._cut and name != "pwrite") or not self._nth.strikes():
            return False
        if not self._cut:
            raise OSError(self._code, os.strerror(self._code))
        return True

    def before(self, name: str) -> None:
        super().before(name)
        if name not in ("pwrite", "fsync", "fdatasync") and " " not in name:
            self._fail(name)

    def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
        if self._fail("pwrite"):
            data = data[: len(data) // 2 if self._cut == "half" else 0]
        return super().pwrite(fd, data, offset) if data else 0

    def fsync(self, fd: int) -> None:
        self._synced(fd, "fsync")
        super().fsync(fd)

    def fdatasync(self, fd: int) -> None:
        self._synced(fd, "fdatasync")
        super().fdatasync(fd)

    def _synced(self, fd: int, name: str) -> None:
        try:
            self._fail(name)
        except OSError:
            if not isinstance(self._node(fd), Folder | None):
                self.fail_sync(fd, self._code)
            raise

    def close(self, fd: int) -> None:
        super().close(fd)
        self._fail("close")


class ShakyLedger(sqlite3.Connection):
    """A connection whose n-th statement fails."""

    nth: ClassVar[Nth] = NEVER
    name: ClassVar[str] = ""

    def _fail(self) -> None:
        if self.nth.strikes():
            error = sqlite3.OperationalError(f"made to fail: {self.name}")
            error.sqlite_errorname = self.name
            raise error

    def execute(self, *args: Any) -> sqlite3.Cursor:
        self._fail()
        return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        self._fail()
        return super().executemany(*args)

    def executescript(self, *args: Any) -> sqlite3.Cursor:
        self._fail()
        return super().executescript(*args)


@dataclass(frozen=True)
class Port:
    """What fails, and in which way."""

    name: str
    kind: str
    lay: Callable[[pytest.MonkeyPatch, Nth], None] = lambda _patch, _nth: None
    disk: Callable[[Path, Nth], StrictDisk] = lambda root, _nth: StrictDisk(root)
    modes: tuple[bool, ...] = (False, True)
    vendor: dict[str, Any] = field(default_factory=dict)


def _disk(kind: str, code: int, cut: str = "") -> Port:
    modes = (False,) if cut == "none" else (False, True)
    return Port("disk", kind, disk=lambda root, nth: FailingDisk(root, nth, code, cut), modes=modes)


def _ledger(name: str) -> Port:
    def lay(patch: pytest.MonkeyPatch, nth: Nth) -> None:
        connect = sqlite3.connect

        def shaky(*args: Any, **more: Any) -> sqlite3.Connection:
            if more.get("uri"):
                more["factory"] = ShakyLedger
            made: sqlite3.Connection = connect(*args, **more)
            return made

        patch.setattr(sqlite3, "connect", shaky)
        patch.setattr(ShakyLedger, "nth", nth)
        patch.setattr(ShakyLedger, "name", name)

    return Port("ledger", name, lay)


def _method(port: str, owner: type, names: tuple[str, ...], make: Callable[[], Exception]) -> Port:
    """Methods of *owner*, counted together, raise what *make* makes."""

    def lay(patch: pytest.MonkeyPatch, nth: Nth) -> None:
        def shaky(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **more: Any) -> Any:
                if nth.strikes():
                    raise make()
                return real(*args, **more)

            return call

        for name in names:
            patch.setattr(owner, name, shaky(getattr(owner, name)))

    return Port(port, type(make()).__name__, lay)


def _clock(kind: str, lasting: bool, off_s: float) -> Port:
    """A sleep that ends at once, or long after the time."""

    def lay(patch: pytest.MonkeyPatch, nth: Nth) -> None:
        real = SystemClock.sleep_until

        async def sleep_until(self: SystemClock, at: Instant) -> None:
            if nth.strikes():
                at = Instant(self.now() + off_s if off_s <= 0 else at + off_s)
            await real(self, at)

        patch.setattr(SystemClock, "sleep_until", sleep_until)

    # Nothing but the rate limit makes a run ask the clock: everything else waits for events too.
    modes, vendor = (False, True) if lasting else (False,), {"rate_limit": 1}
    return Port("clock", kind, lay, modes=modes, vendor=vendor)


def _lock(kind: str, code: int) -> Port:
    def lay(patch: pytest.MonkeyPatch, nth: Nth) -> None:
        real = fcntl.flock

        def flock(fd: int, how: int) -> None:
            if nth.strikes():
                raise OSError(code, os.strerror(code))
            real(fd, how)

        patch.setattr(fcntl, "flock", flock)

    return Port("lock", kind, lay)


_CALLS = ("request", "status", "channels", "channel", "video", "account_videos")
_ASKS = ("request", "status")
PORTS = (
    _disk("EIO", errno.EIO), _disk("ENOSPC", errno.ENOSPC), _disk("EDQUOT", errno.EDQUOT),
    _disk("short write", 0, "half"), _disk("no write", 0, "none"),
    _ledger("SQLITE_FULL"), _ledger("SQLITE_IOERR"), _ledger("SQLITE_BUSY"),
    _ledger("SQLITE_CORRUPT"),
    _method("vendor", VendorClient, _CALLS, lambda: WeatherError("http://api", "away")),
    _method("vendor", VendorClient, _ASKS, lambda: BadAnswerError("no JSON")),
    _method("vendor", VendorClient, _ASKS, lambda: NotFoundError("404")),
    _method("vendor", VendorClient, _ASKS, lambda: DeniedError("403")),
    _method("source", HttpSource, ("fetch",), lambda: WeatherError("http://cdn", "away")),
    _method("source", HttpSource, ("fetch",), lambda: LinkRefusedError("403")),
    _method("source", HttpSource, ("fetch",), lambda: BrokenError("cut")),
    _method("source", HttpSource, ("fetch",), lambda: CorruptError("other bytes")),
    _clock("wakes early", False, 0.0), _clock("wakes a day late", True, DAY_S),
    _lock("ENOLCK", errno.ENOLCK), _lock("EWOULDBLOCK", errno.EWOULDBLOCK),
)  # fmt: skip


@dataclass
class Tally:
    """What came of one port's failures."""

    failures: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


NIGHT, *_ = (each for each in PROTOCOLS if each.name == "a first night")
WAYS = ("a repair", "after a repair: other bytes", "a damaged ledger")
BENCHES = [(port, NIGHT) for port in PORTS] + [
    (port, way)
    for way in PROTOCOLS
    for port in PORTS
    if way.name in WAYS and port.name in ("disk", "ledger")
    # A ledger that is lost forgets what was to be repaired, and tells it: another look finds it.
    if port.kind != "SQLITE_CORRUPT"
]


class Bench:
    """Fails one port at one call after the other, in what ends a protocol."""

    def __init__(
        self, port: Port, way: Protocol = NIGHT, *, stride: int = 1, first: int = 1
    ) -> None:
        self._port, self._way, self._stride, self._first = port, way, stride, first
        self._base = Path(tempfile.mkdtemp(prefix="archiver-nth-", dir=MEMORY))
        self._count = 0
        self.tally = Tally()

    def run(self) -> Tally:
        """Do all of it."""
        try:
            at_once(self._story())
        finally:
            shutil.rmtree(self._base, ignore_errors=True)
        return self.tally

    async def _story(self) -> None:
        for lasting in self._port.modes:
            for at in range(self._first, MOST, self._stride):
                config = {
                    **VENDOR,
                    "generation_s": (0.5, 3.0),
                    **self._port.vendor,
                    **self._way.vendor,
                }
                async with emulator(**config) as vendor:
                    if not await self._fails(vendor, at, lasting):
                        break
            else:
                self.tally.wrong.append("the run never came to its end")

    def _fresh(self) -> Path:
        self._count += 1
        root = self._base / str(self._count)
        root.mkdir()
        return root

    async def _fails(self, vendor: Emulator, at: int, lasting: bool) -> bool:
        """One run with a failure, and what follows; False where it was not reached."""
        root, judge = self._fresh(), Judge(vendor, discards=True)
        world = World(root, vendor, StrictDisk(root), options={"max_wait_s": PATIENCE_S})
        with commits_of(world.disk):
            await self._way.before(world)
        judge.harm = world.harm
        if self._port.kind == "SQLITE_CORRUPT":  # it is set aside, and the next opening rebuilds it
            judge.harm.is_ledger_lost = True
        where = f"{self._port.name} {self._port.kind}, call {at}{' and after' * lasting}"
        nth = Nth(at, lasting)
        with self._laid(nth):
            world.disk = self._port.disk(root, nth)
            with commits_of(world.disk):
                code = await self._ended(world, where)
        if not nth.was_reached:
            return False
        self.tally.failures += 1
        self.tally.codes[code] += 1
        await self._is_sound(world, judge, where)
        again = Nth(at * 7 % 50 + 1, lasting)
        with self._laid(again):
            world.disk = self._port.disk(root, again)
            await self._ended(world, f"{where}, then again")
        self._note(judge.findings(read(root), world.listener.told), f"{where}, then again")
        await self._completes(world, judge, where)
        shutil.rmtree(root)
        return True

    @contextmanager
    def _laid(self, nth: Nth) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            self._port.lay(patch, nth)
            yield

    def _note(self, findings: list[str], where: str) -> None:
        self.tally.wrong += [f"{where}: {finding}" for finding in findings]

    async def _ended(self, world: World, where: str) -> int:
        """How a run ended: its code, or 70 for what nobody expected."""
        try:
            summary: Summary = await self._way.finish(world)
        except Exception as error:  # the program's own judgement follows
            told = only(error)
            if isinstance(told, ArchiverError):
                return told.exit_code
            self._note([f"a traceback: {told!r}"], where)
            return 70
        if summary.exit_code not in CODES or (summary.exit_code and not _says_why(summary)):
            self._note([f"ended with {summary.exit_code}: {summary.as_json()}"], where)
        return summary.exit_code

    async def _is_sound(self, world: World, judge: Judge, where: str) -> None:
        """Nothing is lost as it stands, nor by a power cut that follows."""
        told = world.listener.told
        self._note(judge.findings(world.disk.after_kill(), told), where)
        cut = world.disk.after_power_cut(random.Random(self._count))
        self._note(judge.findings(cut, told), f"{where}, then a power cut")
        root = self._fresh()
        cut.put(root)
        twin = replace(world, root=root, listener=Listener(told=dict(told)))
        await self._completes(twin, judge, f"{where}, then a power cut")
        shutil.rmtree(root)

    async def _completes(self, world: World, judge: Judge, where: str) -> None:
        """The next run, in which nothing fails."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HastyLoop)
        loop.jumped_s += DAY_S  # the next night
        world.disk = StrictDisk(world.root)
        code = await self._ended(world, where)
        wrong = judge.complete(read(world.root), world.listener.told)
        self._note([*wrong, *([f"the next run ended with {code}"] if code else [])], where)


def _says_why(summary: Any) -> bool:
    return bool(summary.message or summary.failures or summary.remaining)
