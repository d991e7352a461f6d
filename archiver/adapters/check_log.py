"""The log of verifications, ``.archiver/checks.jsonl``: one line each, only ever added.

A verification needs no lock and works beside a run, so it cannot write into the ledger.
Rule 1: a line is one write at the file's end; two at the same time do not mix.
Rule 2: where nothing can be written, on a read-only medium for instance, nothing is: a
verification never fails because of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from archiver.adapters.places import PRIVATE

NAME = "checks.jsonl"
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def note_check(dest: str | Path, check: Mapping[str, Any]) -> bool:
    """Add *check* to the log of the archive in *dest*; False where that cannot be done."""
    text = json.dumps(check, ensure_ascii=True, sort_keys=True) + "\n"
    try:
        fd = os.open(_path(dest), _FLAGS | os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(fd).st_size
            # A line that a crash cut off must not swallow the next one.
            is_torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            line = ("\n" if is_torn else "") + text
            is_whole = os.write(fd, line.encode()) == len(line)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError:
        return False
    return is_whole


def checks(dest: str | Path) -> Iterator[dict[str, Any]]:
    """What was noted of earlier verifications, oldest first; what is no such line is left out."""
    try:
        fd = os.open(_path(dest), _FLAGS | os.O_RDONLY)
    except OSError:
        return
    with open(fd, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                told = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(told, dict) and isinstance(told.get("at"), int | float):
                yield told


def _path(dest: str | Path) -> str:
    return os.path.join(dest, PRIVATE, NAME)
