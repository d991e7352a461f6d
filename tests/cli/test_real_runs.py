"""The program as a process, against a real vendor on real sockets: results, logs, reports."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import pty
import re
import sys
from pathlib import Path

from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from tests.cli.processes import SMALL, archiver, reaching, vendor


def test_the_demo_archives_and_the_archive_answers(tmp_path: Path) -> None:
    """From nothing to a checked archive; the second time there is nothing left to do."""

    async def story() -> None:
        to = str(tmp_path / "demo")
        code, out, err = await archiver("demo", "--to", to, "--videos", "3")
        assert (code, "Traceback" in err) == (0, False), err
        assert "Archived 3 videos" in out
        assert "\x1b" not in out + err
        again = json.loads((await archiver("demo", "--to", to, "--videos", "3", "--json"))[1])
        assert again["videos"] == {
            "selected": 3, "already_archived": 3, "archived": 0, "skipped": 0, "parked": 0,
            "gone": 0, "remaining": 0,
        }  # fmt: skip
        assert again["api_calls"]["request"] == 0

        rows = [json.loads(row) for row in (await archiver("list", to, "--json"))[1].splitlines()]
        assert len(rows) == 3
        for row in rows:
            held = Path(to, row["path"]).read_bytes()
            assert (len(held), hashlib.sha256(held).hexdigest()) == (row["bytes"], row["sha256"])
        code, out, _ = await archiver("status", to, env={"LC_ALL": "C"})
        assert (code, "archived" in out) == (0, True)
        assert (await archiver("verify", to))[0] == 0
        assert (await archiver("retry", to))[:2] == (0, "No video is parked there.\n")

        stranger = Path(to, rows[0]["path"]).with_name("notes.txt")
        stranger.write_text("mine")  # this very second: no run is going on that could own it
        code, out, _ = await archiver("verify", to, "--json")
        assert (code, len(json.loads(out)["unknown"])) == (1, 1)
        stranger.unlink()

        Path(to, rows[0]["path"]).write_bytes(b"not the video")
        code, out, _ = await archiver("verify", to)
        assert (code, "changed" in out, str(rows[0]["id"]) in out) == (1, True, True)
        assert len(json.loads((await archiver("verify", to, "--json"))[1])["changed"]) == 1

    asyncio.run(story())


def test_made_up_videos_never_come_into_a_real_archive(tmp_path: Path) -> None:
    """The demo refuses a folder with other videos, and changes nothing there."""

    async def story() -> None:
        to = str(tmp_path / "mine")
        other = EmulatorConfig(
            seed=9, videos=1, channels=1, playlists=0, size=(20_000, 20_000), generation_s=(0, 0)
        )
        async with vendor(other) as env:
            assert (await archiver("run", "account", "--to", to, env=env))[0] == 0
        before = sorted(Path(to, "data").rglob("*"))
        code, _, err = await archiver("demo", "--to", to)
        assert (code, "other videos" in err) == (4, True)
        assert sorted(Path(to, "data").rglob("*")) == before

    asyncio.run(story())


def test_a_run_under_cron_is_quiet_and_reports(tmp_path: Path) -> None:
    """``-q`` says nothing when all is well; ``--json`` is the last line; ``--report`` the same."""

    async def story() -> None:
        to, report = str(tmp_path / "a"), tmp_path / "report.json"
        async with vendor(SMALL) as env:
            args = ["run", "account", "--to", to, "--quiet"]
            code, out, err = await archiver(*args, env=env)
            assert (code, out, err) == (0, "", "")
            code, out, err = await archiver(*args, "--json", "--report", str(report), env=env)
            assert (code, err) == (0, "")
            assert json.loads(out) == json.loads(report.read_text())
            assert json.loads(out)["videos"]["already_archived"] == 4
            code, out, err = await archiver("plan", "account", "--to", to, "--json", env=env)
            assert json.loads(out)["videos"]["new"] == 0, err
            secret = env["ARCHIVER_CLIENT_SECRET"].encode()
        for path in tmp_path.rglob("*"):
            assert path.is_dir() or secret not in path.read_bytes(), path

    asyncio.run(story())


def test_a_new_archive_calls_its_videos_as_told_and_keeps_to_it(tmp_path: Path) -> None:
    """``--name`` is chosen with the first run; a later run may repeat it, and change nothing."""

    async def story() -> None:
        to = str(tmp_path / "a")
        async with vendor(SMALL) as env:
            args = ["run", "account", "--to", to, "--json"]
            assert (await archiver(*args, "--limit", "1", "--name", "v [{id}]", env=env))[0] == 0
            assert (await archiver(*args, env=env))[0] == 0
            code, _, err = await archiver(*args, "--name", "{title} [{id}]", env=env)
            assert (code, "v [{id}]" in err) == (2, True)
            assert (await archiver(*args, "--name", "{title}", env=env))[0] == 2
        stems = {path.stem for path in Path(to, "data").rglob("*.mp4")}
        assert len(stems) == 4
        assert all(re.fullmatch(r"v \[\d+\]", stem) for stem in stems)

    asyncio.run(story())


def test_wrong_credentials_are_3_and_a_file_as_destination_is_4(tmp_path: Path) -> None:
    """One sentence each, and for programs an object with ``refused``."""

    async def story() -> None:
        async with vendor(SMALL) as env:
            wrong = {**env, "ARCHIVER_CLIENT_SECRET": "canary-wrong"}
            to = str(tmp_path / "a")
            code, out, err = await archiver("run", "account", "--to", to, "--json", env=wrong)
            assert (code, json.loads(out)["outcome"]) == (3, "refused")
            assert "Traceback" not in err
            assert "canary" not in out + err
            (tmp_path / "file").write_text("mine")
            to = str(tmp_path / "file")
            code, out, err = await archiver("run", "account", "--to", to, "--json", env=env)
            assert (code, json.loads(out)["exit_code"]) == (4, 4)
            assert err.startswith("archiver: ")
            assert (tmp_path / "file").read_text() == "mine"

    asyncio.run(story())


def test_a_closed_log_does_not_stop_the_run(tmp_path: Path) -> None:
    """Standard error is a pipe that nobody reads any more; the videos still come."""

    async def story() -> None:
        read, write = os.pipe()
        os.close(read)
        async with vendor(SMALL) as env:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "archiver", "run", "account", "--to", str(tmp_path / "a"),
                "--json", env={"HOME": "/nonexistent", **env}, stderr=write,
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            os.close(write)
            out, _ = await asyncio.wait_for(process.communicate(), 40)
            assert (process.returncode, json.loads(out)["videos"]["archived"]) == (0, 4)

    asyncio.run(story())


def test_a_terminal_gets_bars_and_its_cursor_back(tmp_path: Path) -> None:
    """Bars while it runs, nothing of them afterwards; the result is plain."""

    async def story() -> None:
        ours, theirs = pty.openpty()
        async with vendor(SMALL) as env:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "archiver", "run", "account", "--to", str(tmp_path / "a"),
                env={"HOME": "/nonexistent", "TERM": "xterm", **env}, stderr=theirs,
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            os.close(theirs)
            shown = asyncio.get_running_loop().run_in_executor(None, read_all, ours)
            out, _ = await asyncio.wait_for(process.communicate(), 40)
            screen = await shown
        assert (process.returncode, b"\x1b" in out) == (0, False)
        assert "\u2501" in screen
        assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")
        assert screen.count("archived ") >= 4

    asyncio.run(story())


def read_all(descriptor: int) -> str:
    """What a terminal received until the other side was closed."""
    got = bytearray()
    with contextlib.suppress(OSError):  # EIO is a terminal's end of file
        while chunk := os.read(descriptor, 65_536):
            got += chunk
    os.close(descriptor)
    return got.decode()


def test_the_fullest_log_holds_no_secret_and_every_line_is_an_object(tmp_path: Path) -> None:
    """``--verbose --log-format json``: the life of each file, without tokens and signatures."""

    async def story() -> None:
        async with Emulator(SMALL) as emulator:
            code, out, err = await archiver(
                "run", "account", "--to", str(tmp_path / "a"), "--verbose", "--log-format", "json",
                env={**reaching(emulator), "ARCHIVER_TO": str(tmp_path / "not here")},
            )  # fmt: skip
            assert code == 0, err
            events = [json.loads(line)["event"] for line in err.splitlines()]
            assert {"asking", "ready", "fetched", "archived"} <= set(events)
            assert emulator.client_secret not in out + err
            assert emulator.access_token not in out + err
            assert re.search(r"https?://\S+\?\w", out + err) is None
        assert os.listdir(tmp_path) == ["a"]

    asyncio.run(story())
