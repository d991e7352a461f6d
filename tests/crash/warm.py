"""A process that has imported the program, and forks a fresh one for each line that it reads.

What is forked is the program as `python -m archiver` runs it, with a process id to kill.  With a
fuse it signals itself before its n-th step that changes the disk: kills itself, or asks itself
to stop.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from typing import Any

STEPS = (
    "pwrite", "fdatasync", "fsync", "sync_folder", "rename_noreplace", "link", "replace",
    "unlink", "mkdir", "create", "truncate", "chmod",
)  # fmt: skip
_CLIENT = ("archiver.adapters.vendor.client", "VendorClient")
CALLS = {  # counted only where they are asked for by name
    "account_videos": _CLIENT, "request": _CLIENT, "status": _CLIENT,
    "fetch": ("archiver.adapters.download", "HttpSource"),
}  # fmt: skip


class Fuse:
    """Burns down by a step a time, and ends with a signal."""

    def __init__(self, steps: int, number: int, on: str) -> None:
        self.left, self._number, self._on = steps, number, on

    def lay(self) -> None:
        """Along every call of the disk, and every commit of the ledger."""
        from archiver.adapters.disk import Os
        from archiver.adapters.ledger.writer import Transaction

        for name in STEPS:
            if self._on in ("", name):
                setattr(Os, name, self._before(getattr(Os, name)))
        if self._on in ("", "commit"):
            leave = self._before(Transaction.__exit__)
            Transaction.__exit__ = leave  # type: ignore[method-assign]
        if self._on in CALLS:
            room, owner = CALLS[self._on]
            of = getattr(importlib.import_module(room), owner)
            setattr(of, self._on, self._before(getattr(of, self._on)))

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def burning(*args: Any, **more: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self._number)
            return call(*args, **more)

        return burning


def become(told: dict[str, Any]) -> None:
    """Be the program, to the end of this process."""
    signal.alarm(told["patience_s"])  # one that hangs is an error, and ends
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["env"])
    for number, path in ((0, os.devnull), (1, told["out"]), (2, told["err"])):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(fd, number)
        os.close(fd)
    if told["met"]:
        from tests.faults.process import tell

        tell(told["met"])
    if told["fuse"]:
        Fuse(told["fuse"], told["number"], told["on"]).lay()
    sys.argv = ["archiver", *told["args"]]
    from archiver.cli import main

    main()


def serve() -> None:
    """A line in: a program begins.  Its number out, and, when it has ended, how."""
    import archiver

    for room in pkgutil.walk_packages(archiver.__path__, "archiver."):
        if not room.name.endswith("__main__"):
            importlib.import_module(room.name)
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    staying = []  # a vendor works on while others come and go
    for line in iter(sys.stdin.readline, ""):
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            become(told)
        answers.write(f"{child}\n")
        if told.get("stays"):
            staying.append(child)
            continue
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        staying = [one for one in staying if not os.waitpid(one, os.WNOHANG)[0]]
    for child in staying:  # whoever started it is gone
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    serve()
