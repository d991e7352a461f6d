"""Every change of the disk as a point to crash at: what may be left, and what comes of it.

A protocol runs once, to its end, on a strict disk.  At each point remains are drawn; afterwards
each that differs from the others is opened by the real program, judged, opened again, and run to
the end.  Of some, the recovery is itself watched in the same way; and at each point a kill leaves
an archive that is run to the end while the power may fail at each of that run's points.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from archiver.emulator.server import Emulator
from archiver.errors import ArchiverError
from archiver.opening import changing
from tests.crash.strict_disk import Remains, StrictDisk
from tests.crash.survival import (
    Harm,
    Judge,
    Listener,
    Rows,
    ahead,
    around,
    at_once,
    commits_of,
    read,
    rows_of,
    spend_night,
)
from tests.hasty import emulator

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
VENDOR: dict[str, Any] = {
    "videos": 2, "channels": 1, "playlists": 0, "size": (15_000, 22_000),
    "generation_s": (0.0, 0.0), "window_s": 1e9,
}  # fmt: skip


@dataclass
class World:
    """Where a protocol works."""

    root: Path
    vendor: Emulator
    disk: StrictDisk
    listener: Listener = field(default_factory=Listener)
    harm: Harm = field(default_factory=Harm)
    options: dict[str, Any] = field(default_factory=dict)

    async def night(self, **options: Any) -> Any:
        """One run of the whole account."""
        wanted = {**self.options, **options}
        return await spend_night(self.root, self.vendor, self.disk, self.listener, **wanted)


Act: TypeAlias = Callable[[World], Awaitable[Any]]


async def _nothing(_: World) -> None: ...


@dataclass(frozen=True)
class Protocol:
    """Something that the program does to an archive.

    Args:
        work: what is watched; ``before`` brings the archive to where that begins.
        disk: the kind of disk.
        vendor: what differs from ``VENDOR``.
        finish: how an archive is completed afterwards.
    """

    name: str
    work: Act
    before: Act = _nothing
    disk: type[StrictDisk] = StrictDisk
    vendor: dict[str, Any] = field(default_factory=dict)
    finish: Act = World.night


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that a crash may leave, and what had been acknowledged and said by then."""

    remains: Remains
    told: tuple[tuple[str, str], ...]
    where: str
    news: tuple[str, ...] = ()

    def key(self) -> tuple[object, ...]:
        """Equal for cases of which the same must come."""
        tree = hash(tuple(sorted(self.remains.tree.items(), key=lambda item: item[0])))
        ledger = self.remains.ledger
        rows: Rows | bytes | None = rows_of(ledger) if ledger else ledger
        return tree, rows, self.told, self.news

    def listener(self) -> Listener:
        """One who has heard so much."""
        return Listener(told=dict(self.told), words=list(self.news))


@dataclass
class Report:
    """How many points, images and violations a protocol had."""

    points: int = 0
    images: int = 0
    different: int = 0
    nested: int = 0
    runs: int = 0
    counted: int = 0  # images in which bytes of an unfinished download count
    wrong: Counter[str] = field(default_factory=Counter)
    where: dict[str, str] = field(default_factory=dict)

    def add(self, findings: list[str], where: str) -> None:
        """Note what was found."""
        for finding in findings:
            self.wrong[finding] += 1
            self.where.setdefault(finding, where)

    def merge(self, other: Report) -> None:
        """Add what another protocol had."""
        for name in ("points", "images", "different", "nested", "runs", "counted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.wrong.update(other.wrong)


class Trial:
    """One protocol, watched.

    Args:
        images: drawn at each point.
        nested: drawn at each point of a recovery.
        until: end at the first violation of this kind ("I2").
        twin_each: go on after a kill at every so manieth point.
        chosen: looks at the number and the name of a point, and says whether to crash there.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        images: int,
        nested: int,
        seed: int = 1,
        until: str | None = None,
        twin_each: int = 1,
        chosen: Callable[[int, str], bool] = lambda _number, _name: True,
    ) -> None:
        self._protocol, self._images, self._nested = protocol, images, nested
        self._chosen, self._until, self._twin_each = chosen, until, twin_each
        self._chance = random.Random(seed)
        self._survived: set[tuple[object, ...]] = set()
        self._finished: set[tuple[object, ...]] = set()
        self._base = Path(tempfile.mkdtemp(prefix="archiver-crash-", dir=MEMORY))
        self._count = 0
        self.report = Report()

    def run(self) -> Report:
        """Do all of it."""
        try:
            at_once(self._story())
        finally:
            shutil.rmtree(self._base, ignore_errors=True)
        return self.report

    async def _story(self) -> None:
        async with emulator(**{**VENDOR, **self._protocol.vendor}) as vendor:
            self._vendor, self._judge = vendor, Judge(vendor)
            world = self._world(self._fresh())
            with commits_of(world.disk):
                await self._protocol.before(world)
            self._judge.harm = world.harm
            kills: list[tuple[StrictDisk, Case]] = []
            begun = world.disk.points
            cases = await self._watched(
                world, self._protocol.work, self._images, kills, chosen=self._chosen
            )
            self.report.points += world.disk.points - begun
            for case in cases:
                if not self._is_over:
                    await self._survives(case, depth=1)
            for twin, case in kills:
                if not self._is_over:
                    await self._goes_on(twin, case)

    @property
    def _is_over(self) -> bool:
        return self._until in {finding.partition(":")[0] for finding in self.report.wrong}

    def _fresh(self) -> Path:
        self._count += 1
        root = self._base / str(self._count)
        root.mkdir()
        return root

    def _world(self, root: Path) -> World:
        return World(root, self._vendor, self._protocol.disk(root))

    async def _watched(
        self, world: World, work: Act, images: int,
        kills: list[tuple[StrictDisk, Case]] | None = None, label: str = "",
        chosen: Callable[[int, str], bool] = lambda _number, _name: True,
    ) -> list[Case]:  # fmt: skip
        """Run *work* to its end, and return what crashes on the way may leave."""
        disk, cases, seen = world.disk, [], set()
        first = disk.points

        def point(name: str) -> None:
            number = disk.points - first
            if not chosen(number, name):
                return
            where = f"{label}{number} {name}"
            told = tuple(sorted(world.listener.told.items()))
            drawn = [
                disk.after_kill(),
                *(disk.after_power_cut(self._chance) for _ in range(images)),
            ]
            self.report.images += len(drawn)
            for remains in drawn:
                self.report.add(ahead(remains.tree, disk.replaced), where)
            for case in (Case(remains, told, where, world.listener.news) for remains in drawn):
                if (key := case.key()) not in seen:
                    seen.add(key)
                    cases.append(case)
            if kills is not None and self._nested and number % self._twin_each == 0:
                twin = disk.killed_into(self._fresh())
                kills.append((twin, Case(drawn[0], told, where, world.listener.news)))

        disk.point = point
        with commits_of(disk):
            await work(world)
        disk.points += 1
        point("the end")
        disk.point = lambda _name: None
        return cases

    async def _survives(self, case: Case, depth: int) -> None:
        """Judge what a crash left, recover, judge again, and run to the end."""
        key = case.key()
        if key in self._survived:
            return
        self._survived.add(key)
        self.report.different += 1
        jobs = rows_of(case.remains.ledger).jobs
        self.report.counted += any(job[4] == "available" and job[5] for job in jobs)
        told = dict(case.told)
        found = self._judge.findings(case.remains, told)
        self.report.add(found, f"after the crash at {case.where}")
        if found:
            return
        root = self._fresh()
        case.remains.put(root)
        world = self._world(root)
        world.listener = case.listener()
        if depth and self._nested and self.report.different % 3 == 0:
            nested = await self._watched(world, recover, self._nested, label=f"{case.where}, then ")
            self.report.nested += len(nested)
            for inner in nested:
                await self._survives(inner, depth - 1)
        await self._recovered(world, case)
        shutil.rmtree(world.root, ignore_errors=True)

    async def _recovered(self, world: World, case: Case) -> None:
        told, where = dict(case.told), f"after recovery from {case.where}"
        try:
            await recover(world)
            once = read(world.root)
            self.report.add(self._judge.opened(case.remains, once, told), where)
            news = world.listener.news
            self.report.add(self._judge.silent(case.remains, once, told, news), where)
            state = Case(once, case.told, "").key()
            if state in self._finished:
                return
            self._finished.add(state)
            await recover(world)
            if Case(read(world.root), case.told, "").key() != state:
                self.report.add(["I6: a second recovery changed something"], where)
            await self._to_the_end(world, where)
        except ArchiverError as refused:
            self.report.add([f"refused: {refused}"], where)

    async def _to_the_end(self, world: World, where: str) -> None:
        await self._protocol.finish(world)
        self.report.runs += 1
        self.report.add(self._judge.complete(read(world.root), world.listener.told), where)

    async def _goes_on(self, twin: StrictDisk, case: Case) -> None:
        """After a kill, a run to the end, in which the power may fail at any point."""
        world = World(twin.root, self._vendor, twin, case.listener())
        if (key := ("kill", *case.key())) in self._survived:
            return
        self._survived.add(key)
        cases = await self._watched(
            world, self._protocol.finish, self._nested, label=f"{case.where}, killed, then "
        )
        self.report.runs += 1
        self.report.nested += len(cases)
        where = f"killed at {case.where}"
        self.report.add(self._judge.complete(read(world.root), world.listener.told), where)
        for inner in cases:
            await self._survives(inner, 0)
        shutil.rmtree(world.root, ignore_errors=True)


async def recover(world: World) -> None:
    """Open the archive for changes, which finishes what a crash left."""
    surroundings = around(world.disk)
    dest, say = str(world.root / "archive"), world.listener.said
    async with changing(dest, create=True, say=say, surroundings=surroundings):
        pass
