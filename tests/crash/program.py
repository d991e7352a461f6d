"""Real processes: a vendor, the program, and what may be said of an archive after it was killed."""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bagit

from tests.authorities import NO_AUTHORITIES
from tests.faults.process import command, told_to

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 40.0  # no process takes so long unless it hangs


@dataclass
class Vendor:
    """The emulator, in a process of its own."""

    api_url: str
    env: dict[str, str]

    def get(self, path: str) -> Any:
        """Ask one of the emulator's own addresses."""
        with urllib.request.urlopen(f"{self.api_url}/_emulator/{path}", timeout=20) as answer:
            return json.load(answer)

    def change(self, **operations: Any) -> None:
        """Change the world."""
        body = json.dumps(operations).encode()
        url = f"{self.api_url}/_emulator/world"
        with urllib.request.urlopen(url, body, timeout=20) as answer:
            answer.read()


@contextlib.contextmanager
def vendor(*options: str) -> Iterator[Vendor]:
    """``archiver emulator --json`` with *options*."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder)
        os.mkfifo(said / "out")
        process = _forking(os.getpid())
        pid = _begin(
            process, ("emulator", "--json", *options), env=dict(os.environ), cwd=ROOT, said=said,
            fuse=0, stays=True, patience_s=0, met="",
        )  # fmt: skip
        try:
            with (said / "out").open() as out:
                told = json.loads(out.readline())
                # What extras do when they are killed has tests of its own.
                yield Vendor(told["api_url"], {**told["env"], "ARCHIVER_NO_EXTRAS": "1"})
        finally:
            os.kill(pid, signal.SIGTERM)


@dataclass
class Result:
    """How a process ended, and what it said.  A killed one has a code below 0."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The object of ``run --json``."""
        answer: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return answer

    @property
    def archived(self) -> dict[str, str]:
        """What the log acknowledged: path to hash."""
        return {e["path"]: e["sha256"] for e in self.events if e["event"] == "archived"}

    @property
    def events(self) -> list[dict[str, Any]]:
        """What the log said.  A kill may cut its last line."""
        return [json.loads(line) for line in self.err.splitlines() if line.endswith("}")]


@dataclass
class Place:
    """A working folder: the archive lies in ``dest``, and everything else has to stay empty."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "cwd", "said"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    @property
    def dest(self) -> Path:
        """The archive."""
        return self.root / "archive"

    @property
    def is_made(self) -> bool:
        """The archive has its id, which comes last when one is made."""
        identity = self.dest / ".archiver" / "archive-id"
        return identity.exists() and identity.read_text().endswith("\n")

    @property
    def cwd(self) -> Path:
        """Where processes start."""
        return self.root / "cwd"

    @property
    def environment(self) -> dict[str, str]:
        """What a process sees, and nothing beside it."""
        homes = {"HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        return {"PATH": os.environ["PATH"], **NO_AUTHORITIES, **homes, **self.env}

    def run_args(self, *more: str) -> list[str]:
        """A run of the whole account into ``dest``; whether with extras, the environment says."""
        told = ["--json", "--log-format", "json"]
        return ["run", "account", "--to", str(self.dest), *told, *more]

    def process(self, *args: str, first: str = "", **more: Any) -> subprocess.Popen[str]:
        """The program with these arguments; *first* is Python that it runs before."""
        return subprocess.Popen(
            [*command(first), *args], cwd=more.pop("cwd", self.cwd),
            env={**self.environment, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
        )  # fmt: skip

    def archiver(self, *args: str, **more: Any) -> Result:
        """The same, to its end; a fork unless there is *more* to it."""
        if not more:
            return fork(args, env=self.environment, cwd=self.cwd, said=self.root / "said")
        with self.process(*args, **more) as process:
            return ended(process)

    def part_bytes(self) -> list[int]:
        """How long the unfinished downloads are."""
        parts = self.dest / ".archiver" / "parts"
        sizes = []
        for path in parts.iterdir() if parts.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                sizes.append(path.stat().st_size)
        return sizes


def ended(process: subprocess.Popen[str]) -> Result:
    """How it ended; one that hangs is an error."""
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Result(process.returncode, out, err)


class Warm:
    """Starts programs without the time that imports take; see ``fork``."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def run(
        self,
        *args: str,
        kill_after_s: float | None = None,
        fuse: int = 0,
        number: int = signal.SIGKILL,
        on: str = "",
        cwd: Path | None = None,
    ) -> Result:
        """Run a program, to its end or for so long; note what it acknowledged.

        Args:
            fuse: before which step on the disk the program gets the signal *number*; 0: never.
            on: count only the calls of this name.
        """
        place = self.place
        result = fork(
            args, env=place.environment, cwd=cwd or place.cwd, said=place.root / "said",
            kill_after_s=kill_after_s, fuse=fuse, number=int(number), on=on,
        )  # fmt: skip
        if "--log-format" in args:
            place.acknowledged.update(result.archived)
        return result


@functools.cache
def _forking(_: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.warm"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    atexit.register(process.communicate)  # its input ends, and so does it
    return process


def fork(
    args: Sequence[str], *, env: dict[str, str], cwd: Path, said: Path,
    kill_after_s: float | None = None, **more: Any,
) -> Result:  # fmt: skip
    """Run a program to its end, or for so long, as a fork of a process that has imported it.

    Each process that asks has one such process for all its tests.

    Args:
        said: the folder where the program's outputs become files.
        more: a fuse; see ``Warm.run``.
    """
    paths = {name: said / name for name in ("out", "err")}
    for path in paths.values():
        path.write_text("")  # a kill may come before the program's first breath
    process = _forking(os.getpid())
    assert process.stdout is not None
    pid = _begin(process, args, env=env, cwd=cwd, said=said, **{"fuse": 0, **more})
    if kill_after_s is not None:
        time.sleep(kill_after_s)  # the moment of the kill is what is tried out
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    code = int(process.stdout.readline())
    return Result(code, paths["out"].read_text(), paths["err"].read_text())


def _begin(
    process: subprocess.Popen[str], args: Sequence[str], *, env: dict[str, str], cwd: Path,
    said: Path, **more: Any,
) -> int:  # fmt: skip
    told = {
        "args": args, "env": env, "cwd": str(cwd), "met": told_to(), "patience_s": int(PATIENCE_S),
        **more, **{name: str(said / name) for name in ("out", "err")},
    }  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(told) + "\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def rows_of(place: Place) -> list[dict[str, Any]]:
    """What the archive says it holds."""
    told = place.archiver("list", str(place.dest), "--json")
    assert told.code == 0, told.err
    return [json.loads(line) for line in told.out.splitlines()]


def nothing_is_lost(place: Place) -> None:
    """Whatever was acknowledged stands where it was said to."""
    for path in place.acknowledged:
        assert (place.dest / path).is_file(), f"{path} was acknowledged and is gone"


def is_valid_bag(dest: Path) -> None:
    """By the judgement of others."""
    bagit.Bag(str(dest)).validate()
    if shutil.which("sha256sum"):
        for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
            told = (dest / manifest).read_text()
            if told:  # an empty list is an error to sha256sum
                command = ["sha256sum", "--strict", "--quiet", "-c", manifest]
                subprocess.run(command, cwd=dest, check=True)


def is_complete(place: Place, vendor: Vendor, rows: list[dict[str, Any]]) -> None:
    """Every video, right to the byte, each once, and nothing beside; *rows* are the catalogue."""
    dest = place.dest
    told = {video["id"]: video["size"] for video in vendor.get("videos")}
    assert {row["id"]: row["bytes"] for row in rows} == told
    assert all(row["state"] == "archived" and row["version"] == 1 for row in rows)
    for row in rows:
        held = hashlib.sha256((dest / row["path"]).read_bytes()).hexdigest()
        assert held == row["sha256"] == vendor.get(f"sha256/{row['id']}/mp4")["sha256"]
    by_path = {row["path"]: row["sha256"] for row in rows}
    assert place.acknowledged.items() <= by_path.items()
    payload = [path for path in (dest / "data").rglob("*") if path.is_file()]
    assert len(payload) == 2 * len(rows)  # each with its sidecar, and no "(2)"
    is_valid_bag(dest)
    assert place.part_bytes() == []
    is_alone(place)


def is_alone(place: Place) -> None:
    """No file was written anywhere but in the archive."""
    for name in ("home", "tmp", "cwd"):
        assert list((place.root / name).iterdir()) == []


def requests_were_not_repeated(vendor: Vendor) -> None:
    """The intent is recorded before each POST, and a GET tells what became of it."""
    posts = vendor.get("stats")["posts_by_video"]
    assert {video: count for video, count in posts.items() if count > 1} == {}
