"""Re-reads the archive and says what is not as it was recorded.

Rule 1: only reads, needs no lock, and works on a read-only copy.
Rule 2: says something is wrong only where it is: a run may be going on, or have been killed, and
then files may be newer than the bag's manifest.  ``settled`` asks for the manifest to be complete.
Rule 3: memory grows by two numbers a file, never by the files.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import threading
import unicodedata
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

from archiver.core import bag
from archiver.core.model import Holding
from archiver.core.naming import display

SCHEMA = 1
READ_BYTES = 1 << 20
AT_ONCE = 2  # files read at the same time: more only makes a disk seek
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is not as it was recorded; ``id`` is the video's, "" where there is none."""

    id: str
    path: str
    reason: str

    def as_json(self) -> dict[str, str]:
        """The object of the public report."""
        return {"id": self.id, "path": self.path, "reason": self.reason}


@dataclass(slots=True)
class Verdict:
    """What a verification found.  ``bytes`` counts what was read of files that match."""

    checked: int = 0
    ok: int = 0
    bytes: int = 0
    missing: list[Finding] = field(default_factory=list)
    changed: list[Finding] = field(default_factory=list)
    unknown: list[Finding] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Everything that was looked at matches."""
        return not (self.missing or self.changed or self.unknown)

    def as_json(self) -> dict[str, Any]:
        """The object of ``verify --json``."""
        lists = {
            name: [finding.as_json() for finding in sorted(found, key=lambda f: f.path)]
            for name, found in (
                ("missing", self.missing), ("changed", self.changed), ("unknown", self.unknown)
            )
        }  # fmt: skip
        return {
            "schema": SCHEMA, "checked": self.checked, "ok": self.ok, "bytes": self.bytes, **lists
        }  # fmt: skip


async def verify(
    dest: str | Path,
    holdings: AsyncIterable[Holding] | Iterable[Holding],
    sample: float | None = None,
    progress: Callable[[Holding], None] = lambda _holding: None,
    *,
    night: int = 0,
    settled: bool = False,
) -> Verdict:
    """Compare every file with its holding, then the folder and the tag files with all of them.

    Args:
        sample: the share of the files to read, above 0 and up to 1; None for all.  What is
            missing, unknown or of another size is found in any case.
        progress: told of each file that was looked at.
        night: turns the sample: 1 / sample nights in a row read every file once.
        settled: no run is going on and none was killed: each holding has its manifest line.
    """
    root, known, verdict = os.fspath(dest), dict[int, int](), Verdict()
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="verify")
    loop, stop = asyncio.get_running_loop(), threading.Event()
    slices = max(1, round(1 / sample)) if sample else 1
    running: dict[asyncio.Future[_Seen], Holding] = {}
    try:
        async for holding in _each(holdings):
            known[_number(holding.path)] = int(holding.sha256[:15], 16)
            whole = crc32(holding.path.encode()) % slices == night % slices
            if len(running) >= AT_ONCE:
                await _note_one(running, verdict, progress)
            look = partial(_look, root, holding, stop, whole=whole)
            running[loop.run_in_executor(pool, look)] = holding
        while running:
            await _note_one(running, verdict, progress)
        verdict.unknown += await loop.run_in_executor(pool, lambda: list(_unknown(root, known)))
        tags = partial(_tag_findings, root, known, settled=settled)
        verdict.changed += await loop.run_in_executor(pool, tags)
    finally:
        stop.set()  # a cancelled verification does not read a large file to its end
        pool.shutdown(cancel_futures=True)
    return verdict


@dataclass(frozen=True, slots=True)
class _Seen:
    """One look at a file: what is wrong with it, and how many good bytes were read."""

    missing: str = ""
    changed: str = ""
    bytes: int = 0


async def _note_one(
    running: dict[asyncio.Future[_Seen], Holding],
    verdict: Verdict,
    progress: Callable[[Holding], None],
) -> None:
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        holding, seen = running.pop(future), future.result()
        finding = Finding(str(holding.video_id), holding.path, seen.missing or seen.changed)
        verdict.checked += 1
        verdict.bytes += seen.bytes
        if seen.missing:
            verdict.missing.append(finding)
        elif seen.changed:
            verdict.changed.append(finding)
        else:
            verdict.ok += 1
        progress(holding)


def _look(root: str, holding: Holding, stop: threading.Event, *, whole: bool) -> _Seen:
    try:
        fd = _open_below(root, holding.path)
    except (FileNotFoundError, NotADirectoryError):
        return _Seen(missing="the file is not there")
    except OSError as error:
        return _Seen(changed=_cannot_read(error))
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return _Seen(changed="it is not a plain file")
        if found.st_size != holding.bytes:
            return _Seen(changed=f"{found.st_size} bytes instead of {holding.bytes}")
        if whole and _hash(fd, stop) != holding.sha256:
            return _Seen(changed="the SHA-256 differs")
    except OSError as error:
        return _Seen(changed=_cannot_read(error))
    finally:
        os.close(fd)
    return _Seen(bytes=holding.bytes if whole else 0)


def _cannot_read(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "there is a symbolic link in its place"
    return f"it cannot be read: {error.strerror}"


def _open_below(root: str, path: str) -> int:
    """Open a file below *root* step by step, through no symlink."""
    *folders, name = path.split("/")
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for step, flags in [*((f, os.O_DIRECTORY) for f in folders), (name, os.O_NONBLOCK)]:
        parent = fd
        try:
            fd = os.open(step, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=parent)
        finally:
            os.close(parent)
    return fd


def _hash(fd: int, stop: threading.Event) -> str:
    digest = hashlib.sha256()
    while not stop.is_set() and (block := os.read(fd, READ_BYTES)):
        digest.update(block)
    return digest.hexdigest()


def _number(path: str) -> int:
    """A path as one number; some file systems give names back in another normal form."""
    return hash(unicodedata.normalize("NFC", path))


def _unknown(root: str, known: dict[int, int]) -> Iterator[Finding]:
    """Everything below ``data/`` that no holding names: files, links, whatever else."""
    folders = ["data"] if os.path.lexists(os.path.join(root, "data")) else []
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                found = sorted((e.name, e.is_dir(follow_symlinks=False)) for e in entries)
        except OSError as error:
            yield Finding("", display(folder), f"the folder cannot be read: {error.strerror}")
            continue
        for name, is_folder in found:
            path = f"{folder}/{name}"
            if is_folder:
                folders.append(path)
            elif name not in _LITTER and _number(path) not in known:
                yield Finding("", display(path), "no record names it")


def _tag_findings(root: str, known: dict[int, int], *, settled: bool) -> list[Finding]:
    """What is wrong with the bag's own files."""
    due = settled and bool(known)
    damaged = list(_damaged_tags(root, due))
    if damaged:  # a run may have been between two of them: look again, once
        damaged = list(_damaged_tags(root, due))
    unlisted = set(known) if settled else set()
    return damaged + list(_manifest_findings(root, known, unlisted))


def _damaged_tags(root: str, due: bool) -> Iterator[Finding]:
    # It is written last, after bag-info: a bag that has the one must have the other.
    here = {n for n in bag.TAG_FILES if os.path.lexists(os.path.join(root, n))}
    if bag.TAG_MANIFEST not in here and (due or bag.BAG_INFO in here):
        yield Finding("", bag.TAG_MANIFEST, "the file is not there")
    for line in _lines(root, bag.TAG_MANIFEST):
        sha256, name = bag.parse_line(line) or ("", bag.TAG_MANIFEST)
        try:
            fd = _open_below(root, name)
        except OSError as error:
            yield Finding("", display(name), f"a file of the bag is damaged: {error.strerror}")
            continue
        try:
            if _hash(fd, threading.Event()) != sha256:
                yield Finding("", display(name), "its hash is not the tag manifest's")
        finally:
            os.close(fd)


def _manifest_findings(root: str, known: dict[int, int], unlisted: set[int]) -> Iterator[Finding]:
    for line in _lines(root, bag.MANIFEST):
        entry = bag.parse_line(line)
        if entry is None:
            yield Finding("", bag.MANIFEST, "a line of the manifest cannot be read")
            continue
        sha256, path = entry
        number = _number(path)
        unlisted.discard(number)
        if number not in known:
            yield Finding("", display(path), "the manifest names it, no record does")
        elif known[number] != int(sha256[:15], 16):
            yield Finding("", display(path), "the manifest has another hash than the record")
    if unlisted:
        yield Finding("", bag.MANIFEST, f"{len(unlisted)} files have no line in the manifest")


def _lines(root: str, name: str) -> Iterator[str]:
    try:
        fd = _open_below(root, name)
    except FileNotFoundError:
        return
    with open(fd, encoding="utf-8", errors="replace", newline="\n") as file:
        yield from file


async def _each(holdings: AsyncIterable[Holding] | Iterable[Holding]) -> AsyncIterator[Holding]:
    if isinstance(holdings, AsyncIterable):
        async for holding in holdings:
            yield holding
    else:
        for holding in holdings:
            yield holding
