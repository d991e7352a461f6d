"""Logging in as a person does: a browser, a page of consent, and then runs without credentials."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from tests.cli.processes import SMALL, archiver, ended, start

STAND_INS = Path(__file__).parent / "stand_ins"
AGREEING = f"{sys.executable} {STAND_INS / 'browser.py'} %s"


@dataclass
class Person:
    """Somebody at a machine, with a home and a client ID and no secret."""

    emulator: Emulator
    root: Path
    said: str = ""

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def file(self) -> Path:
        return self.home / ".local" / "state" / "archiver" / "login.json"

    def env(self, **more: str) -> dict[str, str]:
        return {
            "HOME": str(self.home), "XDG_STATE_HOME": str(self.file.parent.parent),
            "ARCHIVER_API_URL": self.emulator.api_url,
            "ARCHIVER_TOKEN_URL": self.emulator.token_url,
            "ARCHIVER_AUTHORIZE_URL": self.emulator.authorize_url,
            "ARCHIVER_CLIENT_ID": self.emulator.client_id, **more,
        }  # fmt: skip

    async def begin(self, *args: str, **env: str) -> asyncio.subprocess.Process:
        return await start(*args, env=self.env(**env), stdin=asyncio.subprocess.PIPE)

    async def end(self, process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
        code, out, err = await ended(process)
        self.said += out + err
        return code, out, err

    async def run(self, *args: str, **env: str) -> tuple[int | None, str, str]:
        code, out, err = await archiver(*args, env=self.env(**env))
        self.said += out + err
        return code, out, err

    async def json(self, *args: str, **env: str) -> tuple[int | None, Any]:
        code, out, err = await self.run(*args, "--json", **env)
        assert out, err
        return code, json.loads(out)

    async def logs_in(self, **env: str) -> str:
        """By the browser; returns what was said on standard output."""
        code, out, err = await self.run("login", BROWSER=AGREEING, **env)
        assert code == 0, err
        return out

    def holders(self) -> set[str]:
        """The files that hold a token, wherever they are."""
        issued = [token.encode() for token in self.emulator.tokens.issued]
        return {
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if path.is_file() and any(token in path.read_bytes() for token in issued)
        }

    def live(self) -> int:
        """How many tokens the vendor would still take, but for the emulator's own."""
        tokens, now = self.emulator.tokens, self.emulator.now()
        own = tokens.issued[:2]
        return sum(tokens.is_live(one, now) for one in tokens.issued if one not in own)


@contextlib.asynccontextmanager
async def person(root: Path, config: EmulatorConfig = SMALL) -> AsyncIterator[Person]:
    async with Emulator(config) as emulator:
        (root / "home").mkdir()
        yield Person(emulator, root)


def test_a_login_replaces_client_credentials_until_the_logout(tmp_path: Path) -> None:
    """From the page of consent to an archive, and back to nothing, at the vendor too."""

    async def story() -> None:
        async with person(tmp_path) as owner:
            assert str(owner.file) in await owner.logs_in()
            assert stat.S_IMODE(owner.file.stat().st_mode) == 0o600
            assert stat.S_IMODE(owner.file.parent.stat().st_mode) == 0o700
            code, who = await owner.json("whoami")
            assert (code, who["credentials"], who["accepted"]) == (0, "login", True)
            assert (who["kept_in"], who["client_id"]) == (str(owner.file), owner.emulator.client_id)
            assert len(who["channels"]) == 1
            code, checks = await owner.json("doctor")
            assert code == 0
            assert "a stored login: accepted" in [each["found"] for each in checks["checks"]]
            to = str(tmp_path / "archive")
            code, summary = await owner.json("run", "account", "--to", to, "--verbose")
            assert (code, summary["videos"]["archived"]) == (0, 4)
            assert summary["api_calls"]["token"] == 0, "the login's own token was still good"
            assert owner.live() == 2
            code, _, err = await owner.run("logout")
            assert (code, err, owner.live()) == (0, "", 0)
            assert not owner.file.exists()
            code, _, err = await owner.run("run", "account", "--to", to)
            assert (code, "archiver login" in err) == (3, True)
            assert owner.holders() == set(), "what was stored is nowhere else"
            assert not any(token in owner.said for token in owner.emulator.tokens.issued)
            assert owner.emulator.stats["credential_leaks"] == 0

    asyncio.run(story())


@pytest.mark.parametrize(
    "what",
    [
        "address",
        pytest.param("code", marks=pytest.mark.slow),
        pytest.param("browser", marks=pytest.mark.slow),
    ],
)
def test_without_a_browser_the_code_or_the_address_is_pasted(tmp_path: Path, what: str) -> None:
    """Or a browser on this machine goes to the printed address after all."""

    async def story() -> None:
        async with person(tmp_path) as owner:
            process = await owner.begin("login", "--no-browser", BROWSER="false")
            assert process.stdout is not None
            assert process.stdin is not None
            page = (await process.stdout.readline()).decode().strip()
            assert page.startswith(f"{owner.emulator.authorize_url}?response_type=code&")
            arguments = Path(f"/proc/{process.pid}/cmdline")
            assert not arguments.exists() or page.encode() not in arguments.read_bytes()
            async with (
                aiohttp.ClientSession() as session,
                session.get(page, allow_redirects=what == "browser") as response,
            ):
                where, shown = response.headers.get("Location", ""), await response.text()
            if what == "browser":
                assert "You may close this window" in shown
                await process.stderr.readline()  # type: ignore[union-attr]
                code: int | None = await asyncio.wait_for(process.wait(), 30)
            else:
                answer = (
                    where if what == "address" else where.partition("code=")[2].partition("&")[0]
                )
                process.stdin.write(answer.encode() + b"\n")
                await process.stdin.drain()
                code, _, _ = await owner.end(process)
            assert code == 0
            assert owner.live() == 2
            assert owner.holders() == {owner.file.relative_to(tmp_path).as_posix()}

    asyncio.run(story())


def test_nobody_to_paste_is_no_reason_to_wait(tmp_path: Path) -> None:
    """S04: as under cron, where standard input has ended."""

    async def story() -> None:
        async with person(tmp_path) as owner:
            code, _, err = await owner.run("login", "--no-browser")
            assert (code, "No code was given" in err) == (3, True), err
            assert "Traceback" not in err
            assert not owner.file.exists()

    asyncio.run(story())


def test_a_login_serves_its_own_addresses_alone(tmp_path: Path) -> None:
    """Settings that lead elsewhere get no token, and are refused before anything is done."""

    async def story() -> None:
        async with person(tmp_path) as owner, Emulator(SMALL) as stranger:
            await owner.logs_in()
            to, elsewhere = tmp_path / "archive", {"ARCHIVER_API_URL": stranger.api_url}
            code, _, err = await owner.run("run", "account", "--to", str(to), **elsewhere)
            assert (code, "The stored login is for the API" in err) == (3, True), err
            assert not to.exists()
            assert not +stranger._counted.calls, "not one request"
            assert stranger.stats["credential_leaks"] == 0

    asyncio.run(story())


def keyring(root: Path, mood: str = "well") -> dict[str, str]:
    """An environment with a package ``keyring`` in it."""
    return {
        "PYTHONPATH": str(STAND_INS), "KEYRING_FILE": str(root / "keyring"), "KEYRING_MOOD": mood,
    }  # fmt: skip


@pytest.mark.slow
def test_a_keyring_takes_the_tokens(tmp_path: Path) -> None:
    """The file then holds a name alone; without the keyring it says so, and never waits."""

    async def story() -> None:
        async with person(tmp_path) as owner:
            assert "the system keyring" in await owner.logs_in(**keyring(tmp_path))
            assert owner.holders() == {"keyring"}
            code, who = await owner.json("whoami", **keyring(tmp_path))
            assert (code, who["kept_in"]) == (0, "the system keyring")
            code, _, err = await owner.run("whoami")
            assert (code, "keyring" in err) == (3, True), err
            assert (await owner.run("logout", **keyring(tmp_path)))[0] == 0
            assert (owner.holders(), owner.live()) == (set(), 0)

    asyncio.run(story())


@pytest.mark.slow
def test_processes_that_renew_together_lose_nothing(tmp_path: Path) -> None:
    """Each spends the refresh token that the one before has stored; none a spent one."""

    async def story() -> None:
        config = EmulatorConfig(videos=1, token_life_s=1.0)
        async with person(tmp_path, config) as owner:
            await owner.logs_in()
            for _ in range(3):
                together = [await owner.begin("whoami", "--json") for _ in range(6)]
                ends = await asyncio.gather(*(owner.end(each) for each in together))
                assert {code for code, _, _ in ends} == {0}, ends

    asyncio.run(story())
