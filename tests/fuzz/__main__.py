"""``make fuzz SECONDS=n``: each parser for so long, steered by coverage; ends with 1 on a finding.

``python -m tests.fuzz TARGET SECONDS`` is one of them, in its own process.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.seeds import SEEDS

LONGEST_BYTES = 4096
TARGETS = tuple(SEEDS)


def fuzz(name: str, seconds: str, corpus: str) -> None:
    """Fuzz one target until the time is over, or something is found; never returns."""
    import atheris

    with atheris.instrument_imports(include=["archiver"]):
        from tests.fuzz.targets import TARGETS as FUNCTIONS

    function: Callable[[bytes], None] = FUNCTIONS[name]
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_BYTES}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={corpus}/",
    ]
    atheris.Setup([sys.argv[0], *options, corpus], function)
    atheris.Fuzz()


def one(name: str, seconds: str) -> bool:
    """Fuzz *name* in a process of its own; True where nothing was found."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            (Path(corpus) / str(number)).write_bytes(seed)
        command = [sys.executable, "-m", "tests.fuzz", name, seconds, corpus]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
        grown = len(list(Path(corpus).iterdir()))
    runs = re.findall(r"^Done (\d+) runs", done.stderr, re.MULTILINE)
    if done.returncode == 0 and runs:
        print(f"{name:<8} {int(runs[0]):>12,} executions, {grown} inputs that reach something new")
        return True
    print(f"{name:<8} FOUND (exit {done.returncode}):\n{_end(done.stdout)}\n{_end(done.stderr)}")
    return False


def _end(text: str) -> str:
    """What tells the finding: the last lines."""
    lines = [
        line for line in text.splitlines() if not line.startswith(("INFO: ", "#", "WARNING: "))
    ]
    return "\n".join(lines[-25:])


def main(arguments: list[str]) -> int:
    if len(arguments) == 3:
        fuzz(*arguments)
    found = [name for name in TARGETS if not one(name, arguments[0])]
    print(f"{len(TARGETS)} targets, {arguments[0]} s each, {len(found)} with findings")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
