"""How a check reads files, and what the bag itself says of them.

Rule: only reads, and follows no symlink below the archive.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from archiver.core import bag
from archiver.core.naming import display

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is not as it was recorded; ``id`` is the video's, "" where there is none."""

    id: str
    path: str
    reason: str

    def as_json(self) -> dict[str, str]:
        """The object of the public report."""
        return {"id": self.id, "path": self.path, "reason": self.reason}


def open_below(root: str, path: str) -> int:
    """Open a file below *root* step by step, through no symlink."""
    *folders, name = path.split("/")
    if ".." in (*folders, name):
        raise OSError(errno.EINVAL, "it leads out of the archive")
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for step, flags in [*((f, os.O_DIRECTORY) for f in folders), (name, os.O_NONBLOCK)]:
        parent = fd
        try:
            fd = os.open(step, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=parent)
        finally:
            os.close(parent)
    return fd


def hash_open(fd: int, stop: threading.Event) -> str:
    """The SHA-256 of an open file, as hex; of less than all of it once *stop* is set."""
    digest = hashlib.sha256()
    while not stop.is_set() and (block := os.read(fd, READ_BYTES)):
        digest.update(block)
    return digest.hexdigest()


def path_number(path: str) -> int:
    """A path as one number; some file systems give names back in another normal form."""
    return hash(unicodedata.normalize("NFC", path))


def tag_findings(
    root: str, known: dict[int, int], since: float | None, *, settled: bool
) -> list[Finding]:
    """What is wrong with the bag's own files."""
    due = settled and bool(known)
    damaged = list(_damaged_tags(root, due))
    if damaged:  # a run may have been between two of them: look again, once
        damaged = list(_damaged_tags(root, due))
    unlisted = set(known) if settled else set()
    try:
        return damaged + list(_manifest_findings(root, known, unlisted, since))
    except OSError as error:
        if any(finding.path == bag.MANIFEST for finding in damaged):
            return damaged
        return [*damaged, Finding("", bag.MANIFEST, f"it cannot be read: {error.strerror}")]


def _damaged_tags(root: str, due: bool) -> Iterator[Finding]:
    # It is written last, after bag-info: a bag that has the one must have the other.
    here = {n for n in bag.TAG_FILES if os.path.lexists(os.path.join(root, n))}
    if bag.TAG_MANIFEST not in here:
        if due or bag.BAG_INFO in here:
            yield Finding("", bag.TAG_MANIFEST, "the file is not there")
        return
    unnamed = set(bag.TAG_FILES) - {bag.TAG_MANIFEST}
    try:
        for line in lines_below(root, bag.TAG_MANIFEST):
            sha256, name = bag.parse_line(line) or ("", bag.TAG_MANIFEST)
            unnamed.discard(name)
            yield from _damaged_tag(root, name, sha256)
    except OSError as error:
        yield Finding("", bag.TAG_MANIFEST, f"a file of the bag is damaged: {error.strerror}")
    else:
        if unnamed:
            yield Finding("", bag.TAG_MANIFEST, f"{len(unnamed)} files of the bag are not in it")


def _damaged_tag(root: str, name: str, sha256: str) -> Iterator[Finding]:
    try:
        same = _hash_below(root, name) == sha256
    except OSError as error:
        yield Finding("", display(name), f"a file of the bag is damaged: {error.strerror}")
    else:
        if not same:
            yield Finding("", display(name), "its hash is not the tag manifest's")


def _hash_below(root: str, name: str) -> str:
    fd = open_below(root, name)
    try:
        return hash_open(fd, threading.Event())
    finally:
        os.close(fd)


def _manifest_findings(
    root: str, known: dict[int, int], unlisted: set[int], since: float | None
) -> Iterator[Finding]:
    for line in lines_below(root, bag.MANIFEST):
        entry = bag.parse_line(line)
        if entry is None:
            yield Finding("", bag.MANIFEST, "a line of the manifest cannot be read")
            continue
        sha256, path = entry
        number = path_number(path)
        unlisted.discard(number)
        if number not in known and not is_fresh(root, path, since):
            yield Finding("", display(path), "the manifest names it, no record does")
        elif known.get(number, int(sha256[:15], 16)) != int(sha256[:15], 16):
            yield Finding("", display(path), "the manifest has another hash than the record")
    if unlisted:
        yield Finding("", bag.MANIFEST, f"{len(unlisted)} files have no line in the manifest")


def is_fresh(root: str, path: str, since: float | None) -> bool:
    """The file was named or changed after the records were read."""
    try:
        return since is not None and os.lstat(os.path.join(root, path)).st_ctime >= since
    except OSError:
        return False


def lines_below(root: str, path: str) -> Iterator[str]:
    """The lines of a text below *root*; none where there is no such file.

    Raises:
        OSError: it cannot be read, be it only that it is no plain file.
    """
    try:
        fd = open_below(root, path)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file")
        with open(fd, encoding="utf-8", errors="replace", newline="\n", closefd=False) as file:
            yield from file
    finally:
        os.close(fd)
