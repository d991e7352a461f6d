"""The pure core in thousands of random worlds: what is decided, without anything that does it.

Nothing is real: a heap of steps in the air, a vendor of a few lines, misfortunes of which each seed
draws its own subset, crashes and new runs in between.  ``--seed N`` replays one world.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, replace

from archiver.core import lifecycle as life
from archiver.core.admission import is_outstanding
from archiver.core.learning import Learnt
from archiver.core.lifecycle import Event, apply
from archiver.core.model import (
    NEVER,
    NOTHING,
    Holding,
    Instant,
    Job,
    JobKey,
    JobState,
    Link,
    Saved,
    VideoId,
)
from archiver.core.schedule import margin_s, plan, poll_at, retry_at
from archiver.core.steps import Budget, Expire, Fetch, GiveUp, Policy, Poll, Publish, Request, Step

POLICY = Policy()
WORLDS = 25  # a seed; each takes a few milliseconds
NIGHTS_MOST = 60
STEPS_MOST = 20_000  # of one night: more is a loop without an end
MISFORTUNES = (
    "post lost", "answer lost", "unavailable", "forgotten", "no expiry", "expired at once",
    "refused", "broken", "corrupt", "lost on disk", "away", "nonsense", "not found", "denied",
)  # fmt: skip


@dataclass
class Version:
    """What the vendor prepared for one video."""

    ready_at: float
    ends_at: float


class World:
    """A vendor, a line and a disk; each misfortune strikes a bounded number of times."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.now = Instant(1e9 + dice.random())
        self.window_s = dice.choice([8.0, 300.0, 86_400.0, 1e7])
        self.rate = 10.0 ** dice.uniform(4, 9)
        self.slots, self.requests = dice.randint(1, 8), dice.randint(1, 8)
        count = dice.randint(1, 25)
        self.sizes = {VideoId(n): int(10 ** dice.uniform(2, 9)) for n in range(1, count + 1)}
        self.chance = {
            name: dice.random() * 0.5 for name in MISFORTUNES if dice.random() < 0.35
        }  # fmt: skip
        self.left = Counter({name: dice.randint(1, 3 * count) for name in self.chance})
        self.crashes = dice.choice([0, 0, 1, 5])
        self.versions: dict[VideoId, Version] = {}
        self.unanswered: set[VideoId] = set()  # posted, and nothing heard since
        self.away_until = 0.0

    def strikes(self, name: str) -> bool:
        if not self.left[name] or self.dice.random() >= self.chance[name]:
            return False
        self.left[name] -= 1
        return True

    def post(self, video: VideoId) -> None:
        """The POST takes effect."""
        assert video not in self.unanswered, "asked twice without listening in between"
        self.unanswered.add(video)
        version = self.versions.get(video)
        if version is None or version.ends_at <= self.now:
            ready_at = self.now + self.dice.expovariate(1 / 20)
            self.versions[video] = Version(ready_at, ready_at + self.window_s)

    def jobs(self) -> dict[JobKey, Job]:
        """As a first listing brings them; some sizes are not told, some are lies."""
        told = [None, lambda size: size, lambda size: size, lambda _: 10**10]
        found = {}
        for video, size in self.sizes.items():
            say = self.dice.choice(told)
            key = JobKey(video)
            found[key] = Job(key, expected_bytes=None if say is None else say(size))
        return found


class Night:
    """One run: what the engine and the hands do, without waiting for anything."""

    def __init__(self, world: World, jobs: dict[JobKey, Job]) -> None:
        self.world, self.rows = world, jobs  # the rows survive a crash
        self.live = {key: job for key, job in jobs.items() if not job.state.is_final}
        self.air: list[tuple[float, int, Step, Event]] = []
        self.busy: dict[JobKey, Step] = {}
        self.strikes: Counter[JobKey] = Counter()
        self.learnt = Learnt(world.slots)
        self.number = 0

    def spend(self) -> bool:
        """Until nothing is left to do; False where a crash came first."""
        world = self.world
        for _ in range(STEPS_MOST):
            if world.crashes and world.dice.random() < 0.02:
                world.crashes -= 1
                return False
            wake_at = self.start()
            if not self.busy and not self.live:
                return True
            next_at = min(wake_at, self.air[0][0] if self.air else NEVER)
            assert next_at < NEVER, f"asleep with work to do: {self.live}"
            world.now = Instant(max(world.now, next_at))
            while self.air and self.air[0][0] <= world.now:
                _, _, step, event = heapq.heappop(self.air)
                self.record(step.key, event)
                del self.busy[step.key]
        raise AssertionError(f"a night without an end: {self.live}")

    def start(self) -> Instant:
        budget = self.budget()
        made = plan(self.live.values(), self.busy.keys(), self.world.now, budget, POLICY)
        assert made.wake_at > self.world.now
        keys = [step.key for step in made.steps]
        assert len(keys) == len(set(keys))
        assert not self.busy.keys() & set(keys)
        kinds = Counter(type(step) for step in made.steps)
        assert kinds[Request] + kinds[Poll] <= budget.calls
        assert kinds[Poll] <= max(0, budget.polls)
        assert kinds[Fetch] <= max(0, budget.fetches)
        for step in made.steps:
            self.busy[step.key] = step
            self.number += 1
            took_s, event = self.begin(step)
            heapq.heappush(self.air, (self.world.now + took_s, self.number, step, event))
        if kinds[Request]:
            self.is_bounded(budget)
        return made.wake_at

    def is_bounded(self, budget: Budget) -> None:
        young = [job for job in self.live.values() if is_outstanding(job) and self.is_young(job)]
        left = [max(0, (job.size_bytes or 0) - job.saved.bytes) for job in young]
        assert len(young) <= 1 or sum(left) <= budget.bytes_most
        assert sum(left) <= budget.disk_bytes

    def is_young(self, job: Job) -> bool:
        return job.asked_at is not None and self.world.now - job.asked_at < 60

    def budget(self) -> Budget:
        world, learnt = self.world, self.learnt
        kinds = Counter(type(step) for step in self.busy.values())
        away = world.now < world.away_until
        calls = 0 if away else world.requests - kinds[Request] - kinds[Poll]
        return Budget(
            calls=calls, more_at=Instant(world.away_until if away else world.now + 1),
            polls=max(1, world.requests // 2) - kinds[Poll], fetches=world.slots - kinds[Fetch],
            line_is_idle=not kinds[Fetch], files_most=learnt.files_most,
            bytes_most=learnt.bytes_most(), disk_bytes=1e13, typical_bytes=learnt.typical_bytes,
            window_s=learnt.window_s, rate_bytes_s=learnt.meter.rate_bytes_s,
            generation_s=learnt.generation_s or 0.0,
        )  # fmt: skip

    def begin(self, step: Step) -> tuple[float, Event]:
        """Do a step at once, and say what comes of it and when."""
        world, job = self.world, self.live[step.key]
        latency_s = world.dice.uniform(0.01, 0.5)
        match step:
            case Request():
                job = self.record(step.key, life.Asked(world.now))
                return latency_s, self.asked(job, posted=True)
            case Poll():
                return latency_s, self.asked(job, posted=False)
            case Fetch():
                return self.fetch(job)
            case Publish():
                if world.strikes("lost on disk"):
                    return latency_s, life.Corrupt(world.now, "lost", world.now)
                one = Holding(job.key.video_id, "video", "mp4", 1, "data/x", 1, "", world.now)
                return latency_s, life.Stored((one,))
            case Expire():
                self.learnt.late()
                return 0.0, life.RanOut(world.now, self.later(job))
            case GiveUp(_, reason):
                return 0.0, life.GaveUp(reason)

    def asked(self, job: Job, *, posted: bool) -> Event:
        world, now, video = self.world, self.world.now, job.key.video_id
        if world.strikes("away"):
            world.away_until = now + world.dice.uniform(1, 4000)
        if now < world.away_until or (posted and world.strikes("post lost")):
            return life.Hindered("away", Instant(now + 1))
        if posted and world.strikes("unavailable"):
            return life.Unavailable(now, self.later(job), "not now")
        for name in ("not found", "denied"):
            if posted and world.strikes(name):
                return life.NotFound() if name == "not found" else life.GaveUp("denied")
        if posted:
            world.post(video)
        if world.strikes("answer lost"):
            return life.Hindered("lost", Instant(now + 1))
        if world.strikes("nonsense"):
            return life.Delayed(now, "nonsense", self.later(job))
        world.unanswered.discard(video)
        if not posted and world.strikes("forgotten"):
            world.versions.pop(video, None)
        return self.answer(job, posted=posted)

    def answer(self, job: Job, *, posted: bool) -> Event:
        world, now, learnt = self.world, self.world.now, self.learnt
        version = world.versions.get(job.key.video_id)
        if version is None or version.ends_at <= now:
            intent_alone = job.state is JobState.DISCOVERED and not job.reason
            due_at = now if intent_alone else self.later(job)
            return life.Unavailable(now, due_at, "none", counted=not intent_alone)
        if now < version.ready_at:
            asked = job if posted else replace(job, polls=job.polls + 1)
            due_at = poll_at(asked, now, learnt.generation_s, learnt.window_s, POLICY)
            return life.Pending(now, due_at)
        ends_at = NEVER if world.strikes("no expiry") else Instant(version.ends_at)
        if world.strikes("expired at once"):
            ends_at = now
        if ends_at - now <= margin_s(ends_at, job.asked_at, learnt.window_s, POLICY):
            return life.Unavailable(now, self.later(job), "run out")
        if job.asked_at is not None:
            learnt.generated(now - job.asked_at, 0.0)
        if ends_at != NEVER:
            learnt.window(ends_at - now)
        return life.Available(now, Link(f"https://cdn/{job.key}?{ends_at}", ends_at))

    def fetch(self, job: Job) -> tuple[float, Event]:
        world, now = self.world, self.world.now
        assert job.link is not None
        assert job.link.expires_at > now, "opened a dying link"
        size = world.sizes[job.key.video_id]
        version = world.versions.get(job.key.video_id)
        if world.strikes("refused") or version is None or version.ends_at <= now:
            return 0.1, life.LinkRefused(now, "refused", now)
        if world.strikes("corrupt"):
            return 0.1, life.Corrupt(now, "corrupt", self.later(job), "bad")
        left = size - job.saved.bytes
        if world.strikes("broken"):
            came = job.saved.bytes + int(left * world.dice.random())
            saved = Saved(came, size, source="s")
            return self.over(came - job.saved.bytes), life.Delayed(now, "broken", now, saved)
        self.learnt.fetched(size)
        return self.over(left), life.Fetched(Saved(size, size, source="s"), "good")

    def over(self, count: int) -> float:
        self.learnt.meter.remember(self.world.rate)
        return float(max(0.01, count * self.world.slots / self.world.rate))

    def later(self, job: Job) -> Instant:
        return retry_at(job, self.world.now, POLICY)

    def record(self, key: JobKey, event: Event) -> Job:
        before = self.live[key]
        after = apply(before, event)
        self.rows[key] = self.live[key] = after
        if not after.failures:
            self.strikes.pop(key, None)
        self.strikes[key] += after.failures > before.failures
        if after.state.is_final or self.strikes[key] >= POLICY.strikes_most:
            del self.live[key]
        if after.state is JobState.DISCOVERED and after.asked_at is None:
            self.world.unanswered.discard(key.video_id)
        return after


def test_every_world_comes_to_its_end(seed: int) -> None:
    """Archived, parked or gone in a bounded number of nights; no rule is broken on the way."""
    for number in range(seed * WORLDS, (seed + 1) * WORLDS):
        world = World(number)
        jobs = world.jobs()
        for _ in range(NIGHTS_MOST):
            ended = Night(world, jobs).spend()
            world.now = Instant(world.now + (86_400 if ended else 60))
            if all(job.state.is_final for job in jobs.values()):
                break
        states = {job.state for job in jobs.values()}
        over = {JobState.ARCHIVED, JobState.PARKED, JobState.GONE}
        assert states <= over, (number, world.chance, jobs)
        if not world.chance.keys() & {"denied", "not found"}:
            assert JobState.GONE not in states, number
        for job in jobs.values():
            archived = job.state is JobState.ARCHIVED
            assert not archived or job.saved != NOTHING, (number, job)


def test_a_world_without_misfortune_costs_one_post_a_video() -> None:
    """Whatever the window, the line and the sizes; a kill costs nothing that a GET would spare."""
    for number in range(200):
        world = World(number)
        world.chance, world.left, world.window_s = {}, Counter(), 86_400.0 * 30
        posts: Counter[VideoId] = Counter()
        post = world.post

        def counted(video: VideoId, posts: Counter[VideoId] = posts, post: object = post) -> None:
            posts[video] += 1
            post(video)  # type: ignore[operator]

        world.post = counted  # type: ignore[method-assign]
        jobs = world.jobs()
        while not Night(world, jobs).spend():
            pass
        assert set(posts.values()) == {1}, number
        assert {job.state for job in jobs.values()} == {JobState.ARCHIVED}
