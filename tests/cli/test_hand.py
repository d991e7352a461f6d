"""What a person notices first: nothing touched by a question, nothing swallowed, nothing odd."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from archiver.account import Account, Secret
from archiver.adapters.http import check_way
from archiver.doctor import doctor
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from archiver.errors import SettingsError
from tests.cli.processes import SMALL, archiver, ended, reaching, start, vendor


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder, with size and time."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def test_questions_touch_nothing(tmp_path: Path) -> None:
    """Not DEST before the first run, and not one file of the archive after it.

    A verification adds its line to the log of verifications, and to nothing else.
    """

    async def story() -> None:
        to = str(tmp_path / "a")
        async with vendor(SMALL) as env:
            asked = ["plan", "account", "--to", to]
            assert (await archiver(*asked, env=env))[0] == 0
            assert (await archiver("run", *asked[1:], "--dry-run", env=env))[0] == 0
            assert (await archiver("doctor", "--to", to, env=env))[0] == 0
            assert os.listdir(tmp_path) == []
            assert (await archiver("run", "account", "--to", to, env=env))[0] == 0
            before = everything(tmp_path)
            questions = (asked, ["status", to], ["list", to], ["verify", to],
                         ["doctor", "--to", to], ["events", to])  # fmt: skip
            log = tmp_path / "a" / ".archiver" / "checks.jsonl"
            for question in questions:
                assert (await archiver(*question, env=env))[0] == 0
                if question[0] == "verify":
                    assert len(log.read_text().splitlines()) == 1
                    own = {str(log), str(log.parent)}
                    seen = everything(tmp_path)
                    assert {p: seen[p] for p in seen.keys() - own} == {
                        p: before[p] for p in before.keys() - own
                    }
                    before = seen
                assert everything(tmp_path) == before, question

    asyncio.run(story())


def test_the_sidecar_names_the_channel_of_an_account_listing(tmp_path: Path) -> None:
    """Such a listing has the channel's number only; its title comes from the channels."""

    async def story() -> None:
        async with Emulator(SMALL) as emulator:
            env = reaching(emulator)
            assert (await archiver("run", "account", "--to", str(tmp_path), env=env))[0] == 0
            titles = {c.title for c in emulator.world.account.channels.values()}
        sidecars = list(tmp_path.glob("data/*/*/*/*.info.json"))
        assert len(sidecars) == 4
        for path in sidecars:
            told = json.loads(path.read_text())
            assert told["channel"] in titles
            assert told["archive"]["channel_title"] in titles

    asyncio.run(story())


def test_a_run_that_is_refused_in_the_middle_says_why_and_reports(tmp_path: Path) -> None:
    """What was archived is counted, the sentence stands on standard error, also when quiet."""
    config = EmulatorConfig(
        videos=4, channels=1, playlists=0, size=(20_000, 60_000), generation_s=(1.5, 2.5)
    )

    async def story() -> None:
        for more in (["--verbose", "--json"], ["--verbose"]):
            async with Emulator(config) as emulator:
                env = {**reaching(emulator), "ARCHIVER_ACCESS_TOKEN": emulator.access_token}
                to = str(tmp_path / str(len(more)))
                process = await start("run", "account", "--to", to, *more, env=env)
                assert process.stderr is not None
                while b" preparing " not in await process.stderr.readline():
                    pass
                emulator.tokens.revoke()
                code, out, err = await ended(process)
            assert code == 3, err
            assert "archiver: The access token was refused" in err
            assert "Set a new ARCHIVER_ACCESS_TOKEN" in err
            if "--json" in more:
                answer = json.loads(out)
                assert (answer["outcome"], answer["videos"]["remaining"]) == ("refused", 4)
            else:
                assert "4 left for the next run." in out

    asyncio.run(story())


def test_a_full_disk_behind_a_list_is_a_sentence(tmp_path: Path) -> None:
    """However many rows are still to come."""

    async def story() -> None:
        async with vendor(SMALL) as env:
            assert (await archiver("run", "account", "--to", str(tmp_path), env=env))[0] == 0
        with Path("/dev/full").open("wb") as full:
            process = await asyncio.create_subprocess_shell(
                f"{sys.executable} -m archiver list {tmp_path} --json",
                stdout=full, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            _, err = await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode == 1
        assert err.decode().startswith("archiver: The output cannot be written: ")
        assert b"Traceback" not in err

    asyncio.run(story())


def test_an_account_shows_no_secret() -> None:
    """Not even the login that stands in a proxy's address."""
    account = Account(
        client_secret=Secret("canary"), access_token=Secret("canary"),
        proxy="http://me:canary@proxy.example:3128",
    )  # fmt: skip
    assert "canary" not in repr(account) + str(account)


@pytest.mark.parametrize("wrong", [{"proxy": "ftp://x"}, {"ca_file": "/nonexistent"}])
def test_an_unusable_way_is_found_before_anything_is_made(wrong: dict[str, Any]) -> None:
    """The folder of a first run is not made for a run that cannot be."""
    with pytest.raises(SettingsError) as caught:
        check_way(Account(**wrong))
    assert "Error" not in str(caught.value)


def test_the_doctor_knows_nothing_of_a_clock_that_nobody_told() -> None:
    """An API out of reach is the finding; a proxy is named without its login."""
    nowhere = "http://127.0.0.1:9"
    account = Account(
        api_url=nowhere, token_url=nowhere, access_token=Secret("x"),
        proxy="http://me:canary@127.0.0.1:9",
    )  # fmt: skip
    checks = {check.name: check for check in asyncio.run(doctor(None, account, wait_s=0.5))}
    assert "clock" not in checks
    assert not checks["API"].ok
    assert checks["proxy"].found == "http://127.0.0.1:9 is used for everything"


def test_the_doctor_names_everything_it_looked_at(tmp_path: Path) -> None:
    """What is well is said, too: a finding that is missing would be a question."""

    async def story() -> None:
        async with vendor(SMALL) as env:
            code, out, err = await archiver("doctor", "--to", str(tmp_path), "--json", env=env)
        checks = json.loads(out)["checks"]
        assert (code, all(check["ok"] for check in checks)) == (0, True), err
        assert {check["name"] for check in checks} == {
            "python", "settings", "proxy", "credentials", "role", "API", "clock", "disk", "archive"
        }  # fmt: skip

    asyncio.run(story())


def test_a_lost_identity_is_told_before_the_night(tmp_path: Path) -> None:
    """The plan and the doctor say what the run would; a copy without it can still be read."""

    async def story() -> None:
        to = str(tmp_path / "a")
        async with vendor(SMALL) as env:
            assert (await archiver("run", "account", "--to", to, env=env))[0] == 0
            (tmp_path / "a" / ".archiver" / "archive-id").unlink()
            for command in (["plan", "account", "--to", to], ["run", "account", "--to", to]):
                code, _, said = await archiver(*command, env=env)
                assert (code, "archive-id" in said) == (4, True), command
            assert (await archiver("doctor", "--to", to, env=env))[0] == 4
            assert (await archiver("list", to, env=env))[0] == 0
            (tmp_path / "a" / ".archiver" / "ledger.sqlite3").unlink()
            for command in (["plan", "account", "--to", to], ["list", to]):
                code, _, said = await archiver(*command, env=env)
                assert (code, "archive-id" in said) == (4, True), command

    asyncio.run(story())


def test_names_are_previewed_and_made_as_they_were_shown(tmp_path: Path) -> None:
    """By `plan --name`, before an archive is made; later only by the template that it has."""

    async def story() -> None:
        to, template = str(tmp_path / "a"), "{title} ({date}) [{id}]"
        async with vendor(SMALL) as env:
            asked = ["plan", "account", "--to", to]
            code, out, _ = await archiver(*asked, "--name", template, "--json", env=env)
            preview = json.loads(out)["names_preview"]
            assert code == 0
            assert len(preview) == 4
            shown = (await archiver(*asked, "--name", template, env=env))[1]
            assert all(f"  {path}\n" in shown for path in preview)
            assert os.listdir(tmp_path) == []
            run = ["run", "account", "--to", to, "--name", template]
            assert (await archiver(*run, env=env))[0] == 0
            _, out, _ = await archiver("list", to, "--json", env=env)
            made = {json.loads(line)["path"] for line in out.splitlines()}
            assert set(preview) <= made
            code, shown, _ = await archiver(*asked, "--name", template, env=env)
            assert "No video is new" in shown
            code, _, said = await archiver(*asked, "--name", "{date} [{id}]", env=env)
            assert (code, "which is kept" in said) == (2, True)

    asyncio.run(story())
