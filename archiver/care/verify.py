"""Re-reads the archive and says what is not as it was recorded.

Rule 1: only reads, needs no lock, and works on a read-only copy.
Rule 2: says something is wrong only where it is: a run may be going on, or have been killed, and
then files may be newer than the bag's manifest.  ``settled`` asks for the manifest to be complete.
Rule 3: memory grows by two numbers a file, never by the files.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from archiver.care.witness import (
    Finding,
    hash_open,
    is_fresh,
    open_below,
    path_number,
    tag_findings,
)
from archiver.core.model import Holding, Instant
from archiver.core.naming import display
from archiver.core.turn import slices_of, turn_of
from archiver.version import __version__

SCHEMA = 1
FINDINGS_MOST = 1_000  # of one verification that are kept in the log; more are counted
AT_ONCE = 2  # files read at the same time: more only makes a disk seek
SKEW_MOST_S = 60.0  # between the clock of this machine and that of a share
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


@dataclass(slots=True)
class Verdict:
    """What a verification found.

    ``checked`` files were compared with their records, ``read`` of them to their last byte;
    ``bytes`` counts what was read of files that match.  Of ``slices`` of the files the one whose
    ``turn`` it was (``core.turn``) was read.
    """

    checked: int = 0
    read: int = 0
    ok: int = 0
    bytes: int = 0
    missing: list[Finding] = field(default_factory=list)
    changed: list[Finding] = field(default_factory=list)
    unknown: list[Finding] = field(default_factory=list)
    slices: int = 1
    turn: int = 0

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
            "schema": SCHEMA, "checked": self.checked, "read": self.read, "ok": self.ok,
            "bytes": self.bytes, **lists,
        }  # fmt: skip

    def as_check(self, at: Instant) -> dict[str, Any]:
        """What is kept of it: who read what, when, and with which result."""
        answer = self.as_json()
        found = [
            {"what": word, **each}
            for word in ("missing", "changed", "unknown")
            for each in answer.pop(word)
        ]
        del answer["schema"]
        return {
            "at": at, "program": f"archiver {__version__}", **answer, "slices": self.slices,
            "turn": self.turn, "not_as_recorded": len(found), "findings": found[:FINDINGS_MOST],
        }  # fmt: skip


async def verify(
    dest: str | Path,
    holdings: AsyncIterable[Holding] | Iterable[Holding],
    sample: float | None = None,
    progress: Callable[[Holding], None] = lambda _holding: None,
    *,
    night: int = 0,
    settled: bool = False,
    started_at: Instant | None = None,
    leeway_s: float = SKEW_MOST_S,
) -> Verdict:
    """Compare every file with its holding, then the folder and the tag files with all of them.

    Args:
        sample: the share of the files to read, above 0 and up to 1; None for all.  What is
            missing, unknown or of another size is found in any case.
        progress: told of each file that was looked at.
        night: turns the sample: 1 / sample nights in a row read every file once.
        settled: no run is going on and none was killed: each holding has its manifest line.
        started_at: when *holdings* were read, by this machine's clock.  A file that came since is
            not called unknown: a run that goes on has recorded it meanwhile.
        leeway_s: how long before *started_at* counts as since; 0 where nothing was going on.
    """
    root, known, verdict = os.fspath(dest), dict[int, int](), Verdict()
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="verify")
    loop, stop = asyncio.get_running_loop(), threading.Event()
    slices = verdict.slices = slices_of(sample)
    turn = verdict.turn = night % slices
    running: dict[asyncio.Future[_Seen], Holding] = {}
    try:
        async for holding in _each(holdings):
            known[path_number(holding.path)] = int(holding.sha256[:15], 16)
            whole = turn_of(holding.path, slices) == turn
            if len(running) >= AT_ONCE:
                await _note_one(running, verdict, progress)
            look = partial(_look, root, holding, stop, whole=whole)
            running[loop.run_in_executor(pool, look)] = holding
        while running:
            await _note_one(running, verdict, progress)
        since = None if started_at is None else started_at - leeway_s
        strays = partial(_unknown, root, known, since)
        verdict.unknown += await loop.run_in_executor(pool, lambda: list(strays()))
        tags = partial(tag_findings, root, known, since, settled=settled)
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
    read: bool = False


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
        verdict.read += seen.read
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
        fd = open_below(root, holding.path)
    except FileNotFoundError:
        return _Seen(missing="the file is not there")
    except NotADirectoryError:
        return _Seen(missing="a link or a file stands where its folder belongs: move it away")
    except OSError as error:
        return _Seen(changed=_cannot_read(error))
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return _Seen(changed="it is not a plain file")
        if found.st_size != holding.bytes:
            return _Seen(changed=f"{found.st_size} bytes instead of {holding.bytes}")
        if whole and hash_open(fd, stop) != holding.sha256:
            return _Seen(changed="the SHA-256 differs", read=True)
    except OSError as error:
        return _Seen(changed=_cannot_read(error))
    finally:
        os.close(fd)
    return _Seen(bytes=holding.bytes if whole else 0, read=whole)


def _cannot_read(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "there is a symbolic link in its place"
    return f"it cannot be read: {error.strerror}"


def _unknown(root: str, known: dict[int, int], since: float | None) -> Iterator[Finding]:
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
            elif name in _LITTER or path_number(path) in known or is_fresh(root, path, since):
                pass
            else:
                yield Finding("", display(path), "no record names it")


async def _each(holdings: AsyncIterable[Holding] | Iterable[Holding]) -> AsyncIterator[Holding]:
    if isinstance(holdings, AsyncIterable):
        async for holding in holdings:
            yield holding
    else:
        for holding in holdings:
            yield holding
