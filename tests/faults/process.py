"""Programs that a test starts, and what they meet: a line in a file for each row, as it is met.

Whoever starts the program takes its command from ``command()``.  That is ``python -m archiver``,
and, while the catalogue is fired, ``python -m tests.faults.process FILE``: the same program, which
writes each row down at once, so that not even a kill loses one.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections import Counter
from pathlib import Path

from archiver import met

_told_to: Path | None = None  # where programs write, while the catalogue is fired


class Told(Counter[str]):
    """Counts, and writes down whatever is counted."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __setitem__(self, row: str, count: int) -> None:
        super().__setitem__(row, count)
        os.write(self._fd, f"{row}\n".encode())


def tell(path: str) -> None:
    """From here on this process writes down what it meets."""
    met._COUNTS = Told(path)


def listen(path: Path | None) -> None:
    """Let the programs that are started from here on write to *path*; None: no more."""
    global _told_to
    _told_to = path


def told_to() -> str:
    """Where programs write what they meet; "" where nobody wants to know."""
    return "" if _told_to is None else str(_told_to)


def heard() -> Counter[str]:
    """What programs have written so far."""
    if _told_to is None or not _told_to.exists():
        return Counter()
    return Counter(_told_to.read_text().split())


def command(first: str = "") -> list[str]:
    """How a test starts the program; its arguments follow.

    Args:
        first: Python that the process runs before, as to give it a disk that hangs.
    """
    if first:
        told = f"from tests.faults.process import tell; tell({told_to()!r})" if _told_to else ""
        program = 'import runpy; runpy.run_module("archiver", run_name="__main__")'
        return [sys.executable, "-c", "\n".join((told, first, program))]
    module = ["archiver"] if _told_to is None else ["tests.faults.process", str(_told_to)]
    return [sys.executable, "-m", *module]


if __name__ == "__main__":
    tell(sys.argv.pop(1))
    runpy.run_module("archiver", run_name="__main__", alter_sys=True)
