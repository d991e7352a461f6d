"""The hands: one step in, one event out, through the ports.

Rule 1: a misfortune comes back as an event; an exception from here is a bug, or a person's turn.
Rule 2: what must survive a crash in the middle of a step is recorded through ``record`` first:
the intent before a POST, the synced stretch of a download.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from archiver.core import events, reply, schedule
from archiver.core.admission import host_of
from archiver.core.events import Event
from archiver.core.learning import Learnt
from archiver.core.listing import STILL_RECORDING
from archiver.core.model import (
    EXTRAS,
    Downloadable,
    Instant,
    Job,
    JobKey,
    Link,
    Saved,
)
from archiver.core.steps import Expire, Fetch, Gather, GiveUp, Policy, Poll, Publish, Request, Step
from archiver.core.weather import FIRST_WAIT_S, LONGEST_WAIT_S, Weather
from archiver.errors import (
    AuthError,
    BadAnswerError,
    BrokenError,
    CorruptError,
    CrowdedError,
    DeniedError,
    LinkRefusedError,
    NotFoundError,
    TooLargeError,
    WeatherError,
)
from archiver.gathering import Gatherer
from archiver.met import met
from archiver.ports import Clock, Ledger, Observer, Part, Source, Vault, Vendor
from archiver.storing import give_back, publish

Record: TypeAlias = Callable[[Event], Awaitable[Job]]

_DENIED_MOST = 5  # in a row: the account, not the videos


class Hands:
    """Does one step and says what was seen."""

    def __init__(
        self,
        vendor: Vendor,
        source: Source,
        vault: Vault,
        ledger: Ledger,
        clock: Clock,
        learnt: Learnt,
        weather: Weather,
        observer: Observer,
        policy: Policy,
        gatherer: Gatherer | None = None,
        is_growing: Callable[[Job], Awaitable[bool]] | None = None,
    ) -> None:
        self._vendor, self._source, self._vault, self._ledger = vendor, source, vault, ledger
        self._clock, self._learnt, self._weather = clock, learnt, weather
        self._observer, self._policy = observer, policy
        self._gatherer, self._is_growing = gatherer, is_growing
        self._denied = 0
        self._hindered: Counter[JobKey] = Counter()  # by weather, since the last answer

    async def perform(self, step: Step, job: Job, record: Record) -> Event:
        """Do *step* for *job*; *record* takes the facts that must be durable on the way.

        Raises:
            AuthError, DestinationError: a person must act.
        """
        try:
            return await self._perform(step, job, record)
        except CrowdedError as crowded:
            met("L07")
            self._learnt.crowded(self._clock.now())
            again_at = self._after_weather(job)
            if job.key.kind == EXTRAS:
                return events.Lacking(self._clock.now(), again_at, str(crowded))
            return events.Hindered(str(crowded), again_at)
        except TooLargeError as large:
            met("L42")
            return events.GaveUp(f"{large} {large.hint}")

    async def _perform(self, step: Step, job: Job, record: Record) -> Event:
        match step:
            case Request():
                if self._is_growing is not None and await self._is_growing(job):
                    return events.Skipped(STILL_RECORDING)
                job = await record(events.Asked(self._clock.now()))
                return await self._ask(job, self._vendor.request, posted=True)
            case Poll():
                return await self._ask(job, self._vendor.status, posted=False)
            case Fetch():
                return await self._fetch(job, record)
            case Publish():
                return await publish(self._vault, self._ledger, job, self._clock.now())
            case Gather():
                assert self._gatherer is not None  # a Gather is planned for a run with extras
                return await self._gatherer.gather(job)
            case Expire():
                return self._ran_out(job)
            case GiveUp(_, reason):
                return events.GaveUp(reason)

    async def _ask(
        self, job: Job, call: Callable[..., Awaitable[Downloadable]], *, posted: bool
    ) -> Event:
        try:
            answer = await call(job.key)
        except WeatherError as weather:
            return self._not_reached(job, weather, posted=posted)
        except NotFoundError:
            met("A07" if posted else "A08")
            if posted:
                await give_back(self._vault, self._ledger, job)
                return events.NotFound()
            # The vendor forgot the request, not the video: that is for the next POST to say.
            now, forgot = self._clock.now(), "the vendor forgot the request (404)"
            return reply.unavailable(job, forgot, now, self._policy)
        except DeniedError as denied:
            met("A09")
            self._denied += 1
            if self._denied >= _DENIED_MOST:
                raise AuthError(
                    "The vendor refuses one video after the other: this account may not download.",
                    "Check the role of the credentials, and that the plan includes downloads.",
                ) from denied
            return events.GaveUp(f"the vendor denies this video: {denied}")
        except BadAnswerError as bad:
            return events.Delayed(self._clock.now(), str(bad), self._retry_at(job))
        self._denied = 0
        self._hindered.pop(job.key, None)
        return reply.heard(
            job, answer, self._clock.now(), self._learnt, self._policy, posted=posted
        )

    def _not_reached(self, job: Job, weather: WeatherError, *, posted: bool) -> Event:
        now, again_at = self._clock.now(), self._after_weather(job)
        again_at = max(again_at, weather.retry_at or now)
        if posted and not weather.sent:
            return events.Unavailable(now, again_at, str(weather), counted=False)
        if posted:
            met("A27")
        return events.Hindered(str(weather), again_at)

    def _after_weather(self, job: Job) -> Instant:
        """When to try again what the weather hindered.

        The gate holds a host back.  But who meets bad weather alone, while the others' success
        opens the gate again and again, must not ask without a pause.
        """
        most_s = max(FIRST_WAIT_S, min(LONGEST_WAIT_S, 0.05 * self._learnt.window_s))
        wait_s = min(most_s, FIRST_WAIT_S * 2.0 ** min(self._hindered[job.key], 10))
        self._hindered[job.key] += 1
        return Instant(self._clock.now() + wait_s)

    async def _fetch(self, job: Job, record: Record) -> Event:
        assert job.link is not None  # a Fetch is planned for an address alone
        host, now = host_of(job), self._clock.now()
        if not self._weather.may_try(host, now):
            return events.Hindered(f"waiting for {host}", self._weather.closed_until(host, now))
        part, saved = await self._vault.part(job.key, job.saved)
        self._learnt.meter.started(now)
        try:
            if saved != job.saved:
                job = await record(events.Progressed(saved))
            shelf = await self._ledger.shelf(job.key.video_id)
            self._observer.began("fetch", job, shelf.video.title)
            if job.link is None or job.link.expires_at <= self._clock.now():
                return self._ran_out(job)  # while the part was opened
            follower = _Follower(self, job, host, record)
            event = await self._transfer(job, job.link, part, follower)
        except WeatherError as weather:
            how = str(weather).removeprefix(weather.host).lstrip(": ")  # said beside the host
            self._weather.failed(host, self._clock.now(), weather.retry_at, how)
            return events.Hindered(str(weather), self._after_weather(job))
        else:
            self._hindered.pop(job.key, None)
            return event
        finally:
            self._weather.let_go(host)
            self._learnt.meter.ended(self._clock.now())
            await part.close()

    def _ran_out(self, job: Job) -> Event:
        self._learnt.late()
        now = self._clock.now()
        return events.RanOut(now, self._retry_at(job) if job.failures > 1 else now)

    async def _transfer(self, job: Job, link: Link, part: Part, to: _Follower) -> Event:
        try:
            saved = await self._source.fetch(link, job.saved, part, to)
            sha256, problem = await self._vault.finish(job.key, saved)
        except LinkRefusedError as refused:
            now = self._clock.now()
            return events.LinkRefused(now, str(refused), now)
        except BrokenError as broken:
            now = self._clock.now()
            return events.Delayed(now, str(broken), now if to.moved else self._retry_at(job))
        except CorruptError as corrupt:
            return events.Corrupt(self._clock.now(), str(corrupt), self._retry_at(job))
        to.host_answered()
        return await self._checked(job, saved, sha256, problem)

    async def _checked(self, job: Job, saved: Saved, sha256: str, problem: str | None) -> Event:
        """Believe the bytes, or fetch them once more: twice the same is what the vendor has."""
        if job.sha256 not in (None, sha256):
            met("D34")  # two hashes of one file: the next fetch is the third
        if problem is not None and not await self._is_all_there_is(job, saved, sha256):
            return events.Corrupt(self._clock.now(), problem, self._retry_at(job), sha256)
        if problem is not None:
            met("D37")
        self._learnt.fetched(saved.bytes, job.asked_at)
        return events.Fetched(saved, sha256, problem or "")

    async def _is_all_there_is(self, job: Job, saved: Saved, sha256: str) -> bool:
        """A flawed file came twice the same, of a length that something else than its end says."""
        if job.sha256 != sha256 or not saved.measured:
            return job.sha256 == sha256
        # Sound but for its end, which nothing can tell: an end that was the same twice will do.
        return await self._vault.check(job.key, replace(saved, measured=False)) is None

    def bytes_came(self, job: Job, count: int) -> None:
        """*count* bytes of *job* came over the line."""
        self._learnt.meter.received(count, self._clock.now())
        self._observer.received(job, count)

    def host_answered(self, host: str) -> None:
        """The download host is there."""
        if not self._weather.is_open(host):
            self._weather.succeeded(host)

    def _retry_at(self, job: Job) -> Instant:
        return schedule.retry_at(job, self._clock.now(), self._policy)


class _Follower:
    """Follows one transfer: counts what comes, records what is durable."""

    def __init__(self, hands: Hands, job: Job, host: str, record: Record) -> None:
        self._hands, self._job, self._host, self._record = hands, job, host, record
        self._most = job.saved.bytes
        self.moved = False  # something new was made durable: try again at once

    def received(self, count: int) -> None:
        self.host_answered()
        self._hands.bytes_came(self._job, count)

    def host_answered(self) -> None:
        """The first byte ends the bad weather: the others need not wait for the whole file."""
        self._hands.host_answered(self._host)

    async def durable(self, saved: Saved) -> None:
        self.moved = self.moved or saved.bytes > self._most
        await self._record(events.Progressed(saved))
