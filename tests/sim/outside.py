"""What one life of the engine meets outside: the vendor's API, its download hosts, the line.

The ports of ``archiver.ports`` over a ``Studio``.  Rate, weather, the clock's skew and what an
answer is good for are the program's own; only the wire is not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from email.utils import formatdate

from archiver.adapters.clock import SystemClock
from archiver.adapters.vendor.pace import Pace, Place, Purpose
from archiver.core import resume
from archiver.core.answer import Ask, Head
from archiver.core.model import (
    NOTHING,
    Channel,
    ChannelId,
    Downloadable,
    JobKey,
    Link,
    Saved,
    Video,
    VideoId,
)
from archiver.core.recency import Enough
from archiver.core.summary import ApiCalls
from archiver.core.weather import Weather
from archiver.errors import (
    AuthError,
    BadAnswerError,
    BrokenError,
    CorruptError,
    DeniedError,
    LinkRefusedError,
    NotFoundError,
    WeatherError,
)
from archiver.ports import Allowance, Page, Part, Progress
from tests.sim.fate import Fate
from tests.sim.life import Life
from tests.sim.line import Line
from tests.sim.memory_vault import BAD, MemoryPart
from tests.sim.studio import Reply, Studio, Version

API = "https://api"
PATIENCE_S = 5.0
ROUNDS_MOST = 6


class Carrier:
    """Waits for the line: one timer, for the load that is through next."""

    def __init__(self, line: Line[int], life: Life) -> None:
        self._line, self._life = line, life
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    async def carry(self, count: float) -> None:
        """Return when *count* bytes came."""
        self._number += 1
        number, waiter = self._number, self._life.loop.create_future()
        self._waiting[number] = waiter
        self._line.load(number, count, self._life.now())
        self._wind()
        try:
            await waiter
        finally:
            if self._waiting.pop(number, None) is not None:
                self._line.drop(number, self._life.now())
                self._wind()

    def stop(self) -> None:
        """The program is dead: nothing is carried any more."""
        for number in self._waiting:
            self._line.drop(number, self._life.now())
        if self._timer is not None:
            self._timer.cancel()

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        following = self._line.next()
        if following is not None:
            at = max(0.0, following[0] - self._life.began_at)
            self._timer = self._life.loop.call_at(at, self._arrived)

    def _arrived(self) -> None:
        for number in self._line.arrived(self._life.now()):
            waiter = self._waiting.pop(number)
            if not waiter.done():
                waiter.set_result(None)
        self._timer = None
        self._wind()


class Desk:
    """`ports.Vendor`: one call at a time goes through the program's own rate and weather."""

    def __init__(
        self, fate: Fate, studio: Studio, clock: SystemClock, weather: Weather, requests: int,
        life: Life, dice: random.Random, *, tells_date: bool,
    ) -> None:  # fmt: skip
        self._fate, self._studio, self._clock, self._weather = fate, studio, clock, weather
        self._life, self._dice, self._tells_date = life, dice, tells_date
        self.calls = ApiCalls()
        self._pace = Pace(clock, self.calls)
        self._most = requests
        self._places, self._polls = (
            asyncio.Semaphore(requests), asyncio.Semaphore(max(1, requests // 2)),
        )  # fmt: skip
        self._entered = 0
        self.in_flight: set[VideoId] = set()

    async def request(self, key: JobKey) -> Downloadable:
        """POST."""
        return await self._call(key, "request")

    async def status(self, key: JobKey) -> Downloadable:
        """GET."""
        return await self._call(key, "poll")

    def allowance(self) -> Allowance:
        """As the real client reckons it."""
        now = self._clock.now()
        try_at = self._weather.closed_until(API, now)
        waiting = max(0, self._entered - self._pace.in_flight)
        room = min(self._most - self._entered, self._pace.calls_now() - waiting)
        if not self._weather.is_open(API):
            room = min(room, 1 - min(1, self._entered))
        if try_at <= now and room > 0:
            return Allowance(room, now)
        more_at = max(try_at, self._pace.more_at())
        return Allowance(0, more_at if more_at > now else type(now)(now + 1.0))

    def hear_date(self) -> None:
        """A ``Date`` header, whole seconds, as a listing's answers have one."""
        if self._tells_date:
            now = self._clock.now()
            self._clock.heard(formatdate(int(self._life.now()), usegmt=True), now, now)

    async def _call(self, key: JobKey, purpose: Purpose) -> Downloadable:
        if key.video_id in self.in_flight:
            raise self._fate.broken(f"two calls at once for {key}")
        self.in_flight.add(key.video_id)
        self._entered += 1
        try:
            async with AsyncExitStack() as places:
                if purpose == "poll":
                    await places.enter_async_context(self._polls)
                await places.enter_async_context(self._places)
                return self._judged(await self._once(key, purpose))
        finally:
            self._entered -= 1
            self.in_flight.discard(key.video_id)

    async def _once(self, key: JobKey, purpose: Purpose) -> Reply:
        clock, weather = self._clock, self._weather
        place = await self._pace.enter(purpose, API, PATIENCE_S)
        try:
            self._life.goes_on()
            if self._fate.strikes("login refused", 0.2):
                self._studio.owes(1)
                raise AuthError("The API refuses a token that was issued a moment ago.")
            if not weather.may_try(API, clock.now()):
                retry_at = weather.closed_until(API, clock.now())
                raise WeatherError(API, "closed", retry_at, sent=False)
            try:
                return await self._sent(key, purpose, place)
            finally:
                weather.let_go(API)
        finally:
            place.leave()

    async def _sent(self, key: JobKey, purpose: Purpose, place: Place) -> Reply:
        clock, weather, dice = self._clock, self._weather, self._dice
        sent_at = clock.now()
        place.sent()
        await asyncio.sleep(dice.uniform(0.005, 0.2))
        self._life.goes_on()
        posted = purpose == "request"
        reply = self._studio.call(key.video_id, self._life.now(), posted=posted)
        await asyncio.sleep(
            dice.uniform(1, 20) if reply.word == "lost" else dice.uniform(0.005, 0.2)
        )
        if reply.word in ("away", "lost"):
            weather.failed(API, clock.now(), reason=reply.word)
            raise WeatherError(API, reply.word, sent=reply.word == "lost")
        if self._tells_date:
            date = formatdate(int(self._life.now()), usegmt=True)
            clock.heard(date, sent_at, clock.now())
        if reply.word == "busy":
            said = place.answered(429, reply.headers)
            weather.failed(API, clock.now(), said.retry_at, "busy")
            raise WeatherError(API, "busy", said.retry_at, sent=False)
        place.answered(200, reply.headers)
        weather.succeeded(API)
        return reply

    def _judged(self, reply: Reply) -> Downloadable:
        if reply.word == "not found":
            raise NotFoundError("404")
        if reply.word == "denied":
            raise DeniedError("403")
        if reply.said is None:
            raise BadAnswerError(reply.word)
        return reply.said

    # Listings are taken from the studio directly: nobody calls these.

    def channels(self) -> AsyncIterator[Channel]:
        """Not used."""
        raise NotImplementedError

    async def channel(self, name: str) -> Channel:
        """Not used."""
        raise NotImplementedError

    async def video(self, video_id: VideoId) -> Video:
        """Not used."""
        raise NotImplementedError

    def account_videos(self, enough: Enough = None) -> AsyncIterator[Page]:
        """Not used."""
        raise NotImplementedError

    def channel_videos(self, channel_id: ChannelId, enough: Enough = None) -> AsyncIterator[Page]:
        """Not used."""
        raise NotImplementedError

    def playlist_videos(self, playlist_id: int) -> AsyncIterator[Page]:
        """Not used."""
        raise NotImplementedError


class Fiber:
    """`ports.Source`: the program's own rules of going on (``core.resume``), over no bytes."""

    def __init__(
        self, fate: Fate, studio: Studio, carrier: Carrier, life: Life, dice: random.Random,
        marks: str, slots: int,
    ) -> None:  # fmt: skip
        self._fate, self._studio, self._carrier, self._dice = fate, studio, carrier, dice
        self._life, self._marks, self._slots = life, marks, slots
        self._open = 0

    async def fetch(self, link: Link, saved: Saved, part: Part, report: Progress) -> Saved:
        """See ``ports.Source``."""
        assert isinstance(part, MemoryPart)
        if saved.total == saved.bytes > 0:
            return saved
        self._open += 1
        if self._open > self._slots:
            raise self._fate.broken("more downloads at once than allowed")
        try:
            return await self._transfer(link, saved, part, report)
        finally:
            self._open -= 1

    async def _transfer(
        self, link: Link, saved: Saved, part: MemoryPart, report: Progress
    ) -> Saved:
        step: Ask | resume.Witness = resume.first_ask(saved, link.url)
        witnessed = False
        for number in range(ROUNDS_MOST):
            if number and self._life.now() >= link.expires_at:
                raise LinkRefusedError("it ran out under way")  # as ``ports.Source`` says
            version = await self._opened(link)
            content = self._studio.name_of(link)
            if isinstance(step, resume.Witness):
                ends = min(resume.WITNESS_BYTES, saved.bytes)
                witnessed = part.holds(content, 0, ends)
                witnessed = witnessed and part.holds(content, saved.bytes - ends, saved.bytes)
                step = resume.witnessed_ask(saved) if witnessed else Ask()
                continue
            head = self._head(step, version, content)
            match resume.decide(saved, link.url, step, head, witnessed=witnessed):
                case resume.Take(fresh):
                    if part.offset:
                        await report.durable(NOTHING)
                        await part.restart()
                    return await self._body(link, version, fresh, part, report)
                case resume.Append(start, grown):
                    if part.holds(content, start, saved.bytes):
                        return await self._body(link, version, grown, part, report)
                    step = Ask()
                case resume.Again(ask):
                    step = ask
                case resume.Witness() as witness:
                    step = witness
                case resume.Done(done):
                    return done
                case resume.Restart():
                    step = Ask()
                case other:
                    raise self._fate.broken(f"a plain answer was judged {other}")
        raise BrokenError("the host never gave the answer that it led us to ask for")

    async def _opened(self, link: Link) -> Version:
        self._studio.sent(link, self._life.now())
        await asyncio.sleep(self._dice.uniform(0.01, 0.3))
        self._life.goes_on()
        word, version = self._studio.open(link, self._life.now())
        if word == "away":
            host = "/".join(link.url.split("/", 3)[:3])
            raise WeatherError(host, "no connection")
        if version is None:
            raise LinkRefusedError("403")
        return version

    def _head(self, ask: Ask, version: Version, content: str) -> Head:
        size = version.size
        etag = {"strong": f'"{content}"', "of a version": f'"{version.number}"'}.get(
            self._marks, ""
        )
        date = "" if self._marks == "none" else "Mon, 21 Sep 2026 13:33:20 GMT"
        if ask.is_whole or (ask.if_range is not None and ask.if_range not in (etag, date)):
            return Head(200, str(size), "", etag, date)
        if ask.start >= size:
            return Head(416, "0", f"bytes */{size}", etag, date)
        span = f"bytes {ask.start}-{size - 1}/{size}"
        return Head(206, str(size - ask.start), span, etag, date)

    async def _body(
        self, link: Link, version: Version, saved: Saved, part: MemoryPart, report: Progress
    ) -> Saved:
        """Carry the rest in slices; make every third of them durable."""
        fate, content = self._fate, self._studio.name_of(link)
        left = version.size - part.offset
        stop = version.size
        if fate.strikes("broken"):
            stop = part.offset + int(left * fate.own("broken").random())
        if fate.strikes("corrupt"):
            content = f"{BAD}{fate.fired['corrupt']}"  # never twice the same
        if stop < version.size or content.startswith(BAD):
            self._studio.owes(0, self._studio.number_of(link))
        slices = max(1, min(9, int(left / (self._studio.slice_bytes + 1))))
        marks = [part.offset + (stop - part.offset) * n // slices for n in range(1, slices + 1)]
        for number, mark in enumerate(marks, 1):
            await self._slice(link, content, mark - part.offset, part, report)
            if number % 3 == 0 and mark < version.size:
                saved = replace(saved, bytes=await part.sync())
                await report.durable(saved)
            if self._cut(version):
                stop = 0
                break
        if stop < version.size:
            saved = replace(saved, bytes=await part.sync())
            await report.durable(saved)
            raise BrokenError("the connection was lost")
        if part.offset != version.size:
            raise CorruptError("more bytes than the file has")
        return replace(saved, bytes=version.size, total=version.size)

    async def _slice(
        self, link: Link, content: str, count: int, part: MemoryPart, report: Progress
    ) -> None:
        if count > 0:
            await self._carrier.carry(count)
        self._life.goes_on()
        part.put(content, count)
        report.received(count)
        await part.written()

    def _cut(self, version: Version) -> bool:
        """Some hosts end what is under way when the address runs out."""
        is_over = self._life.now() >= version.ends_at
        return is_over and self._fate.strikes("cut at expiry", 2.0)
