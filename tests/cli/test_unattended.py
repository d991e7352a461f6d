"""Nights that nobody watches: who hears of them, however they end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families as parsed

from archiver.cli import app
from archiver.commands import output
from archiver.commands.reporting import kind_of
from archiver.commands.watching import watcher
from archiver.core.model import Instant, VideoId
from archiver.core.summary import Deletion, Summary
from tests.cli.processes import SLOW, SMALL, archiver, ended, start, vendor
from tests.faults.process import command
from tests.wire.service import Service, listening

CANARY = "canary-ping-7e20"
LEAST = ("failure", "warning", "always")


@dataclass
class House:
    """A machine with everything that hears of a night."""

    root: Path
    service: Service
    env: dict[str, str]

    @property
    def dest(self) -> str:
        return str(self.root / "archive")

    @property
    def log(self) -> str:
        return (self.root / "night.log").read_text()

    async def night(self, *more: str, **env: str) -> tuple[int | None, str, str]:
        return await archiver(*self.words(*more), env={**self.env, **env})

    def words(self, *more: str) -> list[str]:
        log, metrics = str(self.root / "night.log"), str(self.root / "a.prom")
        told = ["--log-file", log, "--metrics-file", metrics, "--quiet"]
        return ["run", "account", "--to", self.dest, *told, *more]

    def figure(self, name: str, **labels: str) -> float:
        wanted = {"archive": self.dest, **labels}
        (value,) = [
            sample.value
            for family in parsed((self.root / "a.prom").read_text())
            for sample in family.samples
            if sample.name == f"archiver_{name}" and sample.labels == wanted
        ]
        return value

    def clean(self, *said: str) -> None:
        """No address of a service stands anywhere."""
        files = [path.read_bytes() for path in self.root.rglob("*") if path.is_file()]
        assert not any(CANARY.encode() in text for text in (*files, *map(str.encode, said)))


@contextlib.asynccontextmanager
async def house(root: Path, *, slow: bool = False) -> AsyncIterator[House]:
    async with vendor(SLOW if slow else SMALL) as env, listening() as service:
        yield House(root, service, {**env, "ARCHIVER_PING": f"{service.url}/{CANARY}"})


def test_a_good_night_is_told_and_so_is_every_other(tmp_path: Path) -> None:
    """O05: whoever waits hears of a beginning and an end; the log grows, the metrics follow."""

    async def story() -> None:
        async with house(tmp_path) as at:
            notify = {"ARCHIVER_NOTIFY": f"json{at.service.url.removeprefix('http')}/{CANARY}/note"}
            said = await at.night("--json", **notify)
            assert (said[0], said[2]) == (0, "")
            assert at.service.paths() == [f"/{CANARY}/start", f"/{CANARY}"]
            assert re.search(r"Z ended +exit code 0: archiver, .*: all is done\n", at.log)
            assert at.log.count("Z archived ") == 4
            assert stat.S_IMODE((tmp_path / "night.log").stat().st_mode) == 0o600
            assert at.figure("last_run_videos", state="archived") == 4
            good_at = at.figure("last_good_run_timestamp_seconds")

            # 3: there is no credential, which is found out before anything is begun.
            report = tmp_path / "report.json"
            more = {"ARCHIVER_CLIENT_SECRET": "", **notify}
            refused = await at.night("--report", str(report), **more)
            assert (refused[0], refused[1]) == (3, "")
            assert json.loads(report.read_text())["exit_code"] == 3
            asked = {path: body.decode() for _, path, body in at.service.asked}
            assert list(at.service.paths())[:1] == [f"/{CANARY}/start"]
            assert set(asked) == {f"/{CANARY}/{each}" for each in ("start", "fail", "note")}
            assert "There are no credentials" in asked[f"/{CANARY}/fail"]
            assert "There are no credentials" in json.loads(asked[f"/{CANARY}/note"])["message"]
            assert at.log.count("Z begun ") == 2
            assert "There are no credentials" in at.log
            assert at.figure("last_run_exit_code") == 3
            assert at.figure("last_good_run_timestamp_seconds") == good_at

            # 4: the destination is a file.
            Path(at.dest + "x").write_text("mine")
            unusable = await at.night("--to", at.dest + "x")
            assert unusable[0] == 4
            assert at.service.paths() == [f"/{CANARY}/start", f"/{CANARY}/fail"]
            at.clean(*said[1:], *refused[1:], *unusable[1:])

    asyncio.run(story())


def test_nobody_there_to_hear_changes_nothing(tmp_path: Path) -> None:
    """The run ends as it would have, and says who did not hear, but not where he lives."""

    async def story() -> None:
        async with house(tmp_path) as at:
            at.service.answers += [500] * 99
            code, out, err = await at.night(
                "--log-file", "/dev/full",
                ARCHIVER_NOTIFY=f"json{at.service.url.removeprefix('http')}/{CANARY}",
                ARCHIVER_NOTIFY_ON="always",
            )  # fmt: skip
            assert (code, out) == (0, "")
            assert sorted(err.splitlines()) == [
                "archiver: the log lacks lines: No space left on device",
                "archiver: the notification was not taken: not every service took it",
                "archiver: the ping was not taken: it answers 500",
            ]
            at.clean(out, err)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"ARCHIVER_PING": f"{CANARY}"}, "ARCHIVER_PING is not a web address"),
        ({"ARCHIVER_PING": f"{CANARY}"}, "Set it like https://hc.example/ping/"),
        ({"ARCHIVER_PING": f"https://me:{CANARY}@a"}, "ARCHIVER_PING holds a user or a password"),
        ({"ARCHIVER_NOTIFY": f"{CANARY}://a"}, "ARCHIVER_NOTIFY: address 1 is none"),
        ({"ARCHIVER_LOG_FILE": "/nonexistent/log"}, "The log /nonexistent/log cannot be written"),
        ({"ARCHIVER_METRICS_FILE": "/nonexistent/a.prom"}, "/nonexistent is no folder"),
    ],
)
def test_a_slip_in_these_settings_is_said_before_the_night(
    setting: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sets them wrong would hear nothing, and take it for good news."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    dest = tmp_path / "a"
    env = {"ARCHIVER_ACCESS_TOKEN": "any", **setting}
    result = CliRunner().invoke(app, ["run", "account", "--to", str(dest)], env=env)
    assert (result.exit_code, result.stdout, dest.exists()) == (2, "", False)
    assert said in result.stderr
    assert CANARY not in result.stderr


def test_a_stop_is_told_and_is_no_failure(tmp_path: Path) -> None:
    """5: the next night goes on."""

    async def story() -> None:
        async with house(tmp_path, slow=True) as at:
            process = await start(*at.words(), env=at.env)
            await stopped_under_way(process, at)
            assert at.service.paths() == [f"/{CANARY}/start", f"/{CANARY}"]
            assert at.figure("last_run_exit_code") == 5

    asyncio.run(story())


@pytest.mark.slow
def test_a_service_that_keeps_silent_holds_up_no_stop(tmp_path: Path) -> None:
    """It would take 20 s to believe that: longer than this test has patience."""

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with house(tmp_path, slow=True) as at:
                place = f"127.0.0.1:{silent.getsockname()[1]}/{CANARY}"
                env = {**at.env, "ARCHIVER_PING": f"http://{place}"}
                env |= {"ARCHIVER_NOTIFY": f"json://{place}", "ARCHIVER_NOTIFY_ON": "always"}
                process = await start(*at.words(), env=env)
                err = await asyncio.wait_for(stopped_under_way(process, at), 15)
                assert "archiver: the ping was not taken: it does not answer\n" in err
                at.clean(err)

    asyncio.run(story())


async def stopped_under_way(process: asyncio.subprocess.Process, at: House) -> str:
    """Ask a run to stop while it downloads; what it said."""
    while not any(Path(at.dest).glob(".archiver/parts/*.part")):
        assert process.returncode is None
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    code, _, err = await ended(process)
    assert code == 5, err
    return err


def test_a_bug_of_ours_is_told_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """70: the words of a stranger may hold anything; the kind of the error is ours to tell."""

    def broken(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("archiver.archive.run", broken)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    log, metrics = tmp_path / "log", tmp_path / "a.prom"
    words = ["run", "account", "--to", "x", "--log-file", str(log), "--metrics-file", str(metrics)]
    result = CliRunner().invoke(app, words, env={"ARCHIVER_ACCESS_TOKEN": "any"})
    assert result.exit_code == 70
    assert "ended by a bug" in log.read_text()
    assert "RuntimeError" in log.read_text()
    assert CANARY not in log.read_text()
    assert 'archiver_last_run_exit_code{archive="x"} 70\n' in metrics.read_text()


GOOD = Summary(Instant(0.0))
ENDANGERED = Summary(Instant(0.0), exit_code=5, deletion=Deletion(1, (VideoId(1),)))


@pytest.mark.parametrize(
    ("summary", "warnings", "kinds"),
    [
        (GOOD, 0, {"failure": "", "warning": "", "always": "success"}),
        (GOOD, 1, {"failure": "", "warning": "warning", "always": "warning"}),
        (ENDANGERED, 0, {"failure": "", "warning": "warning", "always": "warning"}),
        (Summary(Instant(0.0), exit_code=1), 0, dict.fromkeys(LEAST, "failure")),
        (Summary(Instant(0.0), exit_code=3), 1, dict.fromkeys(LEAST, "failure")),
    ],
)
def test_who_wants_few_messages_gets_few(
    summary: Summary, warnings: int, kinds: dict[str, str]
) -> None:
    """A failure is always told; what is about to be deleted counts as a warning."""
    assert {least: kind_of(summary, warnings, least) for least in LEAST} == kinds


def test_the_doctor_looks_at_who_would_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And tells nobody anything: nobody is there, and nobody is missed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    env = {"ARCHIVER_PING": f"http://127.0.0.1:9/{CANARY}", "ARCHIVER_NOTIFY": f"{CANARY}://x"}
    result = CliRunner().invoke(app, ["doctor"], env=env)
    assert result.exit_code == 2
    assert re.search(r"ok +ping setting +is set", result.stdout)
    assert re.search(r"FAIL +notify setting +ARCHIVER_NOTIFY: address 1 is none", result.stdout)
    assert CANARY not in result.output


def test_elsewhere_the_journals_format_is_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Priorities that nobody takes away would stand in somebody's file."""
    told = io.StringIO()
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    watcher({"log_format": "journal"}).said("a word")
    assert re.fullmatch(r"[\d:]{8} note +a word\n", told.getvalue())


def test_a_warning_on_a_broken_pipe_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """L28: who does not listen changes nothing."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        output.warn("a word")
        monkeypatch.undo()
        with contextlib.suppress(BrokenPipeError):
            broken.close()


def test_the_journal_is_given_priorities(tmp_path: Path) -> None:
    """Where standard error leads straight into it, also to the words of a run that was refused."""

    async def story() -> None:
        async with house(tmp_path) as at:
            log = tmp_path / "journal"
            with log.open("wb") as file:
                found = os.fstat(file.fileno())
                journal = f"{found.st_dev}:{found.st_ino}"
                for where, secret in ((journal, at.env["ARCHIVER_CLIENT_SECRET"]), (journal, "")):
                    process = await asyncio.create_subprocess_exec(
                        *command(), "run", "account", "--to", at.dest, "--log-format", "journal",
                        env={**at.env, "JOURNAL_STREAM": where, "ARCHIVER_CLIENT_SECRET": secret},
                        stdout=asyncio.subprocess.DEVNULL, stderr=file,
                    )  # fmt: skip
                    assert await process.wait() == (0 if secret else 3)
            lines = log.read_text().splitlines()
            assert {line[:3] for line in lines} == {"<6>", "<3>"}
            assert sum(line.startswith("<6>archived ") for line in lines) == 4
            assert "<3>archiver: There are no credentials." in lines

    asyncio.run(story())


@pytest.mark.slow
def test_a_warning_that_nobody_hears_does_not_make_a_good_night_a_bad_one(tmp_path: Path) -> None:
    """L28: the log lacks lines, and standard error is shut as well."""

    async def story() -> None:
        async with vendor(replace(SMALL, videos=1)) as env, listening() as service:
            read, write = os.pipe()
            os.close(read)
            process = await asyncio.create_subprocess_exec(
                *command(), "run", "account", "--to", str(tmp_path / "a"), "--log-file",
                "/dev/full", env={**env, "ARCHIVER_PING": service.url},
                stdout=asyncio.subprocess.DEVNULL, stderr=write,
            )  # fmt: skip
            os.close(write)
            assert await process.wait() == 0
            assert service.paths() == ["/start", "/"]

    asyncio.run(story())
