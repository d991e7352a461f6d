"""How much memory a download takes above the bare interpreter, few and many at a time.

A file's address with another question behind it is another file: so many need not be made.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.downloads import processes
from bench.downloads.corpus import File
from bench.downloads.peers import Task, ours
from bench.downloads.rounds import LIMIT_S, clear

AT_ONCE = {16: 64, 64: 120}  # downloads at a time, and the MiB that they may take
_BARE = "import re; print(re.search(r'VmHWM:\\s*([0-9]+)', open('/proc/self/status').read())[1])"


def report(small: Task, middle: Task) -> str:
    """Ten middling files, all of them, and ten thousand small ones, by both of our rows."""
    bare_mib = bare()
    lines = [
        f"### Memory above the interpreter ({bare_mib:.0f} MiB), MiB", "",
        "| files | at a time | bytes only | as in run | may take |", "| --- |" + " ---: |" * 4,
    ]  # fmt: skip
    tasks = {
        "10 of 16 MiB": _of(middle, 10), f"{len(middle.files)} of 16 MiB": middle,
        "10,000 of 256 KiB": _of(small, 10_000),
    }  # fmt: skip
    for what, task in tasks.items():
        task.write()
        for downloads, most in AT_ONCE.items():
            taken = [f"{each - bare_mib:.0f}" for each in _peaks(task, downloads)]
            lines.append(f"| {what} | {downloads} | {taken[0]} | {taken[1]} | {most} |")
    return "\n".join([*lines, ""])


def bare() -> float:
    """The peak in MiB of a Python that imports nothing of ours."""
    said = subprocess.run([sys.executable, "-c", _BARE], check=True, capture_output=True)
    return int(said.stdout) / 1024


def _of(task: Task, count: int) -> Task:
    files = task.files
    rounds = range(-(-count // len(files)))
    again = (File(f"{file.name}?again={n}", file.size, "") for n in rounds for file in files)
    return replace(task, files=tuple(again)[:count])


def _peaks(task: Task, downloads: int) -> Iterator[float]:
    for kind in ("bytes_only", "as_in_run"):
        clear(task.out)
        tool = ours(kind)
        more = replace(tool, command=f"{tool.command} --downloads {downloads}")
        cost = processes.run(task.words(more), Path(task.lists / "said"), LIMIT_S)
        if cost.code:
            raise SystemExit((task.lists / "said").read_text())
        yield cost.peak_mib
    clear(task.out)
