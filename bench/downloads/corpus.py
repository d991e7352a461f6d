"""The files that everybody downloads: of known content, each a sound MP4 by its skeleton.

Rule: no two mebibytes of all corpora are alike, so bytes in a wrong place change a hash; making
them costs no more than copying, since one block of noise is told apart by a number at its start.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Corpus:
    """So many files of one size in bytes."""

    name: str
    count: int
    size: int

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return self.count * self.size


@dataclass(frozen=True, slots=True)
class File:
    """One file of a corpus."""

    name: str
    size: int
    sha256: str


CORPORA = {
    each.name: each
    for each in (
        Corpus("S", 4000, MIB // 4),
        Corpus("M", 150, 16 * MIB),
        Corpus("L", 4, 1024 * MIB),
    )
}


def make(corpus: Corpus, root: Path) -> list[File]:
    """Make the files of *corpus* in ``root/NAME``; nothing where they are there already."""
    listed, folder = root / f"{corpus.name}.json", root / corpus.name
    wanted = [corpus.count, corpus.size]
    if listed.exists() and (kept := json.loads(listed.read_text()))["made"] == wanted:
        return [File(*each) for each in kept["files"]]
    shutil.rmtree(folder, ignore_errors=True)
    listed.unlink(missing_ok=True)
    folder.mkdir(parents=True)
    noise = os.urandom(MIB)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        files = list(threads.map(lambda n: _write(corpus, n, folder, noise), range(corpus.count)))
    shown = [[file.name, file.size, file.sha256] for file in files]
    listed.write_text(json.dumps({"made": wanted, "files": shown}))
    return files


def header(size: int) -> bytes:
    """The beginning of an MP4 of *size* bytes: all boxes, and of the last one the head alone."""
    boxes = b"".join(
        (len(content) + 8).to_bytes(4, "big") + kind + content
        for kind, content in ((b"ftyp", b"isom\0\0\2\0isommp41"), (b"moov", b""))
    )
    return boxes + (size - len(boxes)).to_bytes(4, "big") + b"mdat"


def _write(corpus: Corpus, number: int, folder: Path, noise: bytes) -> File:
    name, sha256, left = f"{corpus.name.lower()}{number:05d}.mp4", hashlib.sha256(), corpus.size
    with open(folder / name, "wb", buffering=0) as file:
        block = header(corpus.size)
        while left:
            label = f"{corpus.name}{number}:{left}".encode().ljust(32)
            block = (block + label + noise)[: min(left, MIB)]
            sha256.update(block)
            left -= file.write(block)
            block = b""
    return File(name, corpus.size, sha256.hexdigest())
