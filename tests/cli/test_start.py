"""What a command loads before it works: what it does not need costs every night, and every TAB.

In real processes, by what was imported; nothing is timed.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.opening import changing

# Each costs more than a millisecond to import; aiohttp alone 0.2 s.
HEAVY = (
    "aiofiles", "aiohttp", "anyio", "asyncio", "concurrent.futures", "email", "http", "keyring",
    "multiprocessing", "rich", "sqlite3", "ssl", "subprocess", "xml",
)  # fmt: skip
PROGRAM = f"""
import json, sys
from archiver.cli import main
try:
    main()
finally:
    print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr)
"""


def loaded(*args: str, cwd: Path) -> set[str]:
    """What the process of a command had loaded of ``HEAVY`` when it ended."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *args], env={"HOME": str(cwd)}, cwd=cwd, text=True,
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An archive of nothing."""
    folder = tmp_path_factory.mktemp("start") / "archive"

    async def make() -> None:
        async with changing(str(folder), create=True):
            pass

    asyncio.run(make())
    return str(folder)


@pytest.mark.parametrize(
    "args", [["--version"], ["--help"], ["rnu"], ["run", "--help"], ["plan"]], ids=" ".join
)
def test_who_has_nothing_to_do_loads_nothing(args: list[str], tmp_path: Path) -> None:
    """Help, and a slip of the pen."""
    assert loaded(*args, cwd=tmp_path) == set()


@pytest.mark.parametrize("command", ["status", "list", "events"])
def test_a_question_loads_the_ledger_alone(command: str, archive: str, tmp_path: Path) -> None:
    """One question, one answer: nobody waits for several things, and nobody for the network."""
    assert loaded(command, archive, cwd=tmp_path) == {"sqlite3"}


@pytest.mark.parametrize(
    "args", [["retry"], ["verify", "--quiet"], ["run", "account", "--to"]], ids=" ".join
)
def test_what_needs_no_network_loads_none(args: list[str], archive: str, tmp_path: Path) -> None:
    """asyncio brings ssl along, whether it is needed or not; for a run there are no credentials."""
    allowed = {
        "aiofiles", "anyio", "asyncio", "concurrent.futures", "sqlite3", "ssl", "subprocess",
    }  # fmt: skip
    assert loaded(*args, archive, cwd=tmp_path) <= allowed
