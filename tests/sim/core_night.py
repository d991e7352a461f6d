"""One run in a world of kind "core": the engine and the hands without anything that waits.

The steps in the air are a heap.  After every event, what must always hold is checked.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archiver.core import events, pacing
from archiver.core.admission import host_of
from archiver.core.agenda import Agenda
from archiver.core.events import Event
from archiver.core.learning import Learnt
from archiver.core.lifecycle import apply
from archiver.core.model import (
    NEVER,
    NOTHING,
    Holding,
    Instant,
    Job,
    JobKey,
    JobState,
    Saved,
)
from archiver.core.outstanding import is_outstanding
from archiver.core.reply import heard
from archiver.core.schedule import is_progress, plan, retry_at
from archiver.core.steps import (
    Budget,
    Expire,
    Fetch,
    Gather,
    GiveUp,
    Policy,
    Poll,
    Publish,
    Request,
    Step,
)
from archiver.core.weather import FIRST_WAIT_S, LONGEST_WAIT_S, Weather
from tests.sim.fate import Fate
from tests.sim.lawful import unlawful
from tests.sim.line import Line
from tests.sim.studio import Reply, Studio, Version

POLICY = Policy()
MAX_WAIT_S = 6 * 3600.0
STEPS_MOST = 1_000_000  # of one night without progress: windows of 8 s mean polls for hours
API = "https://api"
S = JobState


@dataclass(slots=True)
class Transfer:
    """A download under way: what stands after each stretch, and how it ends."""

    step: Step
    marks: list[Saved]
    end: Callable[[Saved], Event]


class Night:
    """One run.

    Args:
        rows: what survives a crash; the newest job of each video is planned.
        now: the world's time when it begins.
        skew_s: how wrong the client's clock is.
    """

    def __init__(
        self, fate: Fate, studio: Studio, line: Line[JobKey], rows: dict[JobKey, Job],
        now: float, skew_s: float, learnt: Learnt,
    ) -> None:  # fmt: skip
        self.fate, self.studio, self.line, self.rows = fate, studio, line, rows
        self.at, self.skew_s, self.learnt = now, skew_s, learnt
        dice = fate.dice("night")
        self.slots, self.requests = learnt.slots, dice.randint(1, 8)
        self.latency = fate.dice(f"latency {now}")
        newest = {key.video_id: key for key in sorted(rows)}
        self.agenda = Agenda(rows[key] for key in newest.values())
        self.live: Mapping[JobKey, Job] = self.agenda.jobs
        self.air: list[tuple[float, int, Step, Callable[[], Event]]] = []
        self.busy: dict[JobKey, Step] = {}
        self.transfers: dict[JobKey, Transfer] = {}
        self.strikes: Counter[JobKey] = Counter()
        self.hindered: Counter[JobKey] = Counter()
        self.rate, self.weather = pacing.Rate(), Weather()
        self.number = self.idle_steps = 0
        self.carried_bytes = line.carried_bytes  # as far as the meter has heard
        self.stretch_bytes = float("inf")  # made durable together, or a third of the rest
        self.progress_at = now
        self.asked: dict[JobKey, float] = {}  # when, by the world's clock

    @property
    def now(self) -> Instant:
        """What the client believes the time to be."""
        return Instant(self.at + self.skew_s)

    def spend(self) -> bool:
        """Until nothing is left to do; False where a crash came first."""
        while True:
            if self.fate.strikes("crash", 0.05):
                self.fate.happened(self.at, "crash", "client")
                self.studio.owes(len(self.busy) + 1)
                return False
            wake_at = self._start()
            if not self.busy and not self.live:
                return True
            if not self.busy and self.at - self.progress_at >= MAX_WAIT_S:
                return True
            self._pass_time(wake_at - self.skew_s)

    def _pass_time(self, wake_at: float) -> None:
        first = self.line.next()
        in_the_air = self.air[0][0] if self.air else NEVER
        arrives_at = first[0] if first else NEVER
        next_at = min(wake_at, in_the_air, arrives_at)
        if not self.busy:
            next_at = min(next_at, self.progress_at + MAX_WAIT_S)
        if min(wake_at, in_the_air, arrives_at) == NEVER:
            raise self.fate.broken(f"asleep with work to do: {sorted(self.live)}")
        self.idle_steps += 1
        if self.idle_steps > STEPS_MOST:
            raise self.fate.broken(f"busy without an end: {sorted(self.live)}")
        self.at = max(self.at, next_at)
        through = self.line.arrived(self.at)
        self._bytes_came()
        for key in through:
            self._stretch_came(key)
        while self.air and self.air[0][0] <= self.at:
            _, _, step, finish = heapq.heappop(self.air)
            event = finish()
            self._record(step.key, event)
            del self.busy[step.key]

    # Planning.

    def _start(self) -> Instant:
        budget = self._budget()
        now = self.now
        made = plan(self.agenda, self.busy.keys(), now, budget, POLICY)
        self._is_lawful(made.steps, budget)
        if not made.steps and made.wake_at <= now:
            raise self.fate.broken("a wake that is no later than now, and nothing to do")
        for step in made.steps:
            self.busy[step.key] = step
            self._begin(step)
        self.learnt.planned(now, idle=self._at_work()[Fetch] < self.slots)
        return made.wake_at if not made.steps else now

    def _at_work(self) -> Counter[type[Step]]:
        return Counter(type(step) for step in self.busy.values())

    def _budget(self) -> Budget:
        learnt, now, kinds = self.learnt, self.now, self._at_work()
        in_flight = kinds[Request] + kinds[Poll]
        room = min(self.requests - in_flight, pacing.calls(self.rate, in_flight, now))
        closed_until = self.weather.closed_until(API, now)
        if not self.weather.is_open(API):
            room = min(room, 1 - min(1, in_flight))
        more_at = pacing.may_send_at(self.rate, in_flight, now)
        if closed_until > now:
            room, more_at = 0, closed_until
        if more_at is None or more_at <= now:
            more_at = Instant(now + 1.0)
        return Budget(
            calls=max(0, room), more_at=more_at,
            polls=max(1, self.requests // 2) - kinds[Poll], fetches=self.slots - kinds[Fetch],
            line_is_idle=not kinds[Fetch], files_most=learnt.files_most,
            bytes_most=learnt.bytes_most(), disk_bytes=1e15, typical_bytes=learnt.typical_bytes,
            window_s=learnt.window_s, rate_bytes_s=learnt.meter.rate_bytes_s,
            generation_s=learnt.generation_s or 0.0,
            closed=self.weather.closed(now),
        )  # fmt: skip

    def _is_lawful(self, steps: tuple[Step, ...], budget: Budget) -> None:
        keys = [step.key for step in steps]
        if len(keys) != len(set(keys)) or self.busy.keys() & set(keys):
            raise self.fate.broken("two hands at one file")
        kinds = Counter(type(step) for step in steps)
        over = (
            kinds[Request] + kinds[Poll] > budget.calls
            or kinds[Poll] > max(0, budget.polls)
            or kinds[Fetch] > max(0, budget.fetches)
        )
        if over:
            raise self.fate.broken(f"more steps than the budget has: {kinds}")
        if kinds[Request]:
            self._is_bounded(budget, [step.key for step in steps if isinstance(step, Request)])

    def _is_bounded(self, budget: Budget, fresh: list[JobKey]) -> None:
        """What is outstanding, the new requests included, can be fetched in time."""
        left = [self._left(job, budget) for job in self.live.values() if self._is_young(job)]
        left += [self._left(self.live[key], budget) for key in fresh]
        if len(left) > budget.files_most or (len(left) > 1 and sum(left) > budget.bytes_most):
            raise self.fate.broken(f"{len(left)} files, {sum(left)} bytes are outstanding")

    def _is_young(self, job: Job) -> bool:
        # Asked for in the future: before the clock was put back, and by then long pending.
        is_fresh = job.asked_at is not None and 0 <= self.now - job.asked_at < 60
        return is_outstanding(job) and is_fresh

    def _left(self, job: Job, budget: Budget) -> int:
        size = budget.typical_bytes if job.size_bytes is None else job.size_bytes
        return max(0, size - job.saved.bytes)

    # The hands.

    def _begin(self, step: Step) -> None:
        job = self.live[step.key]
        match step:
            case Request() | Poll():
                posted = isinstance(step, Request)
                self._call(step, posted=posted)
            case Fetch():
                self._fetch(job, step)
            case Publish():
                self._later(step, lambda: self._published(step.key))
            case Expire():
                self.learnt.late()
                self.studio.expired += 1
                again_at = self._retry_at(job) if job.failures > 1 else self.now
                self._later(step, lambda: events.RanOut(self.now, again_at), 0.0)
            case Gather():
                raise self.fate.broken("extras are asked for in a world without any")
            case GiveUp(_, reason):
                self._later(step, lambda: events.GaveUp(reason), 0.0)

    def _later(self, step: Step, finish: Callable[[], Event], after_s: float | None = None) -> None:
        self.number += 1
        took_s = self.latency.uniform(0.01, 0.4) if after_s is None else after_s
        heapq.heappush(self.air, (self.at + took_s, self.number, step, finish))

    def _call(self, step: Step, *, posted: bool) -> None:
        sent_at = self.now
        if posted:
            self._record(step.key, events.Asked(self.now))
        self.weather.may_try(API, self.now)
        self.rate = pacing.sent(self.rate, self.now)
        reply = self.studio.call(step.key.video_id, self.at, posted=posted)
        self._later(step, lambda: self._heard(step.key, reply, sent_at, posted=posted))

    def _heard(self, key: JobKey, reply: Reply, sent_at: Instant, *, posted: bool) -> Event:
        job, now = self.live[key], self.now
        if reply.word in ("away", "lost", "busy"):
            said = pacing.news(reply.headers, now)
            if reply.word == "busy":
                self.rate = pacing.refused(self.rate, said, sent_at, now, 1.0)
            self.weather.failed(API, now, said.retry_at, reply.word)
            again_at = Instant(max(self._after_weather(job), said.retry_at or now))
            if posted and reply.word != "lost":
                return events.Unavailable(now, again_at, reply.word, counted=False)
            return events.Hindered(reply.word, again_at)
        self.weather.succeeded(API)
        self.rate = pacing.answered(self.rate, pacing.news(reply.headers, now), now)
        self.hindered.pop(key, None)
        if reply.word == "not found":
            lost = events.Unavailable(now, self._retry_at(job), "forgotten")
            return events.NotFound() if posted else lost
        if reply.word == "denied":
            return events.GaveUp("denied")
        if reply.said is None:
            return events.Delayed(now, reply.word, self._retry_at(job))
        return heard(job, reply.said, now, self.learnt, POLICY, posted=posted)

    def _after_weather(self, job: Job) -> Instant:
        most_s = max(FIRST_WAIT_S, min(LONGEST_WAIT_S, 0.05 * self.learnt.window_s))
        wait_s = min(most_s, FIRST_WAIT_S * 2.0 ** min(self.hindered[job.key], 10))
        self.hindered[job.key] += 1
        return Instant(self.now + wait_s)

    def _fetch(self, job: Job, step: Step) -> None:
        assert job.link is not None
        host = host_of(job)
        if not self.weather.may_try(host, self.now):
            until = self.weather.closed_until(host, self.now)
            self._later(step, lambda: events.Hindered("waiting", until), 0.0)
            return
        self.studio.sent(job.link, self.at)
        word, version = self.studio.open(job.link, self.at)
        self.learnt.meter.started(self.now)
        if version is None:
            self._later(step, lambda: self._not_opened(job, host, word))
            return
        self.weather.succeeded(host)
        self._transfer(job, step, version)

    def _not_opened(self, job: Job, host: str, word: str) -> Event:
        self.learnt.meter.ended(self.now)
        if word == "away":
            self.weather.failed(host, self.now)
            return events.Hindered(word, self._after_weather(job))
        self.weather.let_go(host)
        return events.LinkRefused(self.now, word, self.now)

    def _transfer(self, job: Job, step: Step, version: Version) -> None:
        """Plan what will come: in a few stretches, to the end or to where it breaks."""
        content, saved, fate = str(version.content), job.saved, self.fate
        if saved.source != content and saved != NOTHING:
            job = self._record(step.key, events.Progressed(NOTHING))
            saved = NOTHING
        left = version.size - saved.bytes
        end, stop = self._whole, version.size
        if fate.strikes("corrupt"):
            end = self._corrupt
        elif fate.strikes("broken"):
            end, stop = self._broken, saved.bytes + int(left * fate.own("broken").random())
        if end != self._whole:
            self.studio.owes(0, step.key.video_id)
        count = max(3, int((stop - saved.bytes) / self.stretch_bytes))
        marks = [saved.bytes + (stop - saved.bytes) * n // count for n in range(1, count + 1)]
        states = [Saved(mark, version.size, source=content) for mark in marks]
        self.transfers[step.key] = Transfer(step, states, lambda saved: end(step.key, saved))
        self.line.load(step.key, states[0].bytes - saved.bytes, self.at)

    def _bytes_came(self) -> None:
        """The meter hears of bytes as they come, not when a stretch of a file is durable."""
        count = int(self.line.carried_bytes - self.carried_bytes)
        self.carried_bytes += count
        self.learnt.meter.received(count, self.now)

    def _stretch_came(self, key: JobKey) -> None:
        transfer = self.transfers[key]
        saved = transfer.marks.pop(0)
        if transfer.marks:
            self._record(key, events.Progressed(saved))
            self.line.load(key, transfer.marks[0].bytes - saved.bytes, self.at)
            return
        del self.transfers[key]
        self.learnt.meter.ended(self.now)
        self._later(transfer.step, lambda: transfer.end(saved), 0.0)

    def _whole(self, key: JobKey, saved: Saved) -> Event:
        self.learnt.fetched(saved.bytes, self.live[key].asked_at)
        return events.Fetched(saved, f"content {saved.source}")

    def _broken(self, key: JobKey, saved: Saved) -> Event:
        moved = saved.bytes > self.live[key].saved.bytes
        due_at = self.now if moved else self._retry_at(self.live[key])
        return events.Delayed(self.now, "broken", due_at, saved)

    def _corrupt(self, key: JobKey, saved: Saved) -> Event:
        return events.Corrupt(self.now, "corrupt", self._retry_at(self.live[key]), "bad")

    def _published(self, key: JobKey) -> Event:
        job = self.live[key]
        if self.fate.strikes("lost on disk"):
            self.studio.owes(1, key.video_id)
            return events.Corrupt(self.now, "lost", self.now)
        film = self.studio.films[key.video_id]
        if job.saved.bytes != job.saved.total or job.sha256 != f"content {job.saved.source}":
            raise self.fate.broken(f"{key} would be stored though it is not whole")
        return events.Stored((
            Holding(key.video_id, "video", "mp4", key.version, f"data/{key}", film.size,
                    str(job.sha256), self.now),
        ))  # fmt: skip

    def _retry_at(self, job: Job) -> Instant:
        return retry_at(job, self.now, POLICY)

    # The record.

    def _record(self, key: JobKey, event: Event) -> Job:
        before = self.live[key]
        after = apply(before, event)
        self.fate.happened(self.at, f"{before.state} {type(event).__name__} {after.state}", key)
        why = unlawful(before, event, after)
        if why:
            raise self.fate.broken(why)
        self.rows[key] = after
        self.agenda.put(after)
        if is_progress(before, after):
            self.progress_at, self.idle_steps = self.at, 0
        if not after.failures:
            self.strikes.pop(key, None)
        self.strikes[key] += after.failures > before.failures
        if self.strikes[key] >= POLICY.strikes_most:
            self.agenda.remove(key)
        return after
