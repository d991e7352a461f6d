"""What must hold of an archive whatever a crash left of it, and the way back to a whole one.

Every finding is a sentence; no findings is what is wanted.
I1 a file under a final name is complete; I2 what the ledger calls archived is there; I4 what was
acknowledged stays; I5 nothing archived is changed; I6 recovery twice is recovery once; I13 no byte
of a part counts that is not durable; I16 nothing useless is left.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from archiver.core import resume
from archiver.core.lifecycle import Event, Stored
from archiver.core.model import Job, JobKey, VideoId
from archiver.core.naming import part_name
from archiver.core.selection import AccountSource
from archiver.core.summary import Summary
from archiver.emulator.server import Emulator
from archiver.opening import RunOptions, Surroundings
from tests.crash.strict_disk import LEDGER, Remains, StrictDisk, Tree
from tests.hasty import HastyLoop, Watcher, account_of, surroundings

T = TypeVar("T")
DATA, PARTS = "archive/data/", "archive/.archiver/parts/"
TAGS = ("bagit.txt", "bag-info.txt", "manifest-sha256.txt")
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

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        if isinstance(event, Stored):
            self.told |= {holding.path: holding.sha256 for holding in event.holdings}


async def spend_night(
    root: Path, vendor: Emulator, disk: Os, listener: Listener | None = None, **options: Any
) -> Summary:
    """One run of the whole account, on *disk*."""
    stop = options.pop("stop", None) or anyio.Event()
    wanted = RunOptions(**{"sources": (AccountSource(),), **options})
    return await archive.run(
        str(root / "archive"), account_of(vendor), wanted, listener or Listener(), stop,
        around(disk),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rows:
    """What a ledger says, without times."""

    jobs: tuple[tuple[Any, ...], ...] = ()
    holdings: tuple[tuple[str, str, int], ...] = ()  # path, hash, bytes


@functools.lru_cache(maxsize=4096)
def rows_of(ledger: bytes | None) -> Rows:
    """Read a ledger's image."""
    if not ledger:
        return Rows()
    db = sqlite3.connect(":memory:")
    db.deserialize(ledger[:18] + b"\x01\x01" + ledger[20:])  # memory knows no write-ahead log
    jobs = db.execute(
        "SELECT video_id, kind, variant, version, state, saved_bytes, sha256, asked_at IS NULL, "
        "link_url IS NULL FROM job ORDER BY 1, 2, 3, 4"
    ).fetchall()
    holdings = db.execute("SELECT path, sha256, bytes FROM holding ORDER BY path").fetchall()
    db.close()
    return Rows(tuple(jobs), tuple(holdings))


def read(root: Path) -> Remains:
    """What stands below *root* now."""
    tree: Tree = {}
    for folder, folders, files in os.walk(root):
        at = Path(folder).relative_to(root)
        for name in folders:
            tree[str(at / name)] = None
        for name in files:
            path = str(at / name)
            if not path.startswith(LEDGER) and name != "lock":
                full = root / path
                tree[path] = (full.stat().st_mode & 0o777, full.read_bytes())
    ledger = root / LEDGER
    return Remains(tree, ledger.read_bytes() if ledger.is_file() else None)


def sha256(text: bytes) -> str:
    """As hex."""
    return hashlib.sha256(text).hexdigest()


class Judge:
    """Knows what the vendor has, and so what a file must be.

    Args:
        discards: a part may be missing that the ledger calls fetched: its last fsync failed, it was
            thrown away, and is fetched anew.
    """

    def __init__(self, vendor: Emulator, *, discards: bool = False) -> None:
        self._vendor, self._discards = vendor, discards
        self._mode = 0o644 & ~_umask()

    def contents(self) -> list[bytes]:
        """Every file that the vendor has ever had."""
        world = self._vendor.world
        every = (world.contents(video, "mp4") for video in world.account.videos)
        return [content.read(0, content.size) for each in every for content in each]

    def findings(self, found: Remains, told: Mapping[str, str]) -> list[str]:
        """What is wrong with *found*, before or after recovery."""
        rows = rows_of(found.ledger)
        held = {path: digest for path, digest, _ in rows.holdings}
        wrong = [f"I4: {p} was acknowledged" for p, digest in told.items() if held.get(p) != digest]
        wrong += [
            f"I2: {path} is archived and not there as recorded"
            for path, digest, size in rows.holdings
            if not _is(found.tree.get(f"archive/{path}"), digest, size)
        ]
        truth = self.contents()
        wrong += self._incomplete(found.tree, truth)
        wrong += self._counted(found.tree, rows, truth)
        return wrong

    def _incomplete(self, tree: Tree, truth: list[bytes]) -> list[str]:
        wrong = []
        for path, entry in tree.items():
            if path.startswith(DATA) and entry is not None:
                mode, text = entry
                whole = _is_json(text) if path.endswith(".info.json") else text in truth
                if not whole:
                    wrong.append(f"I1: {path} is not complete ({len(text)} bytes)")
                if mode != self._mode:
                    wrong.append(f"I1: {path} has mode {mode:o}")
        return wrong

    def _counted(self, tree: Tree, rows: Rows, truth: list[bytes]) -> list[str]:
        """No byte of a part counts that was not synced."""
        wrong = []
        for video, kind, variant, version, state, saved, digest, *_ in rows.jobs:
            if state == "archived" or not saved:
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
        for path, entry in before.tree.items():
            if path.startswith(DATA) and entry is not None and after.tree.get(path) != entry:
                wrong.append(f"I5: {path} was changed")
        of_use = {
            part_name(JobKey(VideoId(video), kind, variant, version))
            for video, kind, variant, version, state, *_ in rows_of(after.ledger).jobs
            if state != "archived"
        }
        parts = {path.removeprefix(PARTS) for path in after.tree if path.startswith(PARTS)}
        wrong += [f"I16: {name} is left among the parts" for name in parts - of_use]
        return wrong + invalid_bag(after)

    def complete(self, found: Remains, told: Mapping[str, str]) -> list[str]:
        """What is missing of the whole account."""
        wrong = self.opened(found, found, told)
        rows, world = rows_of(found.ledger), self._vendor.world
        payload = [p for p, e in found.tree.items() if p.startswith(DATA) and e is not None]
        if len(payload) != len(rows.holdings):
            wrong.append(f"{len(payload)} files, {len(rows.holdings)} recorded")
        held = {digest for _, digest, _ in rows.holdings}
        for video in world.account.videos:
            if world.content(video, "mp4").sha256() not in held:
                wrong.append(f"{video} is not archived as it is now")
        wrong += [f"{job[0]} is {job[4]}" for job in rows.jobs if job[4] != "archived"]
        return wrong


def invalid_bag(found: Remains) -> list[str]:
    """What a validator of bags would say."""
    tree = found.tree

    def text(path: str) -> bytes:
        entry = tree.get(path)
        return b"" if entry is None else entry[1]

    tags = _manifest(text(TAG_MANIFEST))
    wrong = [
        f"bag: {name} is not as listed"
        for name in TAGS
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
    return other is not None and texts.index(one) > texts.index(other)


def _manifest(text: bytes) -> dict[str, str]:
    lines = (line.partition("  ") for line in text.decode(errors="replace").splitlines())
    return {path: digest for digest, _, path in lines}


def _is(entry: tuple[int, bytes] | None, digest: str, size: int) -> bool:
    return entry is not None and len(entry[1]) == size and sha256(entry[1]) == digest


def _is_json(text: bytes) -> bool:
    try:
        return text.endswith(b"\n") and "archive" in json.loads(text)
    except ValueError:
        return False


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
