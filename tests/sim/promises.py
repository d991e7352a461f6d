"""What must hold in every world, as an onlooker who trusts nobody sees it.

He hears what the program tells (``Watch``), and he looks at the disk himself (``Witness``): at the
files, at the bag, and at the ledger's tables, without the program's own code.
"""

from __future__ import annotations

import csv
import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from archiver.core import picture
from archiver.core.events import Asked, Event, Stored
from archiver.core.lifecycle import ROUNDS, TRANSITIONS
from archiver.core.model import EXTRAS, Job, JobKey
from archiver.emulator.world import World as Vendor
from tests.sim.fate import BrokenPromiseError
from tests.sim.lawful import is_explained

ID = re.compile(r"\[(\d+)\]( v\d+)?\.(mp4|flv)$")


def promise(holds: object, text: str) -> None:
    """Go on, or tell what was broken.

    Raises:
        BrokenPromiseError: with *text*.
    """
    if not holds:
        raise BrokenPromiseError(text)


@dataclass
class Told:
    """What the program has told its owner, over all its lives: it must be true for ever.

    ``stored``: path -> SHA-256 of every file that it said is archived.
    ``asked``: video/format -> how often it said that it is about to ask for a file.
    """

    stored: dict[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)


class Watch:
    """The observer of one process: nothing it says counts once it is dead.

    Args:
        told: what it says is added there.
        note: takes a line for the trace.
        look: called after every fact that is recorded; may raise ``BrokenPromiseError``.
    """

    def __init__(
        self, told: Told, note: Callable[[str, object], None], look: Callable[[], None]
    ) -> None:
        self._told, self._note, self._look = told, note, look
        self._jobs: dict[JobKey, Job] = {}
        self.is_alive = True
        self.failure = ""
        self.facts = 0

    def began(self, step: str, job: Job, title: str = "") -> None:
        """See ``archiver.observing``."""
        self._heard(step, job.key)

    def received(self, job: Job, count: int) -> None:
        """See ``archiver.observing``."""

    def said(self, text: str, *, warning: bool = False) -> None:
        """See ``archiver.observing``."""
        self._heard("said", text)

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        """See ``archiver.observing``."""
        self._heard(type(event).__name__, after.key)
        if not self.is_alive or self.failure:
            return
        self.facts += 1
        if isinstance(event, Asked):
            self._told.asked[f"{after.key.video_id}/{after.key.variant}"] += 1
        if isinstance(event, Stored):
            self._told.stored.update({file.path: file.sha256 for file in event.holdings})
        try:
            self._judge(before, event, after)
            self._look()
        except BrokenPromiseError as broken:
            self.failure = str(broken)

    def _judge(self, before: Job, event: Event, after: Job) -> None:
        name = type(event).__name__
        known = self._jobs.get(before.key, before)
        promise(known == before, f"{name} was applied to an old state of {before.key}")
        table = ROUNDS if before.key.kind == EXTRAS else TRANSITIONS
        allowed = table[before.state].get(type(event))
        promise(allowed is after.state, f"{before.key}: {name} led to {after.state}")
        promise(is_explained(event, after), f"{before.key} has to wait, and nobody knows why")
        if isinstance(event, Asked):
            unheard = f"{before.key} is asked for again before anything was heard of the last time"
            promise(before.asked_at is None, unheard)
        self._jobs[after.key] = after

    def _heard(self, what: str, of: object) -> None:
        if self.is_alive:
            self._note(what, of)


class Witness:
    """Looks at an archive's folder from outside.

    Args:
        vendor: knows every file that it ever served.
    """

    def __init__(self, vendor: Vendor, told: Told) -> None:
        self._vendor, self._told = vendor, told
        self._seen: dict[str, str] = {}
        self._hashes: dict[str, str] = {}  # of what the vendor served, by ETag

    def look(self, dest: Path) -> None:
        """See that every file is whole, that none is lost, and that the ledger tells the truth.

        Raises:
            BrokenPromiseError: it is not so.
        """
        found = self.files(dest)
        for path, sha256 in self._seen.items():
            promise(found.get(path) == sha256, f"{path} was there, and is lost or changed")
        for path, sha256 in self._told.stored.items():
            promise(found.get(path) == sha256, f"{path} was told to be archived, and is not")
        for path, sha256 in found.items():
            match = ID.search(path)
            if match and path not in self._seen:
                self._is_of_the_vendor(path, sha256, int(match[1]), match[3])
            if path not in self._seen:
                _is_what_it_says(path, dest)
        self._seen.update(found)
        self._ledger(dest, found)

    def files(self, dest: Path) -> dict[str, str]:
        """Path -> SHA-256 of everything under ``data/``."""
        return {
            path.relative_to(dest).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((dest / "data").rglob("*"))
            if not path.is_dir()
        }

    def the_bag(self, dest: Path) -> None:
        """See that the manifests name every file with its hash, and nothing else.

        Raises:
            BrokenPromiseError: any validator would find the same.
        """
        promise((dest / "bagit.txt").read_text().startswith("BagIt-Version: 1.0"), "no bagit.txt")
        payload = _manifest(dest / "manifest-sha256.txt")
        promise(payload == self.files(dest), "the manifest is not what is under data/")
        for name, sha256 in _manifest(dest / "tagmanifest-sha256.txt").items():
            real = hashlib.sha256((dest / name).read_bytes()).hexdigest()
            promise(real == sha256, f"the tag manifest is wrong about {name}")
        with (dest / "inventory.csv").open(encoding="utf-8-sig", newline="") as file:
            videos = {row["path"]: row["sha256"] for row in csv.DictReader(file)}
        stored = {p: h for p, h in payload.items() if p.endswith((".mp4", ".flv"))}
        promise(videos == stored, "the inventory is not what is stored")

    def no_temporary_file(self, dest: Path) -> None:
        """See that only downloads that can go on are left among the parts.

        Raises:
            BrokenPromiseError: something else is there.
        """
        left = [path.name for path in (dest / ".archiver" / "parts").iterdir()]
        promise(not [name for name in left if name.endswith(".tmp")], f"left in parts: {left}")

    def states(self, dest: Path) -> dict[int, tuple[str, str]]:
        """Video -> state and reason of its newest version, as the ledger has it."""
        with closing(_opened(dest)) as db:
            rows = db.execute(
                "SELECT video_id, state, reason FROM job WHERE kind = 'video' ORDER BY version"
            )
            return {video: (state, reason) for video, state, reason in rows}

    def _ledger(self, dest: Path, found: dict[str, str]) -> None:
        """Every holding stands there; every archived job has one; every end has a reason."""
        if not (dest / ".archiver" / "ledger.sqlite3").exists():
            return
        with closing(_opened(dest)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'job'").fetchone():
                return
            for path, sha256 in db.execute("SELECT path, sha256 FROM holding"):
                promise(found.get(path) == sha256, f"the ledger has {path}, the disk has not")
            jobs = db.execute(
                "SELECT video_id, version, state, reason, path, (SELECT count(*) FROM holding "
                "WHERE holding.video_id = job.video_id AND holding.version = job.version "
                "AND holding.kind IN ('video', 'info')) FROM job WHERE kind = 'video'"
            )
            for video, version, state, reason, path, holdings in jobs:
                name = f"{video} v{version}"
                if state == "archived":
                    promise(path in found, f"{name} is archived at {path}, which is not there")
                    promise(holdings >= 2, f"{name} is archived without its sidecar")
                if state in ("parked", "gone", "skipped"):
                    promise(reason, f"{name} is {state} without a reason")
            row = db.execute("PRAGMA integrity_check").fetchone()
            promise(row[0] == "ok", f"the ledger is damaged: {row[0]}")

    def _is_of_the_vendor(self, path: str, sha256: str, video: int, format_: str) -> None:
        served = set()
        for content in self._vendor.contents(video, "flv" if format_ == "flv" else "mp4"):
            if content.etag not in self._hashes:
                whole = content.read(0, content.size)
                self._hashes[content.etag] = hashlib.sha256(whole).hexdigest()
            served.add(self._hashes[content.etag])
        promise(sha256 in served, f"{path} is no file that the vendor ever served")


def _is_what_it_says(path: str, dest: Path) -> None:
    """A caption is text for one, a picture is one and whole."""
    if path.endswith(".vtt"):
        promise((dest / path).read_bytes().startswith(b"WEBVTT"), f"{path} is no WebVTT")
    if path.endswith(picture.KINDS):
        content = (dest / path).read_bytes()
        promise(path.endswith(f".{picture.kind(content)}"), f"{path} is no such picture")
        promise(picture.is_whole(content), f"{path} is half a picture")


def _opened(dest: Path) -> sqlite3.Connection:
    """The ledger as it is committed, beside whoever has it open."""
    path = dest / ".archiver" / "ledger.sqlite3"
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def _manifest(path: Path) -> dict[str, str]:
    pairs = (line.split("  ", 1) for line in path.read_text().splitlines())
    return {name: sha256 for sha256, name in pairs}
