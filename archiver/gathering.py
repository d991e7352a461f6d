"""Asks for the extras of a video and gives them their names: one step, a few small calls.

Rule 1: what was answered is kept at once; a step that was cut off asks on from there.
Rule 2: an extra that fails fails nothing else: it is said, and asked for on another night.
Rule 3: nothing is overwritten: what changed comes as a revision beside what was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from archiver.core import extras, rounds
from archiver.core.events import Event, Gathered, Lacking
from archiver.core.extras_document import is_changed
from archiver.core.model import NOW, Instant, Job, JobKey, Saved, Shelf
from archiver.core.rounds import FIELDS, Answer
from archiver.core.weather import FIRST_WAIT_S, LONGEST_WAIT_S
from archiver.errors import BadAnswerError, DeniedError, NotFoundError, WeatherError
from archiver.extras_ports import Asks, Memory, Pictures, Small
from archiver.met import met
from archiver.ports import Clock
from archiver.purse import Purse, SpentError
from archiver.records.info import info_json
from archiver.revisions import Revisions, document_of, newest

T = TypeVar("T")

_REASON_MOST = 500
THUMBNAIL, VTT = "thumbnail", "vtt:"  # what was had in a round, beside the answers


class Gatherer:
    """Gathers the extras of one video after the other, for one run."""

    def __init__(
        self,
        vendor: Asks,
        pictures: Pictures,
        vault: Small,
        ledger: Memory,
        clock: Clock,
        purse: Purse,
    ) -> None:
        self.vendor, self.pictures, self.ledger = vendor, pictures, ledger
        self.vault, self.clock, self.purse = vault, clock, purse
        self.began_at = clock.now()
        self._fields, self._has_fields = anyio.Lock(), False
        self._fields_problem: BadAnswerError | None = None
        self._stops: Counter[JobKey] = Counter()

    async def gather(self, job: Job) -> Event:
        """Ask for what is due of the extras of *job*.

        Raises:
            AuthError, DestinationError: a person must act.
        """
        one = _Round(self, job, await self.ledger.shelf(job.key.video_id))
        try:
            await one.spend()
        except _StoppedError as stopped:
            return Lacking(self.clock.now(), stopped.due_at, str(stopped))
        if one.hindered is not None:
            return Lacking(self.clock.now(), one.hindered.due_at, str(one.hindered))
        now, problems, number = self.clock.now(), one.problems, job.key.video_id
        if problems or one.awaited:
            reason = "; ".join([*problems, *one.awaited])[:_REASON_MOST]
            return Lacking(now, NOW, reason, failed=bool(problems))
        if await self.ledger.lost(number):
            await self.ledger.give_up(number, now)
        return Gathered(now, rounds.next_at(job, rounds.round_at(job)))

    async def call(self, ask: Callable[[], Awaitable[T]], job: Job) -> T | None:
        """Do one call; None: the vendor has no such thing, or does not show it.

        Raises:
            BadAnswerError: the answer is none, or this kind of call fails tonight.
            _HinderedError: this kind of call, or every one, has to wait.
            _StoppedError: no more calls for this video just now.
        """
        try:
            return await self.purse.call(ask)
        except SpentError as spent:
            raise _StoppedError(str(spent), self._later(job)) from spent
        except WeatherError as weather:
            at = max(self._later(job), weather.retry_at or NOW)
            raise _HinderedError(str(weather), at) from weather
        except (NotFoundError, DeniedError):
            return None

    async def fields(self, job: Job) -> None:
        """Learn what the fields of the custom metadata are called, once a run.

        Raises:
            BadAnswerError, _HinderedError, _StoppedError: as ``call``.
        """
        async with self._fields:
            if self._fields_problem is not None:
                raise self._fields_problem  # it would be the same for each video
            if not self._has_fields:
                try:
                    raw = await self.call(self.vendor.metadata_fields, job)
                except BadAnswerError as problem:
                    self._fields_problem = problem
                    raise
                told = extras.NOT_THERE if raw is None else raw
                await self.ledger.keep_answer(0, FIELDS, told, self.clock.now())
                self._has_fields = True

    def _later(self, job: Job) -> Instant:
        self._stops[job.key] += 1
        wait_s = FIRST_WAIT_S * 2.0 ** min(self._stops[job.key], 10)
        return Instant(self.clock.now() + min(LONGEST_WAIT_S, wait_s))


class _StoppedError(Exception):
    """No more calls for this video before *due_at*."""

    def __init__(self, reason: str, due_at: Instant) -> None:
        super().__init__(reason)
        self.due_at = due_at


class _HinderedError(_StoppedError):
    """Weather; other kinds of call may go on."""


class _Round:
    """What is asked for one video."""

    def __init__(self, to: Gatherer, job: Job, shelf: Shelf) -> None:
        self._to, self._job, self._shelf = to, job, shelf
        self._number = job.key.video_id
        self._answers: dict[str, Answer] = {}
        self._revisions = Revisions(to.vault, to.ledger, to.clock, shelf.folder, shelf.stem)
        self.hindered: _HinderedError | None = None
        self.problems: list[str] = []
        self.awaited: list[str] = []

    async def spend(self) -> None:
        """Ask, fetch, and give names.

        Raises:
            _StoppedError: there is more to do, and not now.
        """
        self._answers.update(await self._to.ledger.answers(self._number))
        if await self._ask():
            await self._learn_fields()
            await self._captions()
            await self._thumbnail()
        if self.hindered is None:
            await self._describe()

    def _has(self, name: str) -> bool:
        """It was answered in this round, and the answer can stay."""
        found = self._answers.get(name)
        if found is None or found.asked_at < rounds.round_at(self._job):
            return False
        is_old = name == extras.CAPTIONS and found.asked_at < self._to.began_at
        return not (is_old and self._awaited(found.raw))

    def _awaited(self, raw: str) -> tuple[str, ...]:
        now = self._to.clock.now()
        return extras.captions_awaited(raw, rounds.first_at(self._job), now)

    async def _ask(self) -> bool:
        """Ask for the small answers; False where the vendor does not know the video."""
        vendor, now = self._to.vendor, self._to.clock.now()
        had = [name for name in extras.NAMES if self._has(name)]
        for name in extras.names_to_ask(self._shelf.video, now, had):

            async def ask(name: str = name) -> str:
                return await vendor.answer(self._number, name)

            try:
                raw = await self._to.call(ask, self._job)
            except (BadAnswerError, _HinderedError) as problem:
                self._note(name, problem)
                continue
            await self._keep(name, extras.NOT_THERE if raw is None else raw)
            if name == extras.DETAILS and raw is None:
                return False
        return True

    async def _keep(self, name: str, raw: str) -> None:
        now = self._to.clock.now()
        await self._to.ledger.keep_answer(self._number, name, raw, now)
        if raw != extras.NOT_THERE or name not in self._answers:
            self._answers[name] = Answer(raw, now)

    async def _learn_fields(self) -> None:
        metadata = self._answers.get(extras.CUSTOM_METADATA)
        if metadata is None or metadata.raw in (extras.NOT_THERE, "[]", "{}"):
            return
        known = (await self._to.ledger.answers(0)).get(FIELDS)
        if known is None or known.asked_at < rounds.round_at(self._job):
            try:
                await self._to.fields(self._job)
            except (BadAnswerError, _HinderedError) as problem:
                self._note(FIELDS, problem)

    async def _captions(self) -> None:
        found = self._answers.get(extras.CAPTIONS)
        if found is None:
            return
        self.awaited = [
            f"the caption {language} is still being made" for language in self._awaited(found.raw)
        ]
        had = {
            name.removeprefix(VTT)
            for name in self._answers
            if name.startswith(VTT) and self._has(name)
        }
        for language in extras.captions_to_fetch(found.raw, had):

            async def ask(language: str = language) -> bytes:
                return await self._to.vendor.caption(self._number, language)

            try:
                text = await self._to.call(ask, self._job)
            except (BadAnswerError, _HinderedError) as problem:
                self._note(f"caption {language}", problem)
                continue
            if text is None:
                await self._keep(VTT + language, extras.NOT_THERE)
            else:
                await self._revisions.put(self._number, "caption", language, text, VTT + language)

    async def _thumbnail(self) -> None:
        """Not at the API, so that it costs no call."""
        details = self._answers.get(extras.DETAILS)
        address = extras.thumbnail(details.raw if details else "") or extras.thumbnail(
            self._shelf.video.raw
        )
        if address is None or self._has(THUMBNAIL):
            return
        try:
            found = await self._to.pictures.picture(address)
        except NotFoundError:
            await self._keep(THUMBNAIL, extras.NOT_THERE)
        except (BadAnswerError, WeatherError) as problem:
            self._note(THUMBNAIL, problem)
        else:
            await self._revisions.put(self._number, THUMBNAIL, found.kind, found.content, THUMBNAIL)

    async def _describe(self) -> None:
        """Where the video has its sidecar already, say beside it what is new."""
        shelf = await self._to.ledger.shelf(self._number)
        version = self._job.key.version
        own = next((held for held in reversed(shelf.stored) if held.version == version), None)
        if own is None:
            return  # what is known now comes with the video itself
        key = JobKey(self._number, variant=own.variant, version=version)
        text = info_json(Job(key, saved=Saved(own.bytes), sha256=own.sha256), shelf)
        files = await self._to.ledger.extra_files(self._number)
        before = await self._revisions.told(newest(files, version))
        if is_changed(before, document_of(text)):
            await self._revisions.put(self._number, "details", "json", text, "")

    def _note(self, name: str, problem: Exception) -> None:
        met("A40")
        if isinstance(problem, _HinderedError):
            self.hindered = problem
        else:
            self.problems.append(f"{name}: {problem}")
