"""What must hold of an archive whatever a crash left of it, and the way back to a whole one.

Every finding is a sentence; no findings is what is wanted.
I1 a file under a final name is complete; I2 what the ledger calls archived is there; I4 what was
acknowledged stays; I5 nothing archived is changed; I6 recovery twice is recovery once; I13 no byte
of a part counts that is not durable; I16 nothing useless is left.
What another hand harmed before (``Harm``) may be missing or stand as it was found, and is not lost
either: neither a damaged copy nor a damaged ledger.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from archiver import archive, night
from archiver.adapters import http
from archiver.adapters import ledger as ledger_room
from archiver.adapters.disk import Os
from archiver.adapters.download import HttpSource
from archiver.adapters.download_body import Limits
from archiver.adapters.download_intake import Intake
from archiver.adapters.ledger import opening
from archiver.adapters.ledger.writer import Transaction
from archiver.care.rebuild import REBUILT
from archiver.core import resume
from archiver.core.events import Event, Stored
from archiver.core.model import Job, JobKey, VideoId
from archiver.core.naming import part_name
from archiver.core.selection import AccountSource
from archiver.core.summary import Summary
from archiver.emulator.server import Emulator
from archiver.run_options import RunOptions
from archiver.surroundings import Surroundings
from tests.crash.strict_disk import LEDGER, LOGS, Remains, StrictDisk, Tree
from tests.hasty import HastyLoop, Watcher, account_of, surroundings

T = TypeVar("T")
DATA, PARTS = "archive/data/", "archive/.archiver/parts/"
ASIDE = "archive/.archiver/damaged/"
LATER = "completeness.txt"  # written at the end of a run, not before the first one
TAGS = ("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "inventory.csv", LATER)
TAG_MANIFEST = "archive/tagmanifest-sha256.txt"
# So that a small file comes in several pieces and has several synced stretches.
PIECE_BYTES, SYNC_BYTES, OVERLAP_BYTES = 3_000, 6_000, 2_000


class Inline(HastyLoop):
    """Nothing waits, and what others do in threads is done at once: one order, always the same."""

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except BaseException as error:
            done.set_exception(error)
        return done


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* on such a loop, with syncs so close that small files have several."""
    with asyncio.Runner(loop_factory=Inline) as runner, pytest.MonkeyPatch.context() as patch:
        often = functools.partial(HttpSource, limits=Limits(sync_bytes=SYNC_BYTES))
        patch.setattr(night, "HttpSource", often)
        patch.setattr(http, "tls_context", functools.lru_cache(http.tls_context))  # 50 ms each
        patch.setattr(resume, "OVERLAP_BYTES", OVERLAP_BYTES)
        put = Intake.put

        async def put_in_pieces(self: Intake, piece: bytes) -> None:
            for start in range(0, len(piece), PIECE_BYTES):
                await put(self, piece[start : start + PIECE_BYTES])

        patch.setattr(Intake, "put", put_in_pieces)
        return runner.run(work)


@contextmanager
def commits_of(disk: StrictDisk) -> Iterator[None]:
    """Let *disk* know what the ledger made durable."""
    leave, open_writing = Transaction.__exit__, opening.open_writing

    def left(self: Transaction, *error: Any) -> None:
        disk.before("the commit")
        leave(self, *error)
        if error[0] is None:
            disk.committed(self._db)

    def opened(path: Path) -> sqlite3.Connection:
        db = open_writing(path)
        disk.committed(db)
        return db

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transaction, "__exit__", left)
        patch.setattr(ledger_room.opening, "open_writing", opened)
        yield


def around(disk: Os) -> Surroundings:
    """The hasty world, with this disk."""
    hasty = surroundings()
    return Surroundings(hasty.clock, hasty.connector, lambda: disk)


@dataclass
class Listener(Watcher):
    """Keeps what was acknowledged: path to hash."""

    told: dict[str, str] = field(default_factory=dict)

    @property
    def news(self) -> tuple[str, ...]:
        """What was said of the ledger as a whole."""
        return tuple(word for word in self.words if "rebuilt" in word or "taken in" in word)

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        if isinstance(event, Stored):
            self.told |= {holding.path: holding.sha256 for holding in event.holdings}


async def spend_night(
    root: Path, vendor: Emulator, disk: Os, listener: Listener | None = None, **options: Any
) -> Summary:
    """One run of the whole account, on *disk*."""
    stop = options.pop("stop", None) or anyio.Event()
    wanted = RunOptions(**{"sources": (AccountSource(),), "extras": False, **options})
    return await archive.run(
        str(root / "archive"), account_of(vendor), wanted, listener or Listener(), stop,
        around(disk),
    )  # fmt: skip


_SOUND = (
    "SELECT holding.path FROM holding JOIN job USING (video_id, kind, variant, version) "
    "WHERE state = 'archived'"
)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a ledger says, without times."""

    jobs: tuple[tuple[Any, ...], ...] = ()
    holdings: tuple[tuple[str, str, int], ...] = ()  # path, hash, bytes
    sound: frozenset[str] = frozenset()  # paths of videos of which it knows of no damage
    is_rebuilt: bool = False


@functools.lru_cache(maxsize=4096)
def rows_of(ledger: bytes | None) -> Rows:
    """Read a ledger's image; a damaged one says nothing."""
    if not ledger:
        return Rows()
    db = sqlite3.connect(":memory:")
    db.deserialize(ledger[:18] + b"\x01\x01" + ledger[20:])  # memory knows no write-ahead log
    try:
        jobs = db.execute(
            "SELECT video_id, kind, variant, version, state, saved_bytes, sha256, "
            "asked_at IS NULL, link_url IS NULL FROM job ORDER BY 1, 2, 3, 4"
        ).fetchall()
        holdings = db.execute("SELECT path, sha256, bytes FROM holding ORDER BY path").fetchall()
        sound = db.execute(_SOUND).fetchall()
        notes = db.execute("SELECT key FROM meta").fetchall()
    except sqlite3.DatabaseError:
        return Rows()
    finally:
        db.close()
    paths = frozenset(path for (path,) in sound)
    return Rows(tuple(jobs), tuple(holdings), paths, (REBUILT,) in notes)


def read(root: Path) -> Remains:
    """What stands below *root* now."""
    tree: Tree = {}
    for folder, folders, files in os.walk(root):
        at = Path(folder).relative_to(root)
        for name in folders:
            tree[str(at / name)] = None
        for name in files:
            path = str(at / name)
            if path != LEDGER and not name.endswith(LOGS) and name != "lock":
                full = root / path
                tree[path] = (full.stat().st_mode & 0o777, full.read_bytes())
    ledger = root / LEDGER
    return Remains(tree, ledger.read_bytes() if ledger.is_file() else None)


def sha256(text: bytes) -> str:
    """As hex."""
    return hashlib.sha256(text).hexdigest()


@dataclass
class Harm:
    """What another hand did before.

    Args:
        good: by path below DEST, what files were; ``files``: what was made of them.
        by_hand: good copies that another hand put in their places, and did not flush.
        ledger: what was made of the ledger; b"" where it was removed, or replaced by a sound one.
        is_ledger_lost: the ledger does not know all that was acknowledged.
    """

    good: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    by_hand: set[str] = field(default_factory=set)
    ledger: bytes = b""
    is_ledger_lost: bool = False


class Judge:
    """Knows what the vendor has, and so what a file must be.

    Args:
        discards: a part may be missing that the ledger calls fetched: its last fsync failed, it was
            thrown away, and is fetched anew.
    """

    def __init__(self, vendor: Emulator, *, discards: bool = False) -> None:
        self._vendor, self._discards = vendor, discards
        self._mode = 0o644 & ~_umask()
        self._videos = set(vendor.world.account.videos)  # with those that were deleted since
        self.harm = Harm()

    def contents(self) -> list[bytes]:
        """Every file that the vendor has ever had."""
        world = self._vendor.world
        self._videos |= world.account.videos.keys()
        every = (world.contents(video, "mp4") for video in sorted(self._videos))
        return [content.read(0, content.size) for each in every for content in each]

    def findings(self, found: Remains, told: Mapping[str, str]) -> list[str]:
        """What is wrong with *found*, before or after recovery."""
        rows = rows_of(found.ledger)
        wrong = [] if self.harm.is_ledger_lost else _forgotten(rows, told)
        held = {path: digest for path, digest, _ in rows.holdings}
        wrong += [
            f"I2: {path} is archived and not there as recorded"
            for path, digest in {**told, **held}.items()
            if path not in self.harm.files and not _is(found.tree.get(f"archive/{path}"), digest)
        ]
        truth = self.contents()
        wrong += [
            f"I2: {path} counts as mended, and is neither as recorded nor as it was found"
            for path, digest in held.items()
            if path in self.harm.files
            and path in rows.sound
            and not self._is_as_far(found, path, digest)
        ]
        wrong += self._incomplete(found.tree, truth)
        wrong += self._counted(found.tree, rows, truth)
        return wrong + self._lost(found)

    def _is_as_far(self, found: Remains, path: str, digest: str) -> bool:
        """A harmed file is as recorded, or nobody has touched it yet."""
        entry = found.tree.get(f"archive/{path}")
        return any(_is(entry, each) for each in (digest, sha256(self.harm.files[path])))

    def _lost(self, found: Remains) -> list[str]:
        """Nothing that was damaged is thrown away."""
        tree, harm = found.tree, self.harm
        aside = [e[1] for path, e in tree.items() if path.startswith(ASIDE) and e is not None]
        wrong = [
            f"the damaged copy of {path} is lost"
            for path, copy in harm.files.items()
            if copy not in aside and not _is(tree.get(f"archive/{path}"), sha256(copy))
        ]
        kept = [e[1] for path, e in tree.items() if path.startswith(f"{LEDGER}.") and e is not None]
        if harm.ledger and harm.ledger not in (found.ledger, *kept):
            wrong.append("the damaged ledger is lost")
        return wrong

    def silent(
        self, before: Remains, after: Remains, told: Mapping[str, str], news: Iterable[str]
    ) -> list[str]:
        """What was forgotten came back, and nobody said so, neither before the crash nor since."""
        if list(news):
            return []
        is_new = rows_of(after.ledger).is_rebuilt or _forgotten(rows_of(before.ledger), told)
        return ["the ledger came back in silence"] if is_new else []

    def _incomplete(self, tree: Tree, truth: list[bytes]) -> list[str]:
        wrong = []
        for path, entry in tree.items():
            own = path.removeprefix("archive/") not in self.harm.by_hand
            if path.startswith(DATA) and entry is not None and own:
                mode, text = entry
                whole = _is_json(text) if path.endswith(".info.json") else text in truth
                harmed = self.harm.files.get(path.removeprefix("archive/"))
                if not whole and text != harmed:
                    wrong.append(f"I1: {path} is not complete ({len(text)} bytes)")
                if mode != self._mode:
                    wrong.append(f"I1: {path} has mode {mode:o}")
        return wrong

    def _counted(self, tree: Tree, rows: Rows, truth: list[bytes]) -> list[str]:
        """No byte of a part counts that was not synced."""
        wrong = []
        for video, kind, variant, version, state, saved, digest, *_ in rows.jobs:
            if state in ("archived", "gone") or not saved:
                continue
            entry = tree.get(PARTS + part_name(JobKey(VideoId(video), kind, variant, version)))
            if entry is not None and any(entry[1][:saved] == all_[:saved] for all_ in truth):
                continue
            final = [e[1] for p, e in tree.items() if p.startswith(DATA) and e is not None]
            if state == "fetched" and any(sha256(text) == digest for text in final):
                continue
            if state == "fetched" and entry is None and self._discards:
                continue
            there = None if entry is None else len(entry[1])
            wrong.append(f"I13: of {video} {saved} bytes count ({state}), {there} are there")
        return wrong

    def opened(self, before: Remains, after: Remains, told: Mapping[str, str]) -> list[str]:
        """What is wrong after recovery, and with it."""
        wrong = self.findings(after, told)
        if self.harm.is_ledger_lost:
            wrong += _forgotten(rows_of(after.ledger), told)
        for path, entry in before.tree.items():
            is_harmed = path.removeprefix("archive/") in self.harm.files
            if path.startswith(DATA) and entry is not None and not is_harmed:
                wrong += [f"I5: {path} was changed"] * (after.tree.get(path) != entry)
        of_use = {
            part_name(JobKey(VideoId(video), kind, variant, version))
            for video, kind, variant, version, state, *_ in rows_of(after.ledger).jobs
            if state != "archived"
        }
        parts = {path.removeprefix(PARTS) for path in after.tree if path.startswith(PARTS)}
        wrong += [f"I16: {name} is left among the parts" for name in parts - of_use]
        return wrong + invalid_bag(self._as_recorded(after))

    def _as_recorded(self, found: Remains) -> Remains:
        """The bag lists a damaged file as it ought to be: so every validator sees the damage."""
        tree = dict(found.tree)
        tree |= {f"archive/{path}": (self._mode, was) for path, was in self.harm.good.items()}
        return replace(found, tree=tree)

    def complete(self, found: Remains, told: Mapping[str, str]) -> list[str]:
        """What is missing of the whole account."""
        wrong = self.opened(found, found, told)
        rows, world = rows_of(found.ledger), self._vendor.world
        payload = [p for p, e in found.tree.items() if p.startswith(DATA) and e is not None]
        recorded = {f"archive/{path}" for path, _, _ in rows.holdings}
        wrong += [f"nobody recorded {path}" for path in payload if path not in recorded]
        copies = Counter(sha256(found.tree[path][1]) for path in payload)  # type: ignore[index]
        wrong += [f"{count} times the same file" for count in copies.values() if count > 1]
        held = {digest for _, digest, _ in rows.holdings}
        for video in world.account.videos:
            if world.content(video, "mp4").sha256() not in held:
                wrong.append(f"{video} is not archived as it is now")
        gone = [f"{job[0]} is {job[4]}" for job in rows.jobs if job[4] != "archived"]
        lost, unmended = self._beyond_repair(found, rows)
        return wrong + unmended + (gone if len(gone) != lost else [])

    def _beyond_repair(self, found: Remains, rows: Rows) -> tuple[int, list[str]]:
        """How many harmed files nobody has any more, and which are not as they should be by now.

        What the vendor still has is back.  Of what it replaced, the place stays empty, and the new
        bytes are a version of their own; what it deleted is back in its place as it was found.
        """
        world, wrong, lost = self._vendor.world, [], 0
        now = {world.content(video, "mp4").sha256() for video in world.account.videos}
        deleted = {
            content.sha256()
            for video in self._videos - world.account.videos.keys()
            for content in world.contents(video, "mp4")
        }
        for path, digest, _ in rows.holdings:
            if path not in self.harm.files:
                continue
            entry = found.tree.get(f"archive/{path}")
            if digest in now or path.endswith(".info.json"):
                wrong += [f"{path} was not mended"] * (not _is(entry, digest))
                continue
            lost += 1
            if digest in deleted:
                is_back = _is(entry, sha256(self.harm.files[path]))
                wrong += [f"{path} was not given back"] * (not is_back)
            elif entry is not None:
                wrong.append(f"{path} is neither lost nor mended")
        return lost, wrong


def invalid_bag(found: Remains) -> list[str]:
    """What a validator of bags would say."""
    tree = found.tree

    def text(path: str) -> bytes:
        entry = tree.get(path)
        return b"" if entry is None else entry[1]

    tags = _manifest(text(TAG_MANIFEST))
    there = [name for name in TAGS if name != LATER or LATER in tags or f"archive/{name}" in tree]
    wrong = [
        f"bag: {name} is not as listed"
        for name in there
        if tags.get(name) != sha256(text(f"archive/{name}"))
    ]
    listed = _manifest(text("archive/manifest-sha256.txt"))
    payload = {
        path.removeprefix("archive/"): sha256(entry[1])
        for path, entry in tree.items()
        if path.startswith(DATA) and entry is not None
    }
    wrong += [
        f"bag: {path} is not as listed"
        for path in listed.keys() | payload.keys()
        if listed.get(path) != payload.get(path)
    ]
    size = sum(len(e[1]) for p, e in tree.items() if p.startswith(DATA) and e is not None)
    if f"Payload-Oxum: {size}.{len(payload)}\n".encode() not in text("archive/bag-info.txt"):
        wrong.append("bag: the sums are wrong")
    return wrong


def ahead(tree: Tree, replaced: Iterable[tuple[str, bytes]]) -> list[str]:
    """Whether the manifest of the tag files speaks of what is not there yet.

    Args:
        replaced: the tag files written so far, in their order.
    """
    entry = tree.get(TAG_MANIFEST)
    listed = _manifest(b"" if entry is None else entry[1])
    wrong = []
    for name in TAGS:
        held = tree.get(f"archive/{name}")
        texts = [sha256(text) for each, text in replaced if each == name]
        here = None if held is None else sha256(held[1])
        said = listed.get(name)
        if said in texts and said != here and (here not in texts or _after(texts, said, here)):
            wrong.append(f"bag: the tag manifest came before {name}")
        elif said is not None and said not in texts and here in texts[:-1]:
            wrong.append(f"bag: the tag manifest lists a {name} that never was")
    return wrong


def _after(texts: list[str], one: str, other: str | None) -> bool:
    """Whether *one* was written after *other*, however often each was: a text may come again."""
    if other is None:
        return False
    last = len(texts) - 1 - texts[::-1].index(other)
    return texts.index(one) > last


def _manifest(text: bytes) -> dict[str, str]:
    lines = (line.partition("  ") for line in text.decode(errors="replace").splitlines())
    return {path: digest for digest, _, path in lines}


def _is(entry: tuple[int, bytes] | None, digest: str) -> bool:
    return entry is not None and sha256(entry[1]) == digest


def _forgotten(rows: Rows, told: Mapping[str, str]) -> list[str]:
    held = {path: digest for path, digest, _ in rows.holdings}
    return [f"I4: {p} was acknowledged" for p, digest in told.items() if held.get(p) != digest]


def _is_json(text: bytes) -> bool:
    try:
        return text.endswith(b"\n") and "archive" in json.loads(text)
    except ValueError:
        return False


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
