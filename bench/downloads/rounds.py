"""Rounds in which every tool does the same work once, in an order that alternates.

Rule 1: what a tool wrote is removed only when the next one begins: its memory, just freed, is warm.
Rule 2: in the first round every file of every tool must have its right hash; in the others, its
size.  Who fails that is told, and runs no more.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from bench.downloads import processes
from bench.downloads.corpus import File
from bench.downloads.peers import Task, Tool
from bench.downloads.server import Server
from bench.downloads.table import Measured

LIMIT_S = 300.0


@dataclass
class Outcome:
    """Every run of one table, and who dropped out of it."""

    measured: list[tuple[int, Measured]] = field(default_factory=list)  # with the round's number
    failed: dict[str, str] = field(default_factory=dict)


def play(task: Task, tools: Sequence[Tool], rounds: int, server: Server) -> Outcome:
    """Run all *tools* so many times."""
    outcome = Outcome()
    for number in range(rounds):
        for tool in order(tools, number):
            if tool.name not in outcome.failed:
                _once(task, tool, number, server, outcome)
    clear(task.out)
    return outcome


def _once(task: Task, tool: Tool, number: int, server: Server, outcome: Outcome) -> None:
    log = task.lists / "said"
    clear(task.out)
    before_s = server.cpu_s()
    cost = processes.run(task.words(tool), log, LIMIT_S)
    server_s = server.cpu_s() - before_s
    wrong = wrong_files(task.out, task.files, deep=number == 0)
    if wrong or cost.code:
        said = log.read_text(errors="replace").strip()[-300:].replace("\n", " / ")
        outcome.failed[tool.name] = f"exit code {cost.code}, {wrong} wrong files; {said}"
        return
    outcome.measured.append((number, Measured(
        tool.name, tool.is_peer, cost.wall_s, cost.user_s, cost.sys_s, server_s, cost.peak_mib
    )))  # fmt: skip


def start_s(task: Task, tool: Tool, rounds: int) -> tuple[float, float]:
    """The median wall and CPU of *tool* with nothing to download: its start and its end."""
    idle, costs = replace(task, files=()), []
    idle.write()
    for _ in range(rounds):
        clear(idle.out)
        costs.append(processes.run(idle.words(tool), idle.lists / "said", LIMIT_S))
    return median(cost.wall_s for cost in costs), median(cost.cpu_s for cost in costs)


def order(tools: Sequence[Tool], number: int) -> list[Tool]:
    """Forwards in one round, backwards in the next."""
    return list(tools) if number % 2 == 0 else list(reversed(tools))


def clear(out: Path) -> None:
    """Empty the folder, and let the disk come to rest."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    subprocess.run(["sync", "-f", str(out)], check=True)


def wrong_files(out: Path, files: Sequence[File], *, deep: bool) -> int:
    """How many of *files* are not below *out* with their size, or *deep* with their content.

    Where they are and what they are called is each tool's own business.
    """
    look: Callable[[str], str | int] = _sha256 if deep else os.path.getsize
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = Counter(threads.map(look, _videos(out)))
    expected: Counter[str | int] = Counter(each.sha256 if deep else each.size for each in files)
    return max((expected - found).total(), (found - expected).total())


def _videos(out: Path) -> Iterator[str]:
    for folder, _, names in os.walk(out):
        yield from (os.path.join(folder, name) for name in names if name.endswith(".mp4"))


def _sha256(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
