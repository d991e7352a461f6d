"""One run a destination: what the lock promises, with real processes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from archiver.adapters.lock import locked, running
from archiver.core.model import Instant
from archiver.errors import DestinationError

HOLDER = """
import sys
from pathlib import Path
from archiver.adapters.lock import locked
from archiver.core.model import Instant
with locked(Path(sys.argv[1]), Instant(5.0)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_and_told_who_holds_the_archive(tmp_path: Path) -> None:
    """Two runs never work on one archive, and the second knows at once."""
    path = tmp_path / "lock"
    with locked(path, Instant(5.0)):
        with (
            pytest.raises(DestinationError, match=rf"\(pid {os.getpid()}\)") as told,
            locked(path, Instant(6.0)),
        ):
            pytest.fail("held twice")
        assert told.value.exit_code == 4
        assert running(path) == os.getpid()
        said = json.loads(path.read_text())
        assert (said["pid"], said["started"]) == (os.getpid(), 5.0)
        assert said["host"]
    assert running(path) is None
    with locked(path, Instant(7.0)):
        assert running(path) == os.getpid()


def test_a_killed_run_leaves_no_lock_behind(tmp_path: Path) -> None:
    """The lock is the system's: it ends with its process, whatever the file says."""
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert running(path) == holder.pid
        with pytest.raises(DestinationError, match=str(holder.pid)), locked(path, Instant(0.0)):
            pytest.fail("held twice")
        holder.send_signal(signal.SIGKILL)
    assert str(holder.pid) in path.read_text()
    assert running(path) is None
    with locked(path, Instant(0.0)):
        pass


def test_asking_changes_nothing(tmp_path: Path) -> None:
    """`status` works on an archive that cannot be written, and on one without a lock file."""
    path = tmp_path / "lock"
    assert running(path) is None
    assert not path.exists()
    path.write_text("no JSON")
    path.chmod(0o400)
    assert running(path) is None
    assert path.read_text() == "no JSON"


def test_a_link_is_not_followed_and_an_unsigned_lock_still_holds(tmp_path: Path) -> None:
    """Nobody can point the lock elsewhere, and no content opens it."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DestinationError, match="cannot be locked"), locked(link, Instant(0.0)):
        pytest.fail("locked a link")
    assert running(link) is None
    path = tmp_path / "lock"
    with locked(path, Instant(0.0)):
        path.write_text("[]")
        assert running(path) == 0
        with pytest.raises(DestinationError, match="pid unknown"), locked(path, Instant(0.0)):
            pytest.fail("held twice")


def test_who_only_asks_does_not_turn_a_run_away(tmp_path: Path) -> None:
    """`status` looks at the lock in the very moment in which the nightly run begins."""
    path = tmp_path / "lock"
    path.write_text("")
    with path.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        soon = threading.Timer(0.03, fcntl.flock, (asking, fcntl.LOCK_UN))
        soon.start()
        with locked(path, Instant(0.0)):
            pass
        soon.join()
