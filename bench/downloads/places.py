"""Where files are served from and where they go: memory where there is enough of it, and a disk."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from archiver.adapters.mounts import MOUNTS, type_of
from bench.downloads.corpus import Corpus

MEMORY = Path("/dev/shm")
_SPARE = 2 << 30  # bytes of memory for the tools, the server and everybody else
_IN_MEMORY = ("tmpfs", "ramfs")


@dataclass(frozen=True, slots=True)
class Places:
    """``files``: the corpora.  ``out``: downloads of bytes alone.  ``disk``: as in a run."""

    files: Path
    out: Path
    disk: Path


def places(given: argparse.Namespace, corpora: Iterable[Corpus]) -> Places:
    """Choose; what was given stands."""
    disk = given.disk.absolute()
    disk.mkdir(parents=True, exist_ok=True)
    if is_in_memory(disk):
        print(f"{disk} is memory: a sync costs nothing there", file=sys.stderr)
    own = MEMORY / f"archiver-bench-{os.getuid()}"
    is_room = room() >= needed(corpora, own / "files")
    if not is_room and not (given.files and given.out):
        print(f"too little memory: all files are in {disk}", file=sys.stderr)
    base = own if is_room else disk
    return Places(given.files or base / "files", given.out or base / "out", disk / "run")


def needed(corpora: Iterable[Corpus], files: Path) -> int:
    """Bytes of memory for what was not made yet, one tool's downloads, and everybody else."""
    sizes = {each.name: each.bytes for each in corpora}
    absent = [size for name, size in sizes.items() if not (files / f"{name}.json").exists()]
    return sum(absent) + max(sizes.values()) + _SPARE


def room() -> int:
    """Bytes that may be put into memory."""
    if not MEMORY.is_dir():
        return 0
    free = os.statvfs(MEMORY)
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return min(free.f_bavail * free.f_frsize, kib << 10)


def is_in_memory(folder: Path) -> bool:
    """The folder's file system has no disk."""
    with open(MOUNTS, errors="surrogateescape") as lines:
        return type_of(os.path.realpath(folder), lines) in _IN_MEMORY
