"""A run is stopped by a person, a terminal or a service manager, and goes on later."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import pytest

from archiver.emulator.server import Emulator
from tests.cli.processes import SLOW, archiver, ended, reaching, start


async def downloading(process: asyncio.subprocess.Process) -> list[str]:
    """Read the log until files are being made ready for download; what was said."""
    assert process.stderr is not None
    said: list[str] = []
    while not any(" ready " in line for line in said):
        line = await asyncio.wait_for(process.stderr.readline(), 20)
        assert line, said
        said.append(line.decode())
    return said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_it_in_order_and_the_next_run_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Code 5 within seconds, a line that says how to go on, and nothing done twice.

    With ``--json`` the person reads it on standard error.
    """

    async def story() -> None:
        to = str(tmp_path / "a")
        async with Emulator(SLOW) as emulator:
            env = reaching(emulator)
            json_too = ["--json"] if number is signal.SIGTERM else []
            process = await start("run", "account", "--to", to, "--verbose", *json_too, env=env)
            await downloading(process)
            process.send_signal(number)
            code, out, err = await asyncio.wait_for(ended(process), 8)
            assert code == 5, out + err
            assert "stopping: " in err
            assert "run the same command" in (err if json_too else out)
            assert "Traceback" not in err
            emulator.line.bytes_s = None
            code, out, _ = await archiver("run", "account", "--to", to, "--json", env=env)
            assert (code, json.loads(out)["outcome"]) == (0, "complete")
            assert len(emulator.world.versions) == 4  # none was prepared twice

    asyncio.run(story())


def test_the_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Even if the first one had no effect at all; a doubled signal counts as one."""
    code = (
        "import asyncio, sys\n"
        "from archiver.commands.watching import attend, watcher\n"
        "async def deaf(stop):\n"
        "    sys.stderr.write('ready\\n'); sys.stderr.flush()\n"
        "    await asyncio.get_running_loop().create_future()\n"
        "attend(deaf, watcher({}))"
    )

    async def story() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        await process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        assert b"stopping: " in await process.stderr.readline()
        while process.returncode is None:  # as a person would: until it has an effect
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 0.1)
        assert process.returncode == 5
        await process.stderr.read()

    asyncio.run(story())


def test_nohup_is_obeyed(tmp_path: Path) -> None:
    """A hangup that the caller switched off does not stop the run."""

    async def story() -> None:
        to = str(tmp_path / "a")
        async with Emulator(SLOW) as emulator:
            env = reaching(emulator)
            process = await start(
                "run", "account", "--to", to, "--limit", "1", "--verbose", env=env,
                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
            )  # fmt: skip
            await downloading(process)
            process.send_signal(signal.SIGHUP)
            emulator.line.bytes_s = None
            code, out, err = await ended(process)
            assert (code, "Archived 1 video" in out) == (0, True), err

    asyncio.run(story())
