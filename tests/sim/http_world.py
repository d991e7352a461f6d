"""Worlds of the third kind: the real program, the real client and the real emulator, in memory.

Only time, the network and the death of a process are simulated: the program is entered by its front
door, its ledger is SQLite, its files lie in a folder.  One seed is one world: an account, a line, a
vendor's limits, the misfortunes that exist in it and how often they strike, several nights with
crashes and interruptions, and in the end calm nights in which everything must come home.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import math
import os
import random
import shutil
import tempfile
from collections import Counter
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

import anyio

from archiver import archive
from archiver.account import Account, Secret
from archiver.adapters.clock import SystemClock
from archiver.core.selection import AccountSource
from archiver.core.summary import Summary
from archiver.emulator.server import Emulator
from archiver.run_options import RunOptions
from archiver.surroundings import Surroundings
from tests.sim import network
from tests.sim.fate import BrokenPromiseError, story
from tests.sim.http_drawn import CRASH, FAULTS, INTERRUPT, OWNER_FAULTS, SKEW, STEP, Drawn, draw
from tests.sim.loop import OWNER, DeadlockError, LivelockError, SimLoop, simulate
from tests.sim.outcome import Outcome
from tests.sim.promises import Told, Watch, Witness, promise

__all__ = ["FAULTS", "lived", "run"]

EPOCH = 1_764_000_000.0
NIGHT_MOST_S = 20 * 86_400.0  # more is no night
CALM_NIGHTS = 4  # enough for everything that can be had
STOP_S = 5.0  # an interrupted run ends so soon


def run(seed: int, faults: frozenset[str] | None = None) -> Outcome:
    """See ``tests.sim.outcome.Kind``."""
    return lived(draw(seed, faults))


def lived(drawn: Drawn) -> Outcome:
    """Live one world through, as it was drawn."""
    loop = SimLoop(drawn.seed)
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    collecting = gc.isenabled()
    gc.disable()  # what a finalizer does must not depend on when it comes
    try:
        with (
            tempfile.TemporaryDirectory(dir=memory) as base,
            network.deterministic(loop, drawn.seed),
        ):
            return _World(loop, drawn, Path(base)).outcome()
    finally:
        if collecting:
            gc.enable()


@dataclass
class _Process:
    """One life of the program."""

    owner: str
    watch: Watch
    stop: anyio.Event
    task: asyncio.Task[Summary]
    interrupted_at: float | None = None


class _World:
    def __init__(self, loop: SimLoop, drawn: Drawn, base: Path) -> None:
        self.loop, self.drawn, self.base = loop, drawn, base
        self.vendor = Emulator(drawn.config, clock=lambda: EPOCH + loop.time())
        self.told, self.fired = Told(), Counter[str]()
        self.witness = Witness(self.vendor.world, self.told)
        self.folders = 0
        self.dest = base / "archive-0"
        self.step_s = 0.0
        self.crashes = drawn.crashes
        self.trace, self.events = hashlib.sha256(), 0
        self.doing = "making the world"

    def outcome(self) -> Outcome:
        """Live it through."""
        failure = ""
        try:
            simulate(self.loop, self._live())
        except (BrokenPromiseError, DeadlockError, LivelockError) as broken:
            failure = f"{self.doing}: {broken}"
        except Exception as error:
            failure = f"{self.doing}: {type(error).__name__}: {error}"
        if SKEW in self.drawn.faults:
            self.fired[SKEW] += 1
        fired = self.fired + self.vendor.world.faults.fired + self.net.fired
        return Outcome(
            self.drawn.faults, dict(fired), self.trace.hexdigest(), failure, self.events,
            self.loop.time(),
        )  # fmt: skip

    def note(self, what: str, of: object) -> None:
        """A line of the trace."""
        self.trace.update(f"{self.loop.time():.6f} {what} {of}\n".encode())
        if what[-1] not in "<>" and story.isEnabledFor(logging.INFO):  # bytes are no story
            story.info("%.3f  %s  %s", self.loop.time(), of, what)
        self.events += 1

    async def _live(self) -> None:
        drawn, vendor = self.drawn, self.vendor
        for video, size in zip(vendor.world.account.videos.values(), drawn.sizes, strict=True):
            video.size, video.length_s = size, round(size / 1e5, 3)
        await self._at_the_vendor()
        try:
            for number in range(drawn.nights):
                self._misfortunes()
                await self._night(f"night {number}")
                await self._day(number)
            await self._calm()
        finally:
            await vendor.close()

    async def _at_the_vendor(self) -> None:
        """The vendor's own tasks belong to nobody's process."""
        context = copy_context()
        context.run(OWNER.set, "vendor")
        opening = self.vendor.open(network.API, network.FILES)
        await self.loop.create_task(opening, context=context)
        origins = (network.API, network.FILES)
        self.net = network.Network(
            self.loop, {origin: self.vendor.server_of(origin) for origin in origins},
            self.drawn.seed, self.drawn.way, heard=self.note,
        )  # fmt: skip

    def _misfortunes(self) -> None:
        self.vendor.world.faults.set(self.drawn.specs)
        self.net.chances = self.drawn.chances

    # Nights

    async def _night(self, name: str, *, calm: bool = False) -> Summary | None:
        """One run; None where it crashed."""
        self.doing = name
        open_before = _descriptors()
        process = self._started(name)
        if not calm:
            self._plan_the_end(process)
        done, _ = await asyncio.wait({process.task}, timeout=NIGHT_MOST_S)
        promise(done, f"still at work after {NIGHT_MOST_S:g} s: {process.task.get_stack()}")
        promise(not process.watch.failure, process.watch.failure)
        if not process.watch.is_alive:
            return None
        summary = process.task.result()
        self.note("ended", (summary.outcome, summary.exit_code))
        if process.interrupted_at is not None:
            took_s = self.loop.time() - process.interrupted_at
            promise(took_s <= STOP_S, f"it took {took_s:.1f} s to stop")
        await asyncio.sleep(1.0)  # what it closed is gone
        self._is_nothing_left(process, open_before)
        self._holds(summary, calm=calm)
        return summary

    def _started(self, name: str) -> _Process:
        stop, watch = anyio.Event(), Watch(self.told, self.note, self._watched)
        around = Surroundings(
            clock=lambda: SystemClock(
                wall=lambda: EPOCH + self.loop.time() + self.step_s, elapsed=self.loop.time
            ),
            connector=self.net.connector,
        )
        context = copy_context()
        context.run(OWNER.set, name)
        running = archive.run(str(self.dest), self._account(), self._options(), watch, stop, around)
        task = self.loop.create_task(running, context=context)
        return _Process(name, watch, stop, task)

    def _account(self) -> Account:
        vendor = self.vendor
        return Account(
            api_url=vendor.api_url, token_url=vendor.token_url, client_id=vendor.client_id,
            client_secret=Secret(vendor.client_secret),
        )  # fmt: skip

    def _options(self) -> RunOptions:
        drawn = self.drawn
        return RunOptions(
            sources=(AccountSource(),), downloads=drawn.downloads, requests=drawn.requests,
            limit_rate=drawn.limit_rate, max_wait_s=drawn.max_wait_s, accept_shrunk=True,
            extras=drawn.extras, extras_calls=drawn.extras_calls,
            accept_replaced=True,
        )  # fmt: skip

    def _plan_the_end(self, process: _Process) -> None:
        """A process may be killed, or asked to stop, in any turn of the loop."""
        dice = self.drawn.dice
        if CRASH in self.drawn.faults and self.crashes:
            self.loop.at_step(self._soon(dice), lambda: self._kill(process))
        if INTERRUPT in self.drawn.faults and dice.random() < 0.5:
            self.loop.at_step(self._soon(dice), lambda: self._interrupt(process))

    def _soon(self, dice: random.Random) -> int:
        return self.loop.steps + int(10 ** dice.uniform(0.5, 4.3))

    def _interrupt(self, process: _Process) -> None:
        if not process.task.done() and process.watch.is_alive:
            self.fired[INTERRUPT] += 1
            process.interrupted_at = self.loop.time()
            process.stop.set()

    def _kill(self, process: _Process) -> None:
        """The power goes: what is on the disk now is all that the next process will find.

        It goes on with a copy, so whatever the dead one still does to clean up is in vain.
        """
        if process.task.done():
            return
        self.fired[CRASH] += 1
        self.crashes -= 1
        self.note("crash", process.owner)
        process.watch.is_alive = False
        self.net.kill(process.owner)
        self.folders += 1
        image = self.base / f"archive-{self.folders}"
        if self.dest.exists():
            self._look(process)
            shutil.copytree(self.dest, image, symlinks=True)
        self.dest = image
        process.task.cancel()

    def _look(self, process: _Process) -> None:
        try:
            self.witness.look(self.dest)
        except BrokenPromiseError as broken:
            process.watch.failure = process.watch.failure or f"at the crash: {broken}"

    async def _day(self, number: int) -> None:
        """What happens between two nights."""
        dice = self.drawn.dice
        await asyncio.sleep(10 ** dice.uniform(0, 5))
        if STEP in self.drawn.faults:
            self.fired[STEP] += 1
            self.step_s = dice.choice([-86_400.0, -3600.0, 0.0, 3600.0, 86_400.0])
        for name in sorted(OWNER_FAULTS & self.drawn.faults):
            videos = self.vendor.world.account.videos
            if dice.random() < 0.5 and len(videos) > 2:
                self.fired[name] += 1
                self._owner_does(name, dice.choice(sorted(videos)), number)

    def _owner_does(self, name: str, video: int, number: int) -> None:
        vendor = self.vendor.world
        match name:
            case "replaced-video":
                vendor.replace_video(video, size=vendor.account.videos[video].size + 9999)
            case "deleted-video":
                vendor.delete_video(video)
            case "renamed-video":
                vendor.rename_video(video, f"Another title {number}")
            case "new-video":
                vendor.add_video(size=50_000 + number)
            case _:
                raise ValueError(name)

    async def _calm(self) -> None:
        """Once misfortune is over, everything that can be had is archived, and then stays so."""
        vendor = self.vendor.world
        vendor.faults.set(())
        self.net.chances = {}
        for video in vendor.account.videos.values():
            video.captions = [each for each in video.captions if each.status == "active"]
        for version in vendor.versions:
            if math.isinf(version.ready_at):
                vendor.forget(version.video_id, version.format)
        # What was "not found" and is listed all the same is asked for again after a day.
        await asyncio.sleep(2 * 86_400.0)
        summary: Summary | None = None
        for number in range(CALM_NIGHTS):
            summary = await self._night(f"calm night {number}", calm=True)
            # What was replaced before it was asked for looks as if it grew: it waits for a night.
            if summary is not None and summary.exit_code == 0 and not summary.skipped:
                break
            await asyncio.sleep(86_400.0)
        if not self.drawn.is_feasible:
            return
        assert summary is not None
        wanted = [f"{f.video}: {f.state}, {f.reason}" for f in summary.failures]
        promise(summary.exit_code == 0, f"not archived in calm nights: {summary.message} {wanted}")
        states = self.witness.states(self.dest)
        missing = {
            video: states.get(video)
            for video in vendor.account.videos
            if states.get(video, ("never listed",))[0] != "archived"
        }
        promise(not missing, f"exit code 0, and these are not archived: {missing}")
        if self.drawn.extras_calls is None and self.drawn.config.rate_limit is None:
            promise(not summary.extras_missing, f"{summary.extras_missing} extras are missing")
        await self._rest()

    async def _rest(self) -> None:
        """A night with nothing to do lists, and does nothing else.

        Where listings were false, one more night may see what it takes for replaced videos.
        """
        changed = False
        for _ in range(2 if self.drawn.faults else 1):
            before = self._work()
            await asyncio.sleep(86_400.0)
            await self._night("a night with nothing to do", calm=True)
            changed = self._work() != before
            if not changed:
                break
        promise(not changed, "something was asked for in a night with nothing to do")

    def _work(self) -> tuple[int, ...]:
        """Calls and downloads beyond listing, so far."""
        stats = self.vendor.stats
        kinds = ["posts", "polls", "downloads"]
        if not self.drawn.extras:  # which have ages at which they are looked at again
            kinds.append("details")
        return tuple(stats[kind] for kind in kinds)

    # Promises

    def _watched(self) -> None:
        """After every fact."""
        vendor = self.vendor
        stats = vendor.stats
        promise(not stats["credential_leaks"], "a credential reached the download host")
        promise(not stats["unguarded_ranges"], "a file was gone on with without If-Range")
        promise(not self.net.forbidden, f"connected to {self.net.forbidden}")
        drawn = self.drawn
        if drawn.is_punctual:
            late = drawn.is_near and stats["late_downloads"]
            promise(not late, "a download was begun after its address ran out")
            promise(not stats["impatient"], "a call was made before the limit's reset")
        for name, posts in vendor.world.posts.items():
            asked = self.told.asked[name]
            promise(posts <= asked, f"{posts} POSTs for {name}, {asked} were announced")
        if not drawn.faults:
            busy = stats["downloads_in_flight_most"], stats["api_in_flight_most"]
            promise(busy[0] <= drawn.downloads, f"{busy[0]} downloads at a time")
            promise(busy[1] <= drawn.requests + 2, f"{busy[1]} calls at a time")

    def _is_nothing_left(self, process: _Process, open_before: int) -> None:
        owner = process.owner
        left = [task for task in self.loop.tasks.pop(owner, []) if not task.done()]
        promise(not left, f"tasks are left: {left}")
        timers = self.loop.timers(owner)
        promise(not timers, f"timers are left: {timers}")
        promise(not self.net.left_open(owner), "connections are left open")
        most, allowed = self.net.most_open[owner], self.drawn.downloads + self.drawn.requests + 4
        promise(most <= allowed, f"{most} connections at a time")
        opened = _descriptors()
        promise(opened == open_before, f"{opened - open_before} descriptors are left open")

    def _holds(self, summary: Summary, *, calm: bool) -> None:
        self._watched()
        self.witness.look(self.dest)
        self.witness.the_bag(self.dest)
        self.witness.no_temporary_file(self.dest)
        rest = summary.remaining + summary.parked
        sums = summary.already_archived + summary.archived + summary.skipped + summary.gone + rest
        promise(sums == summary.selected, f"{sums} of {summary.selected} videos are told of")
        if summary.exit_code == 0:
            promise(not rest, f"exit code 0, and {rest} videos are not archived")
        if not self.drawn.faults and self.drawn.is_feasible:
            posts = self.vendor.world.posts
            promise(all(count == 1 for count in posts.values()), f"more than one POST: {posts}")
            promise(not summary.expired, f"{summary.expired} addresses ran out on a calm day")


def _descriptors() -> int:
    """How many files this process has open; 0 where the system does not say."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
