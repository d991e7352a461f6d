"""Secrets that are planted, and every byte that a run writes searched for them, however it ends."""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from tests.cli.processes import SLOW, SMALL, ended, reaching, start

PASSWORD = "canary-password-5d1f"
NETRC = "canary-netrc-77ab"
REFUSED = "canary-refused-secret-09c2"
FAULTS = ("redirect", "reset-mid-body", "html-body*2", "unauthorized*1", "redirect-to-file*1")


@dataclass
class Scene:
    """A folder in which a program works, with everything that it might leave behind."""

    root: Path
    emulator: Emulator
    said: str = ""

    @property
    def dest(self) -> Path:
        return self.root / "archive"

    def env(self, **more: str) -> dict[str, str]:
        home = self.root / "home"
        return {
            **reaching(self.emulator), "HOME": str(home), "TMPDIR": str(self.root / "tmp"),
            "NETRC": str(home / ".netrc"), **more,
        }  # fmt: skip

    async def begin(self, *args: str, **env: str) -> asyncio.subprocess.Process:
        return await start(*args, env=self.env(**env), cwd=self.root / "cwd")

    async def run(self, *args: str, **env: str) -> int | None:
        return await self.end(await self.begin(*args, **env))

    async def end(self, process: asyncio.subprocess.Process) -> int | None:
        code, out, err = await ended(process)
        self.said += out + err
        return code

    def archiving(self, *more: str) -> list[str]:
        report = ["--report", str(self.root / "report.json")]
        return ["run", "account", "--to", str(self.dest), "--json", *report, *more]

    def credentials(self) -> set[bytes]:
        """Every secret of the account, in every form in which it travels."""
        vendor = self.emulator
        pair = f"{vendor.client_id}:{vendor.client_secret}".encode()
        plain = {vendor.client_secret, PASSWORD, NETRC, REFUSED, *vendor.tokens.issued}
        forms = {*plain, *map(quote, plain), base64.b64encode(pair).decode()}
        return {form.encode() for form in forms}

    def signatures(self) -> set[bytes]:
        """What makes the download addresses secrets."""
        world = self.emulator.world
        return {world.query(each).rpartition("s=")[2].encode() for each in world.versions}

    def is_downloading(self) -> bool:
        """There is an unfinished download."""
        return any(self.dest.glob(".archiver/parts/*.part"))

    def written(self) -> Iterator[tuple[str, bytes]]:
        """All that came of it: both outputs, and each file anywhere but the settings."""
        yield "the output", self.said.encode()
        for path in self.root.rglob("*"):
            if path.is_file() and path.name not in (".netrc", "secret"):
                yield path.relative_to(self.root).as_posix(), path.read_bytes()

    def holders(self, secrets: set[bytes]) -> set[str]:
        """Where one of *secrets* stands."""
        return {name for name, text in self.written() if any(each in text for each in secrets)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("home", "tmp", "cwd"):
        (tmp_path / name).mkdir()
    netrc = tmp_path / "home" / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login someone password {NETRC}\n")
    netrc.chmod(0o600)
    return tmp_path


def clean(scene: Scene, *, holding: frozenset[str] = frozenset()) -> None:
    """No credential anywhere; the signature of an address at most where it is still needed."""
    assert scene.holders(scene.credentials()) == set()
    assert scene.holders(scene.signatures()) <= holding
    assert scene.emulator.stats["credential_leaks"] == 0


LEDGER = frozenset(f"archive/.archiver/ledger.sqlite3{end}" for end in ("", "-wal"))


def test_a_run_over_everything_that_goes_wrong_writes_no_secret(root: Path) -> None:
    """S02, S03: with the most talkative options; afterwards not even the ledger has an address."""

    async def story() -> None:
        config = EmulatorConfig(
            videos=6, size=(200_000, 400_000), generation_s=(0.0, 0.1), faults=FAULTS
        )
        async with Emulator(config) as vendor:
            scene = Scene(root, vendor)
            codes = [
                await scene.run(*scene.archiving("--verbose", "--log-format", style))
                for style in ("text", "json")
            ]
            assert codes in ([0, 0], [1, 0]), scene.said
            for args in (["verify"], ["doctor", "--to"]):
                await scene.run(*args, str(scene.dest), "--json")
            assert len(scene.signatures()) >= 6
            clean(scene)

    asyncio.run(story())


@pytest.mark.slow
def test_credentials_that_are_refused_are_not_repeated(root: Path) -> None:
    """S02: the message says that they were refused, and not what they were."""

    async def story() -> None:
        async with Emulator(SMALL) as vendor:
            scene = Scene(root, vendor)
            secret = root / "secret"
            secret.write_text(f"{REFUSED}\n")
            secret.chmod(0o644)
            where = {"ARCHIVER_CLIENT_SECRET": "", "ARCHIVER_CLIENT_SECRET_FILE": str(secret)}
            assert await scene.run(*scene.archiving("--verbose"), **where) == 3
            assert await scene.run(*scene.archiving(), ARCHIVER_CLIENT_SECRET=REFUSED) == 3
            assert await scene.run(*scene.archiving(), ARCHIVER_ACCESS_TOKEN=REFUSED) == 3
            assert await scene.run("doctor", ARCHIVER_CLIENT_SECRET=REFUSED) == 3
            assert "can be read by every user" in scene.said
            clean(scene)

    asyncio.run(story())


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_run_that_is_stopped_or_killed_leaves_addresses_in_the_ledger_alone(
    root: Path, number: signal.Signals
) -> None:
    """S03: they are needed there to go on; nobody but the owner may read that file."""

    async def story() -> None:
        async with Emulator(SLOW) as vendor:
            scene = Scene(root, vendor)
            process = await scene.begin(*scene.archiving("--verbose"))
            while not scene.is_downloading():
                assert process.returncode is None
                await asyncio.sleep(0.01)
            assert scene.credentials().isdisjoint(arguments(process.pid))
            assert children(process.pid) == ""
            process.send_signal(number)
            assert await scene.end(process) in (5, -9)
            assert scene.holders(scene.signatures()) & LEDGER, "nothing was under way"
            clean(scene, holding=LEDGER)
            private = scene.dest / ".archiver"
            theirs = [private, *(path for path in private.rglob("*") if path.is_file())]
            assert {path.stat().st_mode & 0o077 for path in theirs} == {0}

    asyncio.run(story())


def arguments(pid: int) -> set[bytes]:
    """What everybody on the machine can read of a process."""
    return set(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))


def children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


@pytest.mark.slow
def test_a_proxy_that_is_not_there_keeps_its_password(root: Path) -> None:
    """S02: nor does the machine's own proxy or netrc have a say (S09)."""

    async def story() -> None:
        async with Emulator(SMALL) as vendor:
            scene = Scene(root, vendor)
            proxy = f"http://someone:{PASSWORD}@127.0.0.1:9"
            more = {"ARCHIVER_PROXY": proxy, "ARCHIVER_MAX_WAIT": "1s"}
            assert await scene.run(*scene.archiving("--verbose"), **more) == 1
            assert await scene.run("doctor", **more) == 1
            everywhere = dict.fromkeys(("http_proxy", "HTTPS_PROXY", "ALL_PROXY"), proxy)
            assert await scene.run("doctor", **everywhere) == 0, scene.said
            assert "is not used" in scene.said
            assert await scene.run(*scene.archiving(), **everywhere) == 0, scene.said
            clean(scene)

    asyncio.run(story())
