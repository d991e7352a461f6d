"""A power cut at any change of the disk: a sample; and a program that is wrong is found out.

All of it is ``make crash``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from archiver import opening
from archiver.adapters.download_intake import Intake
from archiver.adapters.ledger.writer import Writer
from archiver.adapters.mending import Mender
from archiver.adapters.part import LocalPart
from archiver.adapters.places import PRIVATE
from archiver.adapters.placing import Folder, Placed, Placer
from archiver.core import bag
from archiver.core.model import NOTHING
from archiver.records import manifest, tag_files
from tests.crash.points import Protocol, Trial, World
from tests.crash.protocols import PROTOCOLS
from tests.crash.strict_disk import File, StrictDisk

NAMED = {protocol.name: protocol for protocol in PROTOCOLS}
ONE: dict[str, Any] = {"videos": 1}
LARGEST_TEXT = 4096  # bytes of a tag file or sidecar; a video has more
FOLDERS = 8  # DEST, three of ours, data, and three down to the video's own


def is_found(kind: str, disk: type[StrictDisk] = StrictDisk, **vendor: Any) -> bool:
    """The program as it is now, on this kind of disk, does what is called *kind*."""
    protocol = Protocol("a first night", World.night, disk=disk, vendor={**ONE, **vendor})
    report = Trial(protocol, images=3, nested=0, until=kind).run()
    return any(finding.startswith(f"{kind}:") for finding in report.wrong)


def findings(name: str) -> list[str]:
    """What the program as it is now does wrong in the protocol *name*."""
    return list(Trial(NAMED[name], images=1, nested=0).run().wrong)


@pytest.mark.parametrize(
    "name", ["a first night", pytest.param("broken off and begun again", marks=pytest.mark.slow)]
)
def test_nothing_is_lost_whatever_a_power_cut_leaves(name: str) -> None:
    """A few images at each point of some protocols."""
    report = Trial(NAMED[name], images=1, nested=0).run()
    assert report.wrong == {}
    assert report.points > 90
    assert report.different > 80
    assert report.runs > 1
    assert report.counted > 5


@pytest.mark.parametrize(
    "name",
    [
        "a repair",
        pytest.param("after a repair: deleted", marks=pytest.mark.slow),
        "a damaged ledger",
        "after a repair: put back",
        pytest.param("a missing ledger, just copied", marks=pytest.mark.slow),
    ],
)
def test_nothing_that_was_harmed_is_lost_by_its_repair(name: str) -> None:
    """The damaged copies, the damaged ledger, and the news of it."""
    report = Trial(NAMED[name], images=1, nested=0).run()
    assert report.wrong == {}
    assert report.points > 30
    assert report.different > 30


def test_a_crash_in_a_recovery_and_a_kill_before_a_power_cut() -> None:
    """At some points, each with a run after it that is watched as well."""
    report = Trial(NAMED["a first night"], images=2, nested=1, chosen=lambda n, _: n == 80).run()
    assert report.wrong == {}
    assert report.nested > 50


def unsynced(self: LocalPart) -> int:
    """A sync that is none."""
    self._write_out()
    return self._written


def unsealed(self: LocalPart, mode: int) -> None:
    """The same at the end of the file."""
    self._write_out()
    self._os.chmod(self._fd, mode)
    self.is_sealed = True


@pytest.mark.slow
def test_a_rename_before_the_fsync_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name over bytes that never came to the disk."""
    place = Placer.place

    def early(self: Placer, part: str, folder: Folder, name: str, *more: Any) -> Placed:
        placed = place(self, part, folder, name, *more)
        self._os.sync_folder(folder.fd)
        return placed

    monkeypatch.setattr(Placer, "seal", lambda self, fd: self._os.chmod(fd, self.mode))
    monkeypatch.setattr(Placer, "place", early)
    monkeypatch.setattr(LocalPart, "_seal", unsealed)
    monkeypatch.setattr(LocalPart, "_sync", unsynced)
    assert is_found("I1")


@pytest.mark.slow
def test_a_ledger_before_the_publication_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a file that has no name yet."""
    place, committed = Placer.place, Writer._committed
    later: list[Callable[[], object]] = []

    def promised(
        self: Placer, part: str, folder: Folder, name: str, want: Placed, *more: Any
    ) -> Placed:
        def keep() -> None:
            with self.folder(folder.path) as again:
                place(self, part, again, name, want, *more)

        later.append(keep)
        return Placed(f"{folder.path}/{name}", want.bytes, want.sha256)

    def then(self: Writer, *more: Any) -> None:
        while later:
            later.pop(0)()
        committed(self, *more)

    monkeypatch.setattr(Placer, "place", promised)
    monkeypatch.setattr(Writer, "_committed", then)
    assert is_found("I2")


class ForgetsRenames(StrictDisk):
    """Folders are synced only where one was made in them."""

    _in_step = False

    def _sync_name(self, parent: int, fd: int, made: bool) -> None:
        self._in_step = True
        super()._sync_name(parent, fd, made)
        self._in_step = False

    def sync_folder(self, fd: int) -> None:
        if self._in_step:
            super().sync_folder(fd)


class ForgetsFolders(StrictDisk):
    """A new folder's own name is not synced."""

    def _sync_name(self, parent: int, fd: int, made: bool) -> None: ...


class ForgetsOldFolders(StrictDisk):
    """A folder that stands there is taken for durable, though a run was killed over it."""

    def _sync_name(self, parent: int, fd: int, made: bool) -> None:
        if made:
            self.sync_folder(parent)


def test_a_folder_that_is_not_synced_after_a_rename_is_found() -> None:
    """The name of a published file is lost, though it was acknowledged."""
    assert is_found("I2", ForgetsRenames)


@pytest.mark.slow
def test_a_new_folder_whose_name_is_not_synced_is_found() -> None:
    """It goes with all that lies in it."""
    assert is_found("I2", ForgetsFolders)


@pytest.mark.slow
def test_a_folder_that_a_killed_run_left_unsynced_is_found() -> None:
    """A kill first, a power cut after the next run's acknowledgement."""

    def found(disk: type[StrictDisk]) -> list[str]:
        made = iter(range(FOLDERS))

        def chosen(_number: int, name: str) -> bool:
            return name.endswith(" after mkdir") and next(made) == FOLDERS - 1

        protocol = Protocol("a first night", World.night, disk=disk, vendor=ONE)
        return list(Trial(protocol, images=1, nested=1, until="I2", chosen=chosen).run().wrong)

    assert any(finding.startswith("I2:") for finding in found(ForgetsOldFolders))
    assert found(StrictDisk) == []


class ForgetsCopies(StrictDisk):
    """What stands there is taken for durable, whoever put it there."""

    def sync_all(self, fd: int) -> None: ...


def test_a_copy_that_is_taken_in_unsynced_is_found() -> None:
    """The ledger was rebuilt from files that a copy had just brought, and the power fails."""
    protocol = replace(NAMED["a missing ledger, just copied"], disk=ForgetsCopies)
    report = Trial(protocol, images=3, nested=0, until="I2").run()
    assert any(finding.startswith("I2:") for finding in report.wrong)


class FsyncsAgain(StrictDisk):
    """The first fsync of a video fails, and the second is believed."""

    _has_failed = False

    def fsync(self, fd: int) -> None:
        is_video = os.fstat(fd).st_size > LARGEST_TEXT and isinstance(self._node(fd), File)
        if is_video and not self._has_failed:
            self._has_failed = True
            try:
                self.fail_sync(fd)
            except OSError:
                pass
        super().fsync(fd)


@pytest.mark.slow
def test_a_second_fsync_after_one_that_failed_is_found() -> None:
    """What can be read is not what is on the disk."""
    assert is_found("I1", FsyncsAgain)


@pytest.mark.slow
def test_bytes_that_count_before_they_are_synced_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger speaks of more than the disk holds."""
    monkeypatch.setattr(LocalPart, "_sync", unsynced)
    assert is_found("I13")


@pytest.mark.slow
def test_bytes_that_go_before_the_ledger_knows_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart that empties the file first."""

    async def wrong_way_round(self: Intake) -> None:
        self.saved = NOTHING
        await self.part.restart()
        await self._report.durable(NOTHING)

    monkeypatch.setattr(Intake, "_forget", wrong_way_round)
    assert is_found("I13", faults=("regenerate-mdat",))


def test_a_tag_manifest_before_its_tags_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would call a bag whole that is not."""

    async def wrong_way_round(vault: Any, holdings: Any, now: Any, *_: Any) -> None:
        lines = manifest._Lines(holdings)
        text = "".join([chunk async for chunk in lines.chunks()])
        texts = {
            bag.BAGIT: bag.DECLARATION, bag.MANIFEST: text,
            bag.BAG_INFO: bag.bag_info(lines.count, lines.bytes, now, manifest.AGENT, None),
        }  # fmt: skip
        hashes = {name: bag_hash(text) for name, text in texts.items()}
        await vault.write_tag_file(bag.TAG_MANIFEST, [bag.tag_manifest(hashes)])
        for name, text in texts.items():
            await vault.write_tag_file(name, [text])

    monkeypatch.setattr(tag_files, "write_bag", wrong_way_round)
    assert is_found("bag")


def bag_hash(text: str) -> str:
    """SHA-256 as hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.slow
def test_a_damaged_copy_that_is_thrown_away_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad bytes may be all there is."""

    def gone(self: Mender, path: str, _aside: str) -> str:
        folder, _, name = path.rpartition("/")
        into = self._os.open_folder(self._home.root, folder)
        self._os.unlink(name, into)
        return ""

    monkeypatch.setattr(Mender, "set_aside", gone)
    assert any("the damaged copy of" in finding for finding in findings("a repair"))


@pytest.mark.slow
def test_a_damaged_ledger_that_is_thrown_away_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants to look at it has to have it."""

    def over(self: Mender, fresh: str, name: str) -> str:
        private = self._os.open_folder(self._home.root, PRIVATE)
        self._os.replace(fresh, private, name, private)
        self._os.sync_folder(private)
        return ""

    monkeypatch.setattr(Mender, "swap", over)
    assert "the damaged ledger is lost" in findings("a damaged ledger")


def test_a_ledger_that_is_begun_anew_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one in the place of one that was lost, and nobody is told."""

    async def never(*_: Any) -> None: ...

    monkeypatch.setattr(opening, "require_ledger", lambda _dest: None)
    monkeypatch.setattr(opening, "catch_up", never)
    assert any(finding.startswith("I4:") for finding in findings("a missing ledger"))
