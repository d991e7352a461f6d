"""The guides, word for word: what stands in their blocks of shell is run against a vendor."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archiver import DestinationError, Filter
from tests.cli.processes import SMALL, vendor
from tests.hasty import emulator, hastily, night

ROOT = Path(__file__).parent.parent
PLACES = {"/srv/videos": "videos", "/mnt/copy": "copy"}


def script(name: str, root: Path) -> str:
    """The blocks of a page as one program that ends at its first failure."""
    text = (ROOT / "docs" / name).read_text()
    lines = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    for place, folder in PLACES.items():
        lines = lines.replace(place, str(root / folder))
    return f"set -eu\n{lines}"


async def shell(lines: str, env: dict[str, str]) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", lines, env={"HOME": "/nonexistent", **env, "PATH": path},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.timeout(180)  # a dozen processes; some seconds on a quiet machine
@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="macOS has shasum")
def test_the_first_archive_and_its_restoring_go_as_written(tmp_path: Path) -> None:
    """A newcomer copies line after line; none may fail, and each does what the page says."""

    async def story() -> None:
        async with vendor(SMALL) as env:
            said = await shell(script("first-archive.md", tmp_path), env)
        assert "2 videos" in said
        assert "all match" in said
        said = await shell(script("restoring.md", tmp_path), {})  # without a vendor
        assert "missing" in said, "a file was lost"
        assert said.count("all match") >= 3, "the copy, what was put back, the rebuilt one"
        assert "4 videos" in said

    asyncio.run(story())
    listing = subprocess.run(
        [sys.executable, "-I", str(ROOT / "examples/upload_list.py"), str(tmp_path / "videos")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(listing.stdout)))
    assert len(rows) == 4
    assert all((tmp_path / "videos" / row["file"]).is_file() for row in rows)
    assert all(row["picture"].endswith(".jpg") for row in rows)
    assert all(row["title"] and row["old"].startswith("https://") for row in rows)


def test_an_archive_without_its_private_folder_is_no_strangers_folder(tmp_path: Path) -> None:
    """As restoring.md says: refused, until archive-id is back; then the ledger is rebuilt."""

    async def story() -> None:
        private = tmp_path / ".archiver"
        async with emulator(videos=2, size=(20_000, 60_000)) as vendor:
            await night(tmp_path, vendor, filter=Filter(limit=1))
            identity = (private / "archive-id").read_bytes()
            shutil.rmtree(private)
            with pytest.raises(DestinationError, match="archive-id"):
                await night(tmp_path, vendor)
            private.mkdir(mode=0o700)
            (private / "archive-id").write_bytes(identity)
            last = await night(tmp_path, vendor)
            assert (last.archived, last.already_archived) == (1, 1)

    hastily(story())
