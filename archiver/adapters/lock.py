"""One run a destination: a lock of the operating system, which no crash can leave behind.

Rule 1: the lock is ``flock`` on ``.archiver/lock``; what the file says only names its holder.
Rule 2: the file is never removed: a name that comes and goes would be two locks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from archiver.core.model import Instant
from archiver.errors import DestinationError
from archiver.met import met

_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in its place must not hang us
_TEXT_MOST = 4096  # what is read of the file: it holds one short line
_LOOKS_MOST, _LOOK_S = 5, 0.02  # `running` holds the lock for a moment: that is no run
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


@contextlib.contextmanager
def locked(path: Path, started: Instant) -> Iterator[None]:
    """Hold the destination's lock; do not wait for another run.

    Args:
        path: ``DEST/.archiver/lock``, made where it is missing.
        started: when this run began, for ``status``.

    Raises:
        DestinationError: another run holds it, or there can be no lock here.
    """
    try:
        descriptor = os.open(path, _FLAGS | os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DestinationError(f"The archive cannot be locked: {error.strerror}.") from error
    try:
        _take(descriptor)
        if _holder(descriptor) is not None:
            met("O06")  # somebody signed and is no more: a lock of the system's is never stale
        _sign(descriptor, started)
        yield
    finally:
        os.close(descriptor)  # which lets go of the lock


def running(path: Path) -> int | None:
    """The process that holds the destination's lock, or None; touches nothing.

    Returns:
        Its number on its own host; 0 where it holds the lock but has not signed.
    """
    try:
        descriptor = os.open(path, _FLAGS | os.O_RDONLY)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return _holder(descriptor) or 0 if error.errno in _HELD else None
        return None
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    try:
        for _ in range(_LOOKS_MOST):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOOK_S)
            else:
                return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise DestinationError(
                f"The archive cannot be locked: {error.strerror}.",
                "Use a file system that knows locks (flock).",
            ) from error
        met("A29", "L18", "O07")
        holder = _holder(descriptor)
        who = f"pid {holder}" if holder else "pid unknown"
        raise DestinationError(
            f"Another run ({who}) is working on this archive.", "Wait until it has ended."
        ) from error


def _sign(descriptor: int, started: Instant) -> None:
    text = json.dumps({"pid": os.getpid(), "started": started, "host": socket.gethostname()})
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode() + b"\n", 0)
    except OSError as error:
        raise DestinationError(f"The archive cannot be locked: {error.strerror}.") from error


def _holder(descriptor: int) -> int | None:
    try:
        said = json.loads(os.pread(descriptor, _TEXT_MOST, 0))
    except (OSError, ValueError):
        return None
    pid = said.get("pid") if isinstance(said, dict) else None
    return pid if isinstance(pid, int) else None
