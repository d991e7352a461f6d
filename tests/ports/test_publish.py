"""Publication: whole, synced, never over another file, and repeatable from any instant."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import logging
import os
import shutil
import stat
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path

import pytest

from archiver.adapters.disk import Os
from archiver.adapters.publish import LocalVault
from archiver.core.model import NOTHING, Instant, Job, JobKey, Saved, Video, VideoId
from archiver.errors import CorruptError, DestinationError
from archiver.ports import Part, Shelf, Vault
from archiver.records.info import info_json, is_info_of
from tests.ports.counting import Counting
from tests.ports.disk_world import (
    MP4,
    NOW,
    FailingOs,
    fetched,
    fill,
    job_of,
    opened,
    shelf_of,
    tree,
)
from tests.sim.loop import SimLoop, simulate

KEY = JobKey(VideoId(5))
SHELF = shelf_of()
VIDEO = f"{SHELF.folder}/{SHELF.stem}.mp4"
INFO = f"{SHELF.folder}/{SHELF.stem}.info.json"


def files(tmp_path: Path) -> list[str]:
    """Every file of the archive but its id."""
    return [name for name in tree(tmp_path / "archive") if not name.endswith("archive-id")]


def in_vault(tmp_path: Path, work: object, system: Os | None = None) -> None:
    """Run ``work(vault)`` in a fresh process's place: a new vault each time."""

    async def run() -> None:
        with opened(tmp_path, system) as vault:
            assert callable(work)
            coroutine = work(vault)
            assert isinstance(coroutine, Coroutine)
            await coroutine

    asyncio.run(run())


def downloaded(tmp_path: Path) -> Job:
    """An archive with a finished, unpublished download, by a process that is gone."""
    jobs: list[Job] = []

    async def download(vault: LocalVault) -> None:
        jobs.append(await fetched(vault, KEY))

    in_vault(tmp_path, download)
    return jobs[0]


def published(tmp_path: Path, job: Job, system: Os | None = None) -> list[str]:
    """Publish *job* by a new process; return the paths of its holdings."""
    paths: list[str] = []

    async def publish(vault: LocalVault) -> None:
        holdings = await vault.publish(job, SHELF)
        assert [holding.kind for holding in holdings] == ["video", "info"]
        for holding in holdings:
            data = (tmp_path / "archive" / holding.path).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (holding.bytes, holding.sha256)
            assert (holding.video_id, holding.stored_at) == (5, NOW)
            paths.append(holding.path)

    in_vault(tmp_path, publish, system)
    return paths


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="who is open is not told here")
def test_a_files_end_and_its_publication_are_one_trip_to_a_thread_each(tmp_path: Path) -> None:
    """A trip costs as much as a small file's bytes; and nothing is synced twice."""
    system = FailingOs()

    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Counting)
        with opened(tmp_path, system) as vault:
            part, _ = await vault.part(KEY, NOTHING)
            await fill(part, MP4)
            saved = Saved(bytes=len(MP4), total=len(MP4))
            sha256, problem = await vault.finish(KEY, saved)
            await part.close()
            assert (sha256, problem) == (hashlib.sha256(MP4).hexdigest(), None)
            system.calls.clear()
            await vault.publish(job_of(KEY, saved, sha256), SHELF)
            return loop.trips

    with asyncio.Runner(loop_factory=Counting) as runner:
        assert runner.run(main()) == 3
    assert system.calls.count("fsync") - system.calls.count("sync_folder") == 1, "its sidecar's"
    assert sorted(path.rpartition("/")[2] for path in (VIDEO, INFO)) == sorted(
        name.rpartition("/")[2] for name in files(tmp_path)
    )


def test_a_restored_file_that_stands_there_is_made_durable_before_it_counts(tmp_path: Path) -> None:
    """Whoever put it there, a killed run or another hand, may not have come to a sync."""
    job, system = downloaded(tmp_path), FailingOs()

    async def restore(vault: LocalVault) -> None:
        recorded = (await vault.publish(job, SHELF))[0]
        system.calls.clear()
        await vault.restore(job, recorded)

    in_vault(tmp_path, restore, system)
    assert system.calls == ["fsync", "sync_folder", "fsync"]


def test_a_whole_download_whose_last_sync_fails_is_not_believed(tmp_path: Path) -> None:
    """And not synced again: what the disk holds of it is not known."""

    class Failing(Os):
        tries = 0

        def fsync(self, fd: int) -> None:
            if os.fstat(fd).st_size == len(MP4):
                self.tries += 1
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().fsync(fd)

    system = Failing()

    async def end(vault: LocalVault) -> None:
        part, _ = await vault.part(KEY, NOTHING)
        await fill(part, MP4)
        for _ in range(2):
            with pytest.raises(DestinationError, match="reports an error"):
                await vault.finish(KEY, Saved(bytes=len(MP4), total=len(MP4)))
        assert not part.is_sealed
        await part.close()

    in_vault(tmp_path, end, system)
    assert system.tries == 1


def test_an_opening_that_is_called_off_leaves_nothing_open(tmp_path: Path, seed: int) -> None:
    """The thread goes on when nobody waits for what it opens."""

    async def call_off() -> None:
        with opened(tmp_path) as vault:
            before = os.listdir("/proc/self/fd")
            opening = asyncio.create_task(vault.part(KEY, NOTHING))
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await asyncio.sleep(1.0)  # of simulated time
            assert os.listdir("/proc/self/fd") == before

    simulate(SimLoop(seed), call_off())


def test_a_download_gets_its_name_with_its_sidecar(tmp_path: Path) -> None:
    """Both files stand under the public names, readable, and nothing else is left."""
    job = downloaded(tmp_path)
    assert published(tmp_path, job) == [VIDEO, INFO]
    assert files(tmp_path) == sorted([VIDEO, INFO])
    found = (tmp_path / "archive" / VIDEO).stat()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(found.st_mode) == 0o644 & ~umask
    assert (tmp_path / "archive" / VIDEO).read_bytes() == MP4


def test_publishing_again_adopts_what_stands(tmp_path: Path) -> None:
    """A crash after the rename and before the record costs nothing."""
    job = downloaded(tmp_path)
    assert published(tmp_path, job) == published(tmp_path, job) == [VIDEO, INFO]
    assert files(tmp_path) == sorted([VIDEO, INFO])


def test_a_changed_listing_does_not_double_the_sidecar(tmp_path: Path) -> None:
    """A sidecar of the same file stays, though the listing says something else by now."""
    job = downloaded(tmp_path)
    published(tmp_path, job)
    before = (tmp_path / "archive" / INFO).read_bytes()

    async def publish(vault: LocalVault) -> None:
        other = replace(SHELF, video=replace(SHELF.video, raw='{"views": 9}'))
        holdings = await vault.publish(job, other)
        assert holdings[1].sha256 == hashlib.sha256(before).hexdigest()

    in_vault(tmp_path, publish)
    assert files(tmp_path) == sorted([VIDEO, INFO])


CALLS = ["fsync", "sync_folder", "mkdir", "rename_noreplace"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("at", range(1, 9))
def test_every_failing_call_leaves_a_repeatable_publication(
    tmp_path: Path, call: str, at: int
) -> None:
    """Whichever call fails: nothing half-made has a final name, and the next run ends well."""
    job = downloaded(tmp_path)
    system = FailingOs()
    with opened(tmp_path, system):
        at += system.calls.count(call)  # those of opening are tested elsewhere
    failed = False
    try:
        published(tmp_path, job, FailingOs(call, errno.EIO, at))
    except DestinationError as error:
        failed = True
        assert "disk reports an error" in str(error)  # noqa: PT017
    for name in (VIDEO, INFO):
        path = tmp_path / "archive" / name
        if path.exists():
            assert path.stat().st_size > 0
            assert name == INFO or path.read_bytes() == MP4
    try:
        assert published(tmp_path, job) == [VIDEO, INFO]
    except CorruptError:  # the sealing fsync failed: the part was discarded
        assert failed
        assert call == "fsync"
        downloaded(tmp_path)
        assert published(tmp_path, job) == [VIDEO, INFO]
    assert [name for name in files(tmp_path) if "(2)" in name] == []


def test_a_failed_seal_is_never_repeated(tmp_path: Path) -> None:
    """After a failed fsync the part is gone: no second fsync can call its bytes good."""
    job = downloaded(tmp_path)

    class NoSeal(Os):
        def fsync(self, fd: int) -> None:
            if os.fstat(fd).st_size == len(MP4):
                raise OSError(errno.EIO, "lost")
            super().fsync(fd)

    with pytest.raises(DestinationError):
        published(tmp_path, job, NoSeal())
    assert files(tmp_path) == []  # nor is there a sidecar of what is gone
    with pytest.raises(CorruptError):
        published(tmp_path, job)


@pytest.mark.parametrize("foreign", [b"", b"a stranger's", MP4[:-1] + b"?"])
def test_a_strangers_file_is_never_overwritten(
    tmp_path: Path, foreign: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that is taken stays with its file; ours is numbered, and that is said."""
    job = downloaded(tmp_path)
    for name in (VIDEO, INFO):
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(foreign)
    with caplog.at_level(logging.WARNING):
        paths = published(tmp_path, job)
    stem = f"{SHELF.folder}/{SHELF.stem}"
    assert paths == [f"{stem} (2).mp4", f"{stem} (2).info.json"]
    assert (tmp_path / "archive" / VIDEO).read_bytes() == foreign
    assert "in the way" in caplog.text
    assert published(tmp_path, job) == paths


def test_bytes_that_are_adopted_are_durable_before_our_own_go(tmp_path: Path) -> None:
    """Another hand may have copied them there a moment ago."""
    job, system = downloaded(tmp_path), FailingOs()
    place = tmp_path / "archive" / VIDEO
    place.parent.mkdir(parents=True)
    place.write_bytes(MP4)
    published(tmp_path, job, system)
    adopting = system.calls[len(system.calls) - system.calls[::-1].index("rename_noreplace") :]
    assert adopting == ["fsync", "sync_folder", "fsync", "unlink"]


def test_the_same_bytes_under_the_name_are_adopted(tmp_path: Path) -> None:
    """A file that was copied there by hand and is right is ours."""
    job = downloaded(tmp_path)
    path = tmp_path / "archive" / VIDEO
    path.parent.mkdir(parents=True)
    path.write_bytes(MP4)
    assert published(tmp_path, job) == [VIDEO, INFO]
    assert files(tmp_path) == sorted([VIDEO, INFO])


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL])
def test_without_renameat2_a_link_does_it(tmp_path: Path, code: int) -> None:
    """Older kernels and macOS still never overwrite."""
    job = downloaded(tmp_path)
    system = FailingOs("rename_noreplace", code, lasting=True)
    assert published(tmp_path, job, system) == [VIDEO, INFO]
    assert "link" in system.calls
    assert files(tmp_path) == sorted([VIDEO, INFO])
    assert (tmp_path / "archive" / VIDEO).stat().st_nlink == 1


def test_a_crash_between_link_and_unlink_is_finished(tmp_path: Path) -> None:
    """Two names for the same bytes: the final one stays, the part goes."""
    job = downloaded(tmp_path)
    path = tmp_path / "archive" / VIDEO
    path.parent.mkdir(parents=True)
    path.hardlink_to(tmp_path / "archive/.archiver/parts/5.mp4.v1.part")
    assert published(tmp_path, job) == [VIDEO, INFO]
    assert path.stat().st_nlink == 1


class Plain(Os):
    """A disk that can neither rename without replacing nor link: exFAT, some shares."""

    def rename_noreplace(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        raise OSError(errno.EINVAL, "no")

    def link(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        raise OSError(errno.EPERM, "no")


@pytest.mark.parametrize("taken", [False, True])
def test_the_plainest_disk_is_warned_about_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, taken: bool
) -> None:
    """Where nothing safer exists, a check and a rename do it; the owner is told, once."""
    job = downloaded(tmp_path)
    path = tmp_path / "archive" / VIDEO
    if taken:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"a stranger's")
    with caplog.at_level(logging.WARNING):
        published(tmp_path, job, Plain())
    assert caplog.text.count("keep other programs away") == 1
    assert path.read_bytes() == (b"a stranger's" if taken else MP4)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_folders_that_cannot_be_synced_are_warned_about_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """Some shares know no fsync of a folder; that is said once and lived with."""

    class NoFolders(Os):
        def fsync(self, fd: int) -> None:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise OSError(code, "no")
            super().fsync(fd)

    job = downloaded(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert published(tmp_path, job, NoFolders()) == [VIDEO, INFO]
    assert caplog.text.count("cannot flush folders") == 1


def test_a_symlink_below_the_archive_is_not_followed(tmp_path: Path) -> None:
    """Nobody leads a publication out of the archive by a folder of his own."""
    job = downloaded(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "archive/data/account").symlink_to(outside)
    with pytest.raises(DestinationError):
        published(tmp_path, job)
    assert tree(outside) == []


@pytest.mark.parametrize("folder", ["../outside", "/tmp/x", "data/../..", "data//x"])
def test_a_folder_outside_the_archive_is_refused(tmp_path: Path, folder: str) -> None:
    """Not even a ledger that was tampered with leads out of the archive."""
    job = downloaded(tmp_path)

    async def publish(vault: LocalVault) -> None:
        with pytest.raises(DestinationError):
            await vault.publish(job, replace(SHELF, folder=folder))

    in_vault(tmp_path, publish)
    assert not (tmp_path / "outside").exists()


def test_a_part_that_changed_is_not_published(tmp_path: Path) -> None:
    """A new process reads a part again before it trusts the old one's hash."""
    job = downloaded(tmp_path)
    part = tmp_path / "archive/.archiver/parts/5.mp4.v1.part"
    part.write_bytes(MP4[:-1] + b"?")
    with pytest.raises(CorruptError, match="changed on the disk"):
        published(tmp_path, job)
    part.write_bytes(MP4[:-1])
    with pytest.raises(CorruptError, match="were saved"):
        published(tmp_path, job)
    part.unlink()
    with pytest.raises(CorruptError, match="neither"):
        published(tmp_path, job)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "variant", "said"),
    [
        (MP4, "mp4", None),
        (b"", "mp4", "empty"),
        (MP4[:-1], "mp4", "cut short"),
        (b"<html>log in</html>", "mp4", "page of text"),
        (b"FLV\x01\x05\x00\x00\x00\x09", "mp4", "does not begin like"),
        (MP4, "flv", "does not begin like"),
        (b"FLV\x01\x05\x00\x00\x00\x09" + bytes(4), "flv", "no tag"),
        (
            b"FLV\x01\x05\x00\x00\x00\x09"
            + bytes(4)
            + (b"\x09" + bytes(10) + b"\x00\x00\x00\x0b") * 5_000,
            "flv",
            None,
        ),
    ],
)
def test_only_a_whole_container_passes(
    tmp_path: Path, data: bytes, variant: str, said: str | None
) -> None:
    """What is no whole video is found before it is published."""
    key = JobKey(VideoId(6), variant=variant)

    async def check(vault: LocalVault) -> None:
        job = await fetched(vault, key, data)
        answer = await vault.check(key, job.saved)
        assert (answer is None) if said is None else (said in (answer or ""))
        assert "were saved" in (await vault.check(key, Saved(bytes=7)) or "")
        assert await vault.check(JobKey(VideoId(7)), job.saved) is None

    in_vault(tmp_path, check)


def test_orphans_go_and_unfinished_downloads_stay(tmp_path: Path) -> None:
    """What no job will ever continue is deleted; everything else is left alone."""

    async def clear(vault: LocalVault) -> None:
        for number in (1, 2):
            part, _ = await vault.part(JobKey(VideoId(number)), NOTHING)
            await fill(part, b"x")
            await part.sync()
            await part.close()
        (tmp_path / "archive/.archiver/parts/left.tmp").write_bytes(b"")
        assert await vault.clear_orphans({JobKey(VideoId(1))}) == 2

    in_vault(tmp_path, clear)
    assert files(tmp_path) == [".archiver/parts/1.mp4.v1.part"]


def test_the_reserve_stays_free(tmp_path: Path) -> None:
    """Part of the disk is never planned for."""
    with opened(tmp_path) as vault:
        disk = os.statvfs(tmp_path)
        assert 0 <= vault.free_bytes() < disk.f_bavail * disk.f_frsize


def test_the_sidecar_holds_what_the_vendor_said(tmp_path: Path) -> None:
    """yt-dlp's keys outside, ours in ``archive``, the listing as it came in ``video``."""
    raw = '{"description": "d\\ud800", "file_size": 1e999, "odd": NaN}'
    video = Video(VideoId(5), "T\ud800", added_at=Instant(1571830966.0), length_s=2.5, raw=raw)
    job = Job(KEY, saved=Saved(bytes=7), sha256="ab")
    shelf = Shelf(video, "data/C [1]/2019/x [5]", "x [5]")
    text = info_json(job, shelf)
    found = json.loads(text)
    assert text.endswith(b"}\n")
    assert text == info_json(job, shelf)
    assert found["title"] == "T\ud800"
    assert (found["id"], found["extractor_key"], found["ext"]) == ("5", "Ustream", "mp4")
    assert (found["upload_date"], found["timestamp"]) == ("20191023", 1571830966)
    assert found["description"] == "d\ud800"
    assert found["video"] == {"description": "d\ud800", "file_size": "1e999", "odd": None}
    assert found["archive"]["channel_folder"] == "C [1]"
    assert (found["archive"]["bytes"], found["archive"]["sha256"]) == (7, "ab")
    assert is_info_of(text, job)
    assert not is_info_of(text, replace(job, sha256="cd"))
    assert not is_info_of(b"[]", job)
    broken = info_json(job, replace(shelf, video=replace(video, raw="{", added_at=None)))
    assert json.loads(broken)["video"] == "{"


@pytest.mark.parametrize("depth", [100, 500, 700, 900, 100_000])
def test_no_listing_breaks_the_sidecar(depth: int) -> None:
    """However deep the vendor's JSON is, and whatever its numbers, there is a sidecar."""
    raw = '{"a":' * depth + "1" + "}" * depth
    video = replace(SHELF.video, raw=raw, length_s=float("inf"), added_at=Instant(float("nan")))
    found = json.loads(info_json(Job(KEY), replace(SHELF, video=video)))
    assert found["duration"] is found["timestamp"] is found["upload_date"] is None
    assert found["video"] in (raw, json.loads(raw) if depth < 1000 else raw)


def test_an_empty_folder_becomes_an_archive_once(tmp_path: Path) -> None:
    """Made with all its parents, recognised by its id, closed to other users."""
    with LocalVault.open(tmp_path / "a/b", True) as vault:
        first = vault.archive_id
    with LocalVault.open(str(tmp_path / "a/b"), expected_id=first) as vault:
        assert vault.archive_id == first
    private = tmp_path / "a/b/.archiver"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert sorted(p.name for p in private.iterdir()) == ["archive-id", "damaged", "parts"]
    (private / "archive-id").write_bytes(b"")  # a crash while it was made
    (tmp_path / "a/b/data").rmdir()
    with LocalVault.open(tmp_path / "a/b", True) as vault:
        assert vault.archive_id != first


def with_strangers(path: Path) -> None:
    """A folder full of other things."""
    path.mkdir()
    (path / "holiday.jpg").write_bytes(b"")


def with_file(path: Path) -> None:
    """No folder at all."""
    path.write_bytes(b"")


def with_link(path: Path) -> None:
    """Somebody else's .archiver."""
    path.mkdir()
    (path.parent / "elsewhere").mkdir()
    (path / ".archiver").symlink_to(path.parent / "elsewhere")


def with_ledger_only(path: Path) -> None:
    """An archive that lost its id."""
    (path / ".archiver").mkdir(parents=True)
    (path / ".archiver/ledger.sqlite3").write_bytes(b"")


def with_bag_only(path: Path) -> None:
    """The payload of an archive without its memory."""
    path.mkdir()
    (path / "manifest-sha256.txt").write_bytes(b"")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (with_strangers, "neither empty nor an archive"),
        (with_file, "not a folder"),
        (with_link, "in the way|not a directory|symbolic link"),
        (with_ledger_only, "lost its .archiver/archive-id"),
        (with_bag_only, "lost its .archiver/archive-id"),
    ],
)
def test_what_is_no_archive_is_left_alone(tmp_path: Path, make: object, said: str) -> None:
    """Nothing is written into a folder that is not ours."""
    path = tmp_path / "dest"
    assert callable(make)
    make(path)
    before = tree(tmp_path)
    with pytest.raises(DestinationError, match=f"(?i){said}"):
        LocalVault.open(path, True)
    assert tree(tmp_path) == before


def test_an_unmounted_archive_is_not_made_anew(tmp_path: Path) -> None:
    """An empty mount point, a missing folder, another disk: each is refused and left empty."""
    with pytest.raises(DestinationError, match="no archive"):
        LocalVault.open(tmp_path)
    with pytest.raises(DestinationError, match="no folder"):
        LocalVault.open(tmp_path / "missing")
    with pytest.raises(DestinationError, match="lost its"):
        LocalVault.open(tmp_path, True, expected_id="x")
    with pytest.raises(DestinationError, match="no folder"):
        LocalVault.open(tmp_path / "missing", True, expected_id="x")
    assert list(tmp_path.iterdir()) == []
    LocalVault.open(tmp_path, True).close()
    with pytest.raises(DestinationError, match="another archive"):
        LocalVault.open(tmp_path, True, expected_id="x")


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_disk_that_takes_nothing_is_told_at_once(tmp_path: Path, code: int) -> None:
    """A byte is tried before anything is asked of the vendor."""
    with opened(tmp_path):
        pass
    with pytest.raises(DestinationError) as caught:
        opened(tmp_path, FailingOs("pwrite", code))
    assert caught.value.hint
    assert files(tmp_path) == []


def test_a_flaw_is_kept_with_the_file(tmp_path: Path) -> None:
    """A broken video that came twice the same is archived, and its holding says so."""

    async def publish(vault: LocalVault) -> None:
        job = await fetched(vault, KEY, MP4[:-1])
        flaw = await vault.check(KEY, job.saved)
        video, info = await vault.publish(replace(job, reason=flaw or ""), SHELF)
        assert json.loads(video.provenance) == {"flaw": flaw}
        assert info.provenance == "{}"

    in_vault(tmp_path, publish)


def test_the_vault_is_what_the_engine_asks_for(tmp_path: Path) -> None:
    """Types of the port and of the disk agree; a look beside a running run disturbs nothing."""

    async def use(vault: LocalVault) -> None:
        port: Vault = vault
        part, _ = await vault.part(KEY, NOTHING)
        same: Part = part
        assert await port.check(JobKey(VideoId(9)), NOTHING) is None
        with opened(tmp_path) as other:
            assert other.archive_id == vault.archive_id
        await fill(part, MP4)
        await same.sync()
        await same.close()

    in_vault(tmp_path, use)
    assert files(tmp_path) == [".archiver/parts/5.mp4.v1.part"]


def test_a_folder_on_another_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """Somebody mounted a disk below DEST: no file can be moved there in one step."""
    job = downloaded(tmp_path)
    with pytest.raises(DestinationError, match="another disk"):
        published(tmp_path, job, FailingOs("rename_noreplace", errno.EXDEV, lasting=True))
    assert VIDEO not in files(tmp_path)
    assert published(tmp_path, job) == [VIDEO, INFO]


def test_a_folder_that_is_taken_away_between_two_files_is_made_again(tmp_path: Path) -> None:
    """Each publication finds its folder, or makes it."""
    job = downloaded(tmp_path)

    async def publish_twice(vault: LocalVault) -> None:
        shutil.rmtree(tmp_path / "archive/data")
        await vault.publish(job, SHELF)
        shutil.rmtree(tmp_path / "archive/data")
        await vault.publish(await fetched(vault, job.key), SHELF)

    in_vault(tmp_path, publish_twice)
    assert files(tmp_path) == sorted([VIDEO, INFO])


def test_an_old_name_goes_only_after_the_new_one_is_durable(tmp_path: Path) -> None:
    """Two changes of names may come to the disk in either order, and neither name be left."""
    job = downloaded(tmp_path)
    system = FailingOs("rename_noreplace", errno.EINVAL, lasting=True)
    assert published(tmp_path, job, system) == [VIDEO, INFO]
    calls = [name for name in system.calls if name in ("link", "sync_folder", "unlink")]
    linked = [place for place, name in enumerate(calls) if name == "link"]
    assert len(linked) == 2
    assert all(calls[at + 1 : at + 3] == ["sync_folder", "unlink"] for at in linked)
