"""`archiver emulator` as a process: it announces itself, serves, and leaves when told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request

from click.testing import CliRunner

from archiver.commands.emulator import command
from archiver.emulator.faults import FAULTS

RUN = [sys.executable, "-c", "from archiver.commands.emulator import command; command()"]


def test_it_prints_its_addresses_and_ends_with_0() -> None:
    options = ["--json", "--videos", "3", "--size", "20k", "--window", "1h", "--rate-limit", "9/1m"]
    with subprocess.Popen([*RUN, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["env"]["ARCHIVER_API_URL"] == said["api_url"]
        with urllib.request.urlopen(f"{said['api_url']}/_emulator/videos") as response:
            assert [video["size"] for video in json.load(response)] == [20_000] * 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_wrong_options_are_named() -> None:
    for options, text in (
        (["--fault", "nonsense"], "no fault is named 'nonsense'"),
        (["--size", "4M-1M"], "runs backwards"),
        (["--window", "1y"], "units"),
        (["--rate-limit", "many"], "100/60s"),
    ):
        result = CliRunner().invoke(command, options)
        assert result.exit_code == 2
        assert text in result.output


def test_the_misfortunes_are_listed() -> None:
    result = CliRunner().invoke(command, ["--faults"])
    assert result.exit_code == 0
    assert all(name in result.output for name in FAULTS)
