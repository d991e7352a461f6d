"""What a small machine allows: few open files, little memory.  Fewer hands, and the same result."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from archiver.adapters.descriptors import fitting
from archiver.adapters.disk import Os
from tests.crash.program import Place, is_complete, is_valid_bag, rows_of, vendor
from tests.crash.survival import spend_night
from tests.crash.test_stop import until
from tests.hasty import emulator, hastily

MEMORY_MOST = 150 << 20
SMALL_MOST = 60_000  # bytes of a file on a disk like FAT
# As if something else in the process had taken every descriptor, now and then.
CROWDED = """
import os, socket
from archiver.adapters.disk import Os

def crowded(call, every):
    count = 0
    def wrapped(*args, **more):
        nonlocal count
        count += 1
        taken = []
        try:
            while count % every == 0:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        try:
            return call(*args, **more)
        finally:
            for fd in taken:
                os.close(fd)
    return wrapped

Os.create = crowded(Os.create, 7)
socket.socket.__init__ = crowded(socket.socket.__init__, 5)
"""


def limited(number: int, least: int) -> Callable[[], None]:
    """`ulimit`, in the process to be."""
    return lambda: resource.setrlimit(number, (least, least))


def test_few_descriptors_are_fewer_hands(tmp_path: Path) -> None:
    """`ulimit -n 40`: everything is archived, and it is said why it takes longer."""
    with vendor("--videos", "16", "--size", "20k-90k", "--generation", "0") as them:
        place = Place(tmp_path, them.env)
        files = limited(resource.RLIMIT_NOFILE, 40)
        told = place.archiver(*place.run_args("--downloads", "16"), preexec_fn=files)
        assert told.code == 0, told.err
        assert "2 downloads and 2 calls at a time" in told.err
        is_complete(place, them, rows_of(place))


@pytest.mark.slow
def test_no_descriptor_left_is_no_failure(tmp_path: Path) -> None:
    """EMFILE at files and sockets again and again: nothing fails, nothing is counted, no crash."""
    with vendor("--videos", "12", "--size", "20k-90k", "--generation", "0") as them:
        place = Place(tmp_path, them.env)
        files = limited(resource.RLIMIT_NOFILE, 100)
        with place.process(*place.run_args(), first=CROWDED, preexec_fn=files) as process:
            _out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert '"event": "failed"' not in err
        is_complete(place, them, rows_of(place))


@pytest.mark.slow
@pytest.mark.parametrize("files", [12, 16, 18, 20, 24, 32])
def test_however_few_there_are_it_ends_in_words(tmp_path: Path, files: int) -> None:
    """Too few to begin, or to go on: a sentence, and with enough of them all is completed."""
    with vendor("--videos", "2", "--size", "20k", "--generation", "0") as them:
        place = Place(tmp_path, them.env)
        args = place.run_args("--max-wait", "5s")
        few = place.archiver(*args, preexec_fn=limited(resource.RLIMIT_NOFILE, files))
        assert few.code in (0, 1, 4), few.err
        assert "Traceback" not in few.err
        assert place.archiver(*place.run_args()).code == 0
        is_complete(place, them, rows_of(place))


@pytest.mark.parametrize(
    ("limit", "hands"),
    [(12, (1, 1)), (40, (2, 2)), (64, (5, 5)), (256, (8, 8)), (1024, (8, 8))],
)
def test_no_more_than_the_share_is_planned_for(
    limit: int, hands: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 % of the limit; with the usual ones everybody gets what was asked for."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert fitting(8, 8) == hands
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert fitting(500, 90) == (500, 90)


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


@pytest.mark.slow
def test_a_thousand_in_the_queue_and_32_at_a_time_take_little_memory(tmp_path: Path) -> None:
    """150 MB, whatever is queued: the window is in memory, and a buffer for each download."""
    options = ["--videos", "1000", "--size", "700k-900k", "--generation", "0", "--line", "12M"]
    with vendor(*options) as them:
        place = Place(tmp_path, them.env)
        args = place.run_args("--downloads", "32", "--requests", "16", "--quiet")
        with place.process(*args) as process:
            until(process, lambda: them.get("stats")["downloads"] >= 64)
            assert peak_bytes(process.pid) <= MEMORY_MOST
            process.terminate()
            out, err = process.communicate(timeout=60)
        assert process.returncode == 5, err
        assert '"selected": 1000' in out


class SmallFiles(Os):
    """A file system that holds no file above a length, as FAT does."""

    def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
        if offset >= SMALL_MOST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return super().pwrite(fd, data[: SMALL_MOST - offset], offset)


def test_a_file_too_large_for_the_disk_does_not_stop_the_others(tmp_path: Path) -> None:
    """Every night the same one is told of, and all others come; on a better disk it comes too."""

    async def story() -> None:
        async with emulator(videos=3, channels=1, playlists=0, size=(20_000, 30_000)) as them:
            large = max(them.world.account.videos.values(), key=lambda video: video.id)
            them.world.replace_video(large.id, size=SMALL_MOST + 10_000)
            for archived in (2, 0):
                summary = await spend_night(tmp_path, them, SmallFiles())
                assert (summary.archived, summary.parked, summary.exit_code) == (archived, 1, 1)
                (failure,) = summary.failures
                assert failure.video == large.id
                assert "too large for this file system" in failure.reason
                is_valid_bag(tmp_path / "archive")
            summary = await spend_night(tmp_path, them, Os())
            assert (summary.archived, summary.exit_code) == (1, 0)

    hastily(story())
