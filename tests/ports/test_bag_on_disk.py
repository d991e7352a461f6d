"""The bag: judged by the Library of Congress's validator and by sha256sum, not by ourselves."""

from __future__ import annotations

import asyncio
import errno
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import bagit
import pytest

from archiver.adapters.publish import LocalVault
from archiver.core.bag import MANIFEST, TAG_FILES
from archiver.core.model import Holding, Instant, JobKey, VideoId
from archiver.errors import DestinationError
from archiver.records.manifest import write_bag
from tests.ports.disk_world import FailingOs, fetched, opened, shelf_of

DAY = 86_400.0
TITLES = (
    "Caf\u00e9 \u65e5\u672c\u8a9e \U0001f468\u200d\U0001f469",
    "100% *real* \\ *",
    "",
    "x" * 300,
)


async def filled(vault: LocalVault, titles: Iterable[str] = TITLES) -> list[Holding]:
    """Archive one small video for each title."""
    holdings: list[Holding] = []
    for number, title in enumerate(titles, 1):
        job = await fetched(vault, JobKey(VideoId(number)))
        holdings += await vault.publish(job, shelf_of(number, title))
    return holdings


def validate(archive: Path) -> bagit.Bag:
    """Let the judge read every file."""
    bag = bagit.Bag(str(archive))
    bag.validate()
    return bag


def test_the_judge_accepts_the_bag(tmp_path: Path) -> None:
    """Whatever the titles held, the bag is valid, and the Payload-Oxum is right."""

    async def run() -> list[Holding]:
        with opened(tmp_path) as vault:
            holdings = await filled(vault)
            await write_bag(
                vault, lambda: holdings, Instant(0.0), {"Source-Organization": "Caf\u00e9\n\u202e"}
            )
            return holdings

    holdings = asyncio.run(run())
    bag = validate(tmp_path / "archive")
    assert bag.info["Payload-Oxum"] == f"{sum(h.bytes for h in holdings)}.{len(holdings)}"
    assert bag.info["Source-Organization"] == "Caf\u00e9"
    assert set(bag.payload_files()) == {h.path for h in holdings}
    # Somebody spoils a byte: the judge does judge.
    path = tmp_path / "archive" / holdings[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(bagit.BagValidationError):
        validate(tmp_path / "archive")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum here")
def test_sha256sum_alone_can_check_it(tmp_path: Path) -> None:
    """The archive needs no program of ours, nor anybody's bag tool."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            holdings = await filled(vault)
            await write_bag(vault, lambda: holdings, Instant(0.0))

    asyncio.run(run())
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        subprocess.run(
            ["sha256sum", "--strict", "--quiet", "-c", manifest],
            cwd=tmp_path / "archive",
            check=True,
        )


def test_an_unchanged_bag_is_not_touched(tmp_path: Path) -> None:
    """A night without news writes nothing, not even a new date."""

    def seen() -> list[tuple[int, int, bytes]]:
        found = [(tmp_path / "archive" / name) for name in TAG_FILES]
        return [(p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes()) for p in found]

    async def run() -> None:
        with opened(tmp_path) as vault:
            holdings = await filled(vault, ["one"])

            async def stream() -> AsyncIterator[Holding]:
                for holding in holdings:
                    yield holding

            await write_bag(vault, stream, Instant(DAY))
            first = seen()
            await write_bag(vault, stream, Instant(9 * DAY))
            assert seen() == first
            job = await fetched(vault, JobKey(VideoId(7)))
            holdings += await vault.publish(job, shelf_of(7, "two"))
            await write_bag(vault, stream, Instant(9 * DAY))
            assert seen() != first

    asyncio.run(run())
    assert validate(tmp_path / "archive").info["Bagging-Date"] == "1970-01-10"


def test_an_empty_archive_is_a_bag_too(tmp_path: Path) -> None:
    """A first night that archived nothing leaves a bag whose tag files are right."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            await write_bag(vault, list, Instant(0.0))

    asyncio.run(run())
    manifest = tmp_path / "archive/manifest-sha256.txt"
    assert manifest.read_bytes() == b""
    assert (tmp_path / "archive/data").is_dir()
    assert bagit.Bag(str(tmp_path / "archive")).info["Payload-Oxum"] == "0.0"


@pytest.mark.parametrize("call", ["fsync", "replace", "sync_folder"])
@pytest.mark.parametrize("at", range(1, 6))
def test_a_bag_that_failed_is_whole_after_the_next_time(tmp_path: Path, call: str, at: int) -> None:
    """A disk that fails while the bag is written leaves old or new files, then a valid bag."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            holdings = await filled(vault, ["one"])
        system = FailingOs()
        with opened(tmp_path, system) as vault:
            offset = system.calls.count(call)
        with opened(tmp_path, FailingOs(call, errno.EIO, at + offset)) as vault:
            try:
                await write_bag(vault, lambda: holdings, Instant(0.0))
            except DestinationError as error:
                assert "disk reports an error" in str(error)  # noqa: PT017
        with opened(tmp_path) as vault:
            await write_bag(vault, lambda: holdings, Instant(0.0))

    asyncio.run(run())
    validate(tmp_path / "archive")


def test_a_disk_that_fails_for_ever_after_is_told_as_one(tmp_path: Path) -> None:
    """Where the unfinished file cannot be removed either, what failed first is what is said."""

    async def run() -> None:
        system = FailingOs()
        with opened(tmp_path, system) as vault:
            holdings = await filled(vault, ["one"])
            for call in ("fsync", "unlink"):
                spoil(system, call)
            with pytest.raises(DestinationError, match="writing a small file"):
                await write_bag(vault, lambda: holdings, Instant(0.0))

    def spoil(system: FailingOs, call: str) -> None:
        def fail(*_: object) -> None:
            raise OSError(errno.EIO, "the disk reports an error")

        setattr(system, call, fail)

    asyncio.run(run())


def test_many_holdings_stream_through(tmp_path: Path) -> None:
    """The manifest is written as the ledger is read; the lines are never all there at once."""
    alive = 0
    most = 0

    class Counted(Holding):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    async def stream() -> AsyncIterator[Holding]:
        nonlocal alive, most
        for number in range(5_000):
            alive += 1
            most = max(most, alive)
            yield Counted(
                VideoId(number), "video", "mp4", 1, f"data/{number}", 1, "0" * 64, Instant(0.0)
            )

    async def run() -> None:
        with opened(tmp_path) as vault:
            await write_bag(vault, stream, Instant(0.0))

    asyncio.run(run())
    assert most < 100
    lines = (tmp_path / "archive/manifest-sha256.txt").read_text().splitlines()
    assert lines[-1] == f"{'0' * 64}  data/4999"
    assert len(lines) == 5_000


def test_only_tag_files_are_ever_replaced(tmp_path: Path) -> None:
    """The door for tag files does not open to the payload."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            for path in ("data/x", ".archiver/archive-id"):
                with pytest.raises(ValueError, match="not a tag file"):
                    await vault.write_tag_file(path, ["x"])
            await vault.write_tag_file("gallery/a.html", ["one"])
            await vault.write_tag_file("gallery/a.html", ["two"])
            assert await vault.read_small("gallery/a.html") == b"two"
            assert await vault.read_small("gallery/b.html") is None
            assert await vault.read_small("nowhere/b.html") is None

    asyncio.run(run())


def test_a_moment_without_descriptors_costs_no_line_of_the_manifest(tmp_path: Path) -> None:
    """Written, and then not to be named: it is written again, as a whole."""

    async def run() -> list[Holding]:
        with opened(tmp_path) as vault:
            holdings = await filled(vault)
        crowded = FailingOs("replace", errno.EMFILE, at=2)
        with opened(tmp_path, crowded) as vault:
            await write_bag(vault, lambda: iter(holdings), Instant(0.0))
        assert crowded.calls.count("replace") == 5  # four files, and one of them again
        return holdings

    holdings = asyncio.run(run())
    assert validate(tmp_path / "archive").info["Payload-Oxum"].endswith(f".{len(holdings)}")
    assert len((tmp_path / "archive" / MANIFEST).read_text().splitlines()) == len(holdings)
