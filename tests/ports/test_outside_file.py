"""A log that is moved away while it grows, and a text that is replaced whole."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from archiver.adapters import outside_file
from archiver.adapters.disk import Os
from archiver.errors import SettingsError


def test_a_log_goes_on_after_it_was_moved_away(tmp_path: Path) -> None:
    """As logrotate does; only the owner reads it, and nothing of it is lost."""
    path = tmp_path / "night.log"
    log = outside_file.LogFile(str(path))
    log.append("one")
    log.append("two")
    path.rename(tmp_path / "night.log.1")
    log.append("three")
    path.unlink()
    log.append("vier ü")
    log.close()
    assert (tmp_path / "night.log.1").read_text() == "one\ntwo\n"
    assert path.read_text() == "vier ü\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert log.trouble == ""
    again = outside_file.LogFile(str(path))
    again.append("five")
    again.close()
    assert path.read_text() == "vier ü\nfive\n"


def test_a_log_on_a_full_disk_breaks_nothing() -> None:
    """The run goes on, and says at its end that lines are missing."""
    log = outside_file.LogFile("/dev/full")
    log.append("one")
    log.close()
    assert log.trouble == os.strerror(28)


def test_a_log_that_cannot_be_opened_is_refused_at_once(tmp_path: Path) -> None:
    """Not after a night; and a pipe without a reader does not hang us."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "none" / "log", tmp_path / "pipe"):
        with pytest.raises(SettingsError, match="cannot be written"):
            outside_file.LogFile(str(path))


def test_a_text_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever collects it sees the old or the new one, also where the disk is full."""
    path = tmp_path / "a.prom"
    (tmp_path / ".a.prom.new").write_text("half of one, of a run that was killed")
    outside_file.write_text(str(path), "one\n", mode=0o644)
    assert outside_file.whole_text(str(path)) == "one\n"
    assert path.stat().st_mode & 0o444 == 0o444
    assert [each.name for each in tmp_path.iterdir()] == ["a.prom"]

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(Os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            outside_file.write_text(str(path), "two\n")
    assert outside_file.whole_text(str(path)) == "one\n"
    assert [each.name for each in tmp_path.iterdir()] == ["a.prom"]
    monkeypatch.chdir(tmp_path)
    outside_file.write_text("a.prom", "three\n")
    assert path.read_text() == "three\n"


def test_a_text_that_breaks_off_leaves_the_old_one(tmp_path: Path) -> None:
    """Whoever makes it may fail in the middle, for reasons of their own."""
    path = tmp_path / "events.xml"
    path.write_text("whole")

    def half() -> None:
        with outside_file.writing(str(path)) as write:
            write("<premis>")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert path.read_text() == "whole"
    assert [each.name for each in tmp_path.iterdir()] == ["events.xml"]


def test_a_text_follows_a_link_and_keeps_the_mode_of_what_it_replaces(tmp_path: Path) -> None:
    """An owner who made it private, or keeps it elsewhere, did so on purpose."""
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "night.json", tmp_path / "night.json"
    link.symlink_to(real)
    before = os.umask(0o027)
    try:
        outside_file.write_text(str(link), "one")
    finally:
        os.umask(before)
    assert (link.is_symlink(), real.read_text()) == (True, "one")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    real.chmod(0o600)
    outside_file.write_text(str(link), "two")
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("two", 0o600)


def test_a_pipe_gets_the_text_and_one_without_a_reader_holds_nothing_up(tmp_path: Path) -> None:
    """As ``--report >(jq .expired)`` has it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    outside_file.require_writable(str(pipe))
    with pytest.raises(OSError, match="No such device"):
        outside_file.write_text(str(pipe), "one")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    outside_file.write_text(str(pipe), "two")
    assert os.read(reader, 100) == b"two"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    outside_file.require_writable(os.devnull)
    outside_file.write_text(os.devnull, "three")


def test_what_an_open_descriptor_wrote_before_stays(tmp_path: Path) -> None:
    """``2> night.log --report /dev/stderr``: the file is somebody's, and has lines already."""
    with (tmp_path / "night.log").open("w") as file:
        file.write("a warning\n")
        file.flush()
        outside_file.require_writable(f"/dev/fd/{file.fileno()}")
        outside_file.write_text(f"/dev/fd/{file.fileno()}", "the report\n")
    assert (tmp_path / "night.log").read_text() == "a warning\nthe report\n"
    assert [each.name for each in tmp_path.iterdir()] == ["night.log"]


def test_a_text_that_is_not_there_is_empty_and_its_folder_is_looked_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first night has nothing to keep; a slip in the path is said before it."""
    assert outside_file.whole_text(str(tmp_path / "none")) == ""
    outside_file.require_writable(str(tmp_path / "a.prom"))
    monkeypatch.chdir(tmp_path)
    outside_file.require_writable("a.prom")
    for path, why in (("none/a.prom", "none is no folder"), (".", "it is a folder")):
        with pytest.raises(SettingsError, match=why):
            outside_file.require_writable(str(tmp_path / path))


def test_a_file_in_memory_is_a_file(tmp_path: Path) -> None:
    """``/dev/shm`` holds files as any folder does; a link leads to one, or to a descriptor."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        pytest.skip("no files in memory here")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        text = Path(folder) / "a.prom"
        link = tmp_path / "link"
        link.symlink_to(text)
        for said in ("one", "two"):
            outside_file.write_text(str(text), said)
            assert text.read_text() == said
        outside_file.write_text(str(link), "three")
        assert (text.read_text(), link.is_symlink()) == ("three", True)
    with (tmp_path / "night.log").open("w") as file:
        file.write("a warning\n")
        file.flush()
        link.unlink()
        link.symlink_to(f"/dev/fd/{file.fileno()}")
        outside_file.write_text(str(link), "the report\n")
    assert (tmp_path / "night.log").read_text() == "a warning\nthe report\n"
