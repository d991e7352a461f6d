"""Titles and answers that would steer a terminal, a mail or a log: nowhere more than text."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from tests.cli.processes import ended, reaching, start

HOSTILE = (
    "\x1b]0;owned\x07title", "\x1b[2J\x1b[31mred", "line\r\nSubject: mail\r\n\r\nbody",
    "a\x00b\x08\x7f", "\u202ereversed\u2066", "\x9b31m", "../../../etc/passwd", "C:\\con\\nul",
    "=cmd|' /C calc'!A0", "<script>alert(1)</script>", "$(reboot) `reboot` ; reboot", "-rf",
    "%2e%2e%2f", "\u2028next\u2029", "\ud800",
)  # fmt: skip


async def said(*args: str, env: dict[str, str]) -> tuple[str, str]:
    code, out, err = await ended(await start(*args, env=env))
    assert code == 0, err
    return out, err


def test_hostile_titles_are_names_and_lines_and_nothing_else(tmp_path: Path) -> None:
    """S05: in every command, for people and for machines; the metadata keeps them as they are."""
    dest, report = tmp_path / "archive", tmp_path / "report"

    async def story() -> None:
        config = EmulatorConfig(videos=0, channels=1, generation_s=(0.0, 0.0))
        async with Emulator(config) as vendor:
            for title in HOSTILE:
                vendor.world.add_video(title=title, size=16_000)
            env = reaching(vendor)
            to = ("account", "--to", str(dest))
            told = [await said("run", *to, "--verbose", "--report", str(report), env=env)]
            told.append(await said("run", *to, "--log-format", "json", env=env))
            told.append(await said("list", str(dest), env=env))
            told.append(await said("list", str(dest), "--json", env=env))
            told.append((report.read_text(), ""))
            for line in (line for pair in told for text in pair for line in text.split("\n")):
                assert line.isprintable(), line

    asyncio.run(story())
    names = [path.relative_to(dest).as_posix() for path in (dest / "data").rglob("*")]
    assert all(name.isprintable() for name in names)
    assert not {"..", "etc", "nul"} & {part for name in names for part in name.split("/")}
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "report"}
    kept = {json.loads(path.read_text())["title"] for path in dest.rglob("*[[]*.info.json")}
    assert len(kept) == len(HOSTILE)
    assert HOSTILE[0] in kept


def test_a_careless_umask_lets_nobody_else_write(tmp_path: Path) -> None:
    """S12: modes are set, not left over: data may be read, the private folder may not."""
    dest = tmp_path / "deep" / "archive"

    async def story() -> None:
        config = EmulatorConfig(videos=2, size=(16_000, 20_000), generation_s=(0.0, 0.0))
        async with Emulator(config) as vendor:
            before = os.umask(0)
            try:
                process = await start("run", "account", "--to", str(dest), env=reaching(vendor))
            finally:
                os.umask(before)
            assert (await ended(process))[0] == 0

    asyncio.run(story())
    modes = {
        path: stat.S_IMODE(path.stat().st_mode) for path in (dest.parent, *dest.parent.rglob("*"))
    }
    assert not {path: oct(mode) for path, mode in modes.items() if mode & 0o002}
    private = {path: oct(mode) for path, mode in modes.items() if path.parent.name == ".archiver"}
    assert modes[dest / ".archiver"] == 0o700
    assert not {path for path in private if path.is_file() and modes[path] & 0o077}
