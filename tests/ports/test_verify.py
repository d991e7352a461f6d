"""Verification: every kind of damage is found, and nothing sound is called damaged."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from archiver.care.verify import Verdict, verify
from archiver.core.bag import MANIFEST, TAG_MANIFEST
from archiver.core.model import Holding, Instant
from archiver.records.manifest import write_bag
from tests.ports.disk_world import opened
from tests.ports.test_bag_on_disk import filled


def made(tmp_path: Path, titles: tuple[str, ...] = ("one", "two", "three")) -> list[Holding]:
    """An archive with its bag."""

    async def run() -> list[Holding]:
        with opened(tmp_path) as vault:
            holdings = await filled(vault, titles)
            await write_bag(vault, lambda: holdings, Instant(0.0))
            return holdings

    return asyncio.run(run())


def verdict(tmp_path: Path, holdings: list[Holding], **more: object) -> Verdict:
    """Verify the archive of a test."""
    return asyncio.run(verify(tmp_path / "archive", holdings, **more))  # type: ignore[arg-type]


def test_a_sound_archive_is_clean(tmp_path: Path) -> None:
    """Every byte is read, every file counted, and there is nothing to say."""
    holdings = made(tmp_path)
    seen: list[str] = []

    async def stream() -> AsyncIterator[Holding]:
        for holding in holdings:
            yield holding

    found = asyncio.run(
        verify(
            str(tmp_path / "archive"), stream(), None, lambda h: seen.append(h.path), settled=True
        )
    )
    assert found.is_clean
    assert sorted(seen) == sorted(holding.path for holding in holdings)
    assert found.as_json() == {
        "schema": 1,
        "checked": 6,
        "read": 6,
        "ok": 6,
        "bytes": sum(holding.bytes for holding in holdings),
        "missing": [],
        "changed": [],
        "unknown": [],
    }


def flipped(path: Path) -> None:
    """One bit, the size as before."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def linked(path: Path) -> None:
    """The very same bytes, but elsewhere."""
    elsewhere = path.parents[5] / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def piped(path: Path) -> None:
    """A file that would block its reader for ever."""
    path.unlink()
    os.mkfifo(path)


def linked_beside(path: Path) -> None:
    """A file of the bag that is only a link to one."""
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def foldered(path: Path) -> None:
    """A folder in its place."""
    path.unlink()
    path.mkdir()


def emptied(path: Path) -> None:
    """Nothing is left of it but its name."""
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "where", "said"),
    [
        (Path.unlink, "missing", "not there"),
        (flipped, "changed", "SHA-256"),
        (lambda path: path.write_bytes(b""), "changed", "0 bytes instead of"),
        (linked, "changed", "symbolic link"),
        (piped, "changed", "plain file"),
    ],
)
def test_damage_is_named(
    tmp_path: Path, damage: Callable[[Path], object], where: str, said: str
) -> None:
    """The damaged file is reported with its video, and no other one is."""
    holdings = made(tmp_path)
    damage(tmp_path / "archive" / holdings[2].path)
    found = verdict(tmp_path, holdings, settled=True)
    (finding,) = getattr(found, where)
    assert (finding.id, finding.path) == ("2", holdings[2].path)
    assert said in finding.reason
    assert (found.checked, found.ok, found.is_clean) == (6, 5, False)
    assert found.as_json()[where] == [finding.as_json()]


def test_what_nobody_recorded_is_unknown(tmp_path: Path) -> None:
    """A file or a link that no record names is reported; a browser's litter is not."""
    holdings = made(tmp_path)
    data = tmp_path / "archive/data"
    (data / "stray\x1b[31m.mp4").write_bytes(b"")
    (data / "link").symlink_to(tmp_path)
    (data / ".DS_Store").write_bytes(b"")
    (data / "empty").mkdir()
    found = verdict(tmp_path, holdings)
    assert [finding.path for finding in found.unknown] == ["data/link", "data/stray [31m.mp4"]
    assert found.ok == 6
    assert not found.is_clean


@pytest.mark.parametrize("name", ["bagit.txt", "bag-info.txt", MANIFEST, TAG_MANIFEST])
@pytest.mark.parametrize("damage", [flipped, Path.unlink, linked_beside, foldered, piped, emptied])
def test_damaged_tag_files_are_found(
    tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    """The bag's own files are part of what is promised."""
    holdings = made(tmp_path)
    damage(tmp_path / "archive" / name)
    found = verdict(tmp_path, holdings, settled=True)
    assert name in {finding.path for finding in found.changed}
    assert found.ok == 6


def test_a_manifest_that_contradicts_the_ledger_is_found(tmp_path: Path) -> None:
    """Ledger and manifest are two witnesses: where they differ, both are named."""
    holdings = made(tmp_path)
    manifest = tmp_path / "archive" / MANIFEST
    lines = manifest.read_text().splitlines(keepends=True)
    lines[0] = "0" * 64 + lines[0][64:]
    lines[1] = "nonsense\n"
    lines.append(f"{'0' * 64}  data/never.mp4\n")
    manifest.write_text("".join(lines))
    tags = tmp_path / "archive" / TAG_MANIFEST
    kept = [line for line in tags.read_text().splitlines() if not line.endswith(f"  {MANIFEST}")]
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    tags.write_text("\n".join([*kept, f"{digest}  {MANIFEST}", ""]))
    said = " ".join(finding.reason for finding in verdict(tmp_path, holdings, settled=True).changed)
    for words in ("another hash", "cannot be read", "no record does", "1 files have no line"):
        assert words in said


def test_a_run_that_goes_on_raises_no_alarm(tmp_path: Path) -> None:
    """Files newer than the bag are sound; only a settled archive must list them all."""
    holdings = made(tmp_path)
    fresh = replace(holdings[0], path="data/new.mp4")
    (tmp_path / "archive/data/new.mp4").write_bytes(
        (tmp_path / "archive" / holdings[0].path).read_bytes()
    )
    assert verdict(tmp_path, [*holdings, fresh]).is_clean
    assert not verdict(tmp_path, [*holdings, fresh], settled=True).is_clean


def test_samples_cover_every_file_in_turn(tmp_path: Path) -> None:
    """As many nights as there are slices read every byte once; sizes are compared each night."""
    holdings = made(tmp_path, tuple(str(number) for number in range(6)))
    nights = [verdict(tmp_path, holdings, sample=0.25, night=night) for night in range(4)]
    assert sum(night.bytes for night in nights) == sum(holding.bytes for holding in holdings)
    assert all(night.checked == night.ok == 12 for night in nights)
    assert sum(night.read for night in nights) == 12
    assert max(night.bytes for night in nights) < sum(holding.bytes for holding in holdings)
    flipped(tmp_path / "archive" / holdings[4].path)
    again = [verdict(tmp_path, holdings, sample=0.25, night=night) for night in range(4)]
    assert sum(len(night.changed) for night in again) == 1


def test_a_disk_that_cannot_be_read_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of one file is told and does not end the verification."""
    holdings = made(tmp_path)
    real = os.read
    bad = (tmp_path / "archive" / holdings[0].path).stat().st_ino

    def read(fd: int, count: int) -> bytes:
        if os.fstat(fd).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return real(fd, count)

    monkeypatch.setattr(os, "read", read)
    found = verdict(tmp_path, holdings)
    assert [finding.reason for finding in found.changed] == [
        "it cannot be read: Input/output error"
    ]
    assert found.ok == 5


def test_nothing_is_written(tmp_path: Path) -> None:
    """A verification of a read-only copy works, for it only reads."""
    holdings = made(tmp_path)
    paths = [tmp_path / "archive", *(tmp_path / "archive").rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in paths}
    verdict(tmp_path, holdings)
    after = [tmp_path / "archive", *(tmp_path / "archive").rglob("*")]
    assert {path: path.stat().st_mtime_ns for path in after} == before


def test_an_archive_without_payload_is_clean(tmp_path: Path) -> None:
    """Nothing was recorded, nothing is there."""
    (tmp_path / "archive").mkdir()
    assert verdict(tmp_path, []).is_clean


def test_a_file_that_came_meanwhile_is_not_unknown(tmp_path: Path) -> None:
    """A run that ends during a long verification raises no alarm about its own files."""
    holdings = made(tmp_path)
    read_before = holdings[:-2]
    assert len(verdict(tmp_path, read_before, started_at=Instant(0.0)).unknown) == 0
    assert verdict(tmp_path, read_before, started_at=Instant(0.0)).is_clean
    long_after = Instant(4_000_000_000.0)
    found = verdict(tmp_path, read_before, started_at=long_after)
    assert len(found.unknown) == 2
    assert len(found.changed) == 2  # the manifest's lines


@pytest.mark.parametrize("name", ["../outside", "data", "gone"])
def test_a_tampered_tag_manifest_leads_nowhere(tmp_path: Path, name: str) -> None:
    """A line that names something else than a file of the bag is a finding, and is not read."""
    holdings = made(tmp_path)
    (tmp_path / "outside").write_bytes(b"")
    tags = tmp_path / "archive" / TAG_MANIFEST
    tags.write_text(f"{tags.read_text()}{hashlib.sha256(b'').hexdigest()}  {name}\n")
    (finding,) = verdict(tmp_path, holdings).changed
    assert finding.path == name
