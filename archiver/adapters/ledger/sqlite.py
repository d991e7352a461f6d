"""The ledger itself: what ``ports.Ledger`` asks for, and what the commands need beside it.

Rule: everything that changes is one closure through the writer, and so one transaction.
"""

from __future__ import annotations

import asyncio
import functools
import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from archiver.adapters.ledger import (
    adoption,
    catalogue,
    deleting,
    extras,
    intake,
    listings,
    losses,
    opening,
    replacing,
    selection,
    standing,
)
from archiver.adapters.ledger.adoption import Gathered
from archiver.adapters.ledger.beside import Beside
from archiver.adapters.ledger.intake import Namer
from archiver.adapters.ledger.reader import Reader
from archiver.adapters.ledger.still import ReadFile
from archiver.adapters.ledger.writer import Writer
from archiver.core import naming
from archiver.core.events import Event
from archiver.core.lifecycle import apply
from archiver.core.model import Channel, Holding, Instant, Job, JobKey, JobState, Video, VideoId
from archiver.met import met

RUNS_IN_FULL = 100  # reports that are kept with every failure they tell


class SqliteLedger(Reader):
    """One SQLite file.  One process writes it, under the archive's lock; any number read it.

    Every method may raise DestinationError: the disk is full or fails, or the file is damaged.
    """

    def __init__(self, writer: Writer, namer: Namer) -> None:
        super().__init__(writer)
        self._writer, self._namer = writer, namer

    @classmethod
    async def open(cls, path: Path, *, read_only: bool = False, namer: Namer = naming) -> Self:
        """Open the ledger at *path*, and make it where there is none.

        Args:
            read_only: for questions; works beside a run and on a medium that cannot be written.
            namer: chooses folders and file stems for videos that are new.

        Raises:
            DestinationError: damaged, newer than this program, or (read-only) missing.
        """
        loop = asyncio.get_running_loop()
        if read_only:
            return cls(Beside(await loop.run_in_executor(None, ReadFile, path)), namer)
        db = await loop.run_in_executor(None, opening.open_writing, path)
        return cls(Writer(db), namer)

    async def reconcile(
        self, videos: Sequence[Video], now: Instant, variant: str
    ) -> Mapping[str, int]:
        """See ``ports.Ledger``."""
        return await self._writer.write(
            functools.partial(
                intake.reconcile, videos=videos, now=now, variant=variant, namer=self._namer
            )
        )

    async def select(self, ids: Sequence[VideoId]) -> None:
        """See ``ports.Ledger``."""
        await self._writer.read(functools.partial(selection.select, ids=ids))

    async def fetched_jobs(self) -> list[Job]:
        """Every job that is complete in its part and not published, selected or not."""
        return await self._writer.read(functools.partial(catalogue.jobs_in, state=JobState.FETCHED))

    async def manifest(self, after: str, limit: int) -> tuple[str, str]:
        """The manifest's text for the next *limit* files behind *after*, and the last path."""
        return await self._writer.read(functools.partial(standing.lines, after=after, limit=limit))

    async def unfinished_keys(self) -> set[JobKey]:
        """Whose part files are of use, when no run is going on; other parts are orphans."""
        return await self._writer.read(catalogue.unfinished_keys)

    async def intents(self) -> list[Holding]:
        """Small files that were about to get their names when the last process ended."""
        return await self._writer.read(extras.intents)

    async def leave(self, key: JobKey) -> None:
        """See ``ports.Ledger``."""
        await self._writer.read(
            functools.partial(selection.leave, video_id=key.video_id, variant=key.variant)
        )

    async def record(self, job: Job, event: Event, at: Instant) -> Job:
        """See ``ports.Ledger``.

        Raises:
            LookupError: the ledger has no such job: a bug.
        """
        after = apply(job, event)
        return await self._writer.write(
            functools.partial(intake.record, before=job, after=after, event=event, at=at)
        )

    async def add_channels(self, channels: Iterable[Channel]) -> None:
        """Take in what the vendor says of channels; their folders are chosen now or stay."""
        every = tuple(channels)
        await self._writer.write(
            functools.partial(intake.add_channels, channels=every, namer=self._namer)
        )

    async def reopen_parked(
        self, ids: Sequence[VideoId] | None, at: Instant, reason: str = "asked for again"
    ) -> int:
        """Put parked videos back in the queue and count them; None means the whole selection."""
        return await self._writer.write(
            functools.partial(intake.reopen_parked, ids=ids, reason=reason, at=at)
        )

    async def hold_replacements(self, jobs: Sequence[Job], at: Instant) -> None:
        """Leave next versions for a run that accepts them: out of this run's windows."""
        await self._writer.write(functools.partial(replacing.hold, jobs=jobs, at=at))
        await self._writer.read(functools.partial(replacing.leave, jobs=jobs))

    async def accept_replacements(self, jobs: Sequence[Job], at: Instant) -> None:
        """Let next versions through, in the runs to come as well."""
        await self._writer.write(functools.partial(replacing.accept, jobs=jobs, at=at))

    async def date(self, dates: Mapping[VideoId, Instant], variant: str) -> None:
        """Keep when the vendor deletes each video that is not archived yet; NEVER: not at all."""
        await self._writer.write(functools.partial(deleting.date, dates=dates, variant=variant))

    async def adopt(self, found: Sequence[Gathered], at: Instant) -> int:
        """Take in what stands in the archive already; how many videos became archived by that."""
        return await self._writer.write(functools.partial(adoption.adopt, found=found, at=at))

    async def adopt_files(self, found: Sequence[Holding], at: Instant) -> int:
        """Take in small files that stand in the archive already; how many were unknown."""
        return await self._writer.write(functools.partial(adoption.adopt_files, found=found, at=at))

    async def lose(self, holding: Holding, why: str, at: Instant) -> bool:
        """Ask for a damaged small file again; False where it cannot be had."""
        lose = functools.partial(losses.lose, holding=holding, why=why, at=at)
        return await self._writer.write(lose)

    async def regain(self, holding: Holding, at: Instant) -> None:
        """Record that a small file stands in its place again."""
        await self._writer.write(functools.partial(losses.regain, holding=holding, at=at))

    async def give_up(self, number: int, at: Instant) -> None:
        """Record that what is lost of a video or channel did not come back."""
        await self._writer.write(functools.partial(losses.give_up, number=number, at=at))

    async def want_extras(self, variant: str, now: Instant, *, refresh: bool = False) -> int:
        """Begin the rounds of extras that are due for the selection, or all; how many."""
        begun, after = 0, VideoId(-1)
        due = functools.partial(extras.due, now=now, refresh=refresh)
        while some := await self._writer.read(functools.partial(due, after=after)):
            renew = functools.partial(extras.renew, jobs=some, now=now, refresh=refresh)
            begun += await self._writer.write(renew)
            after = some[-1].key.video_id
        begin = functools.partial(extras.begin, variant=variant, now=now)
        while count := await self._writer.write(begin):
            begun += count
        return begun

    async def extras_jobs(self, ids: Sequence[VideoId]) -> Mapping[VideoId, Job]:
        """The newest round of extras of each video that had one, whatever the selection."""
        return await self._writer.read(functools.partial(extras.jobs, ids=ids))

    async def keep_answer(self, video_id: int, name: str, raw: str, at: Instant) -> None:
        """Keep what was answered about a video's or a channel's extras, as JSON."""
        await self._writer.write(
            functools.partial(extras.keep, video_id=video_id, name=name, raw=raw, at=at)
        )

    async def keep_answers(self, answers: Mapping[VideoId, str], name: str, at: Instant) -> None:
        """Keep the answers of one kind about several videos."""

        def keep(db: sqlite3.Connection) -> None:
            for video_id, raw in answers.items():
                extras.keep(db, video_id, name, raw, at)

        await self._writer.write(keep)

    async def intend(self, holding: Holding) -> None:
        """Write down that a small file is about to get its name."""
        await self._writer.write(functools.partial(extras.intend, holding=holding))

    async def placed(self, holding: Holding, answer: str, at: Instant) -> None:
        """Record a small file that has its name; *answer* need not be asked for again."""
        await self._writer.write(
            functools.partial(extras.placed, holding=holding, answer=answer, at=at)
        )

    async def not_placed(self, holding: Holding) -> None:
        """A small file did not get its name, and will not."""
        await self._writer.write(functools.partial(extras.drop, holding=holding))

    async def note_listing(
        self, source: str, count: int, now: Instant, ids: Collection[VideoId] = ()
    ) -> None:
        """Keep how many videos a whole listing of *source* had, and which, if there are *ids*."""
        await self._writer.write(
            functools.partial(listings.note, source=source, count=count, now=now, ids=ids)
        )

    async def note_recent(self, source: str, now: Instant, ids: Collection[VideoId]) -> None:
        """Keep that the newest part of a listing of *source* was read, and had *ids*."""
        await self._writer.write(
            functools.partial(listings.note_recent, source=source, now=now, ids=ids)
        )

    async def meta_set(self, key: str, value: str) -> None:
        """Keep a note of ours."""
        await self._execute_many(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) "
            "DO UPDATE SET value = excluded.value",
            [(key, value)],
        )

    async def meta_turn(self, key: str, before: str, after: str) -> None:
        """Change a note that still says *before*."""
        await self._execute_many(
            "UPDATE meta SET value = ? WHERE key = ? AND value = ?", [(after, key, before)]
        )

    async def begin_run(self, pid: int, now: Instant) -> int:
        """Write down that a run began; returns its number."""

        def begin(db: sqlite3.Connection) -> int:
            done = db.execute("INSERT INTO run (started_at, pid) VALUES (?, ?)", (now, pid))
            return int(done.lastrowid or 0)

        return await self._writer.write(begin)

    async def end_run(self, run_id: int, summary_json: str, now: Instant) -> None:
        """Write down how a run ended; *summary_json* is its public report.

        Of runs long ago the counts are kept, and no longer what failed in each: after years of
        nights that would fill a disk.
        """

        def end(db: sqlite3.Connection) -> None:
            ended = "UPDATE run SET ended_at = ?, summary = ? WHERE id = ?"
            db.execute(ended, (now, summary_json, run_id))
            old = run_id - RUNS_IN_FULL
            found = db.execute("SELECT summary FROM run WHERE id = ?", (old,)).fetchone()
            if found is not None and found[0] is not None:
                met("O15")
                short = json.dumps({**json.loads(found[0]), "failures": []})
                db.execute("UPDATE run SET summary = ? WHERE id = ?", (short, old))

        await self._writer.write(end)

    async def _execute_many(self, statement: str, values: Sequence[tuple[object, ...]]) -> None:
        def execute(db: sqlite3.Connection) -> None:
            db.executemany(statement, values)

        await self._writer.write(execute)
