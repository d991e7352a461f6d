"""What a command cost: wall, CPU with that of its children, and the most memory at one time.

Rule 1: CPU is what the kernel charged by the time of the wait: nothing is sampled.
Rule 2: memory is the sum of the peaks of all processes that live at one moment (``VmHWM``).  A
process's ``ru_maxrss`` would not do: it begins with the size of whoever forked it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY_S = 0.05
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command: seconds, and MiB."""

    wall_s: float
    user_s: float
    sys_s: float
    peak_mib: float
    code: int

    @property
    def cpu_s(self) -> float:
        """User and system, children included."""
        return self.user_s + self.sys_s


def run(command: Sequence[str], log: Path, limit_s: float) -> Cost:
    """Run *command* to its end; what it says goes into *log*.  After *limit_s* it is killed."""
    with open(log, "wb") as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        watch = _Watch(process.pid, began + limit_s)
        try:
            _, status, used = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - began
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # it has a session of its own: nobody else will
            raise
        finally:
            watch.end()
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(wall_s, used.ru_utime, used.ru_stime, watch.peak_kib / 1024, process.returncode)


class _Watch:
    """Looks at the memory of a process and its descendants until it is told to end."""

    def __init__(self, pid: int, until: float) -> None:
        self._pid, self._until = pid, until
        self._ended = threading.Event()
        self.peak_kib = 0
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            self.peak_kib = max(self.peak_kib, sum(map(peak_kib, descendants(self._pid))))
            if time.perf_counter() > self._until:
                os.killpg(self._pid, signal.SIGKILL)
                return


def descendants(pid: int) -> list[int]:
    """*pid* and every living process below it."""
    found, todo = [], [pid]
    while todo:
        found.append(each := todo.pop())
        for thread in _names(f"/proc/{each}/task"):
            todo += map(int, _read(f"/proc/{each}/task/{thread}/children").split())
    return found


def peak_kib(pid: int) -> int:
    """The most memory that a living process ever had; 0 for one that is gone."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def cpu_s(pid: int) -> float:
    """What a living process alone has used; 0 for one that is gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
