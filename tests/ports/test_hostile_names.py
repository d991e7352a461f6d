"""Titles made to harm: on a real disk each becomes a plain file, below the folder it belongs in.

Thousands here, a thousand a seed; ``--seeds 1000`` tries a million.
"""

from __future__ import annotations

import json
import ntpath
import os
import posixpath
import random
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest

from archiver.adapters.disk import Os
from archiver.core import naming
from archiver.core.model import NOTHING, ChannelId, JobKey, Video, VideoId
from archiver.records.info import info_json
from tests.core.test_naming import assert_portable
from tests.ports.disk_world import job_of, shelf_of

TITLES_EACH = 1000
PIECES = (
    "../", "..\\", "/", "\\", "/etc/passwd", "C:", "C:\\Windows", "\\\\host\\share", "//", "..",
    ".", "%2e%2e%2f", "%00", "\0", "\r\n", "\n", "~", "~root/", "-rf", "$(id)", "`id`", "|", "&&",
    ";",
    ":", "::$DATA", "*", "?", '"', "<", ">", "CON", "nul.txt", "COM\u00b9", "LPT1.", "aux ",
    " ",
    "\x1b[2J", "\x1b]0;x\x07", "\x9b31m", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028",
    "e\u0301", "\u00e9", "\u0301", "\ud800", "\udfff", "\ue000", "\U0001f468\u200d\U0001f469",
    "\U0001f1e9", "\U0001f600" * 30, "x" * 90, "\u0130", "\u00df", "\ufb01", "\uff0f", "\u2215",
    "\uff0e\uff0e\uff0f", ".archiver", "archive-id", "desktop.ini", "[5]", "{id}", ".part",
)  # fmt: skip
WORDS = ("mp4", "../x", "en\0-00", "C:\\nul", "%2e", "..", "")


def hostile(chance: random.Random) -> str:
    """A title of a few of the worst."""
    return "".join(chance.choices(PIECES, k=chance.randint(1, 7)))


def paths_of(chance: random.Random, number: int) -> list[str]:
    """Every path below DEST that a hostile video leads to."""
    video = Video(VideoId(number), hostile(chance))
    channel = naming.channel_folder(ChannelId(chance.randint(0, 1 << 40)), hostile(chance))
    place = naming.place_for(video, channel)
    word = chance.choice(WORDS)
    names = [
        naming.file_name(place.stem, "video", "mp4", 1),
        naming.file_name(place.stem, "info", "mp4", 2),
        naming.file_name(place.stem, "caption", word, 1),
    ]
    part = naming.part_name(JobKey(VideoId(number), "video", word))
    return [f".archiver/parts/{part}", *(f"{place.folder}/{name}" for name in names)]


def stays_below(path: str) -> None:
    """By the judgement of POSIX, of Windows, and of whoever decodes it once more."""
    root = "data/" if path.startswith("data/") else ".archiver/parts/"
    assert posixpath.normpath(path) == path
    assert posixpath.normpath(f"/dest/{path}").startswith(f"/dest/{root}")
    windows = root.replace("/", "\\")
    assert ntpath.normpath(ntpath.join("D:\\dest", path)).startswith(f"D:\\dest\\{windows}")
    assert unquote(path) == path
    for component in path.removeprefix(".archiver/").split("/"):
        assert_portable(component)
        assert len(component.encode()) <= 255


def test_no_title_leads_out_of_the_archive(seed: int) -> None:
    """Whatever channel, title, language or format say; and no two videos meet in one folder."""
    chance = random.Random(seed)
    met = set()
    for number in range(TITLES_EACH):
        paths = paths_of(chance, number)
        for path in paths:
            stays_below(path)
        met.add(unicodedata.normalize("NFKC", paths[1]).casefold())
    assert len(met) == TITLES_EACH


def test_a_real_disk_takes_every_name_as_it_is(tmp_path: Path) -> None:
    """Each file lies, under its whole name, in the folder that was asked for, and nowhere else."""
    system, chance, dest = Os(), random.Random(1), tmp_path / "dest"
    dest.mkdir()
    root = os.open(dest, os.O_RDONLY | os.O_DIRECTORY)
    wanted = set()
    try:
        for number in range(300):
            path = paths_of(chance, number)[1]
            folder, _, name = path.rpartition("/")
            fd = system.open_folder(root, folder, make=True)
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=fd))
            os.close(fd)
            wanted.add(path)
    finally:
        os.close(root)
    found = {p.relative_to(dest).as_posix() for p in dest.rglob("*") if p.is_file()}
    assert found == wanted
    assert (os.listdir(dest), os.listdir(tmp_path)) == (["data"], ["dest"])


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_a_path_that_climbs_is_refused(tmp_path: Path, name: str) -> None:
    """Even one that no title could make: the disk follows no step that is not a name."""
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="not a name within the archive"):
            Os().open_folder(root, f"data/{name}/x", make=True)
    finally:
        os.close(root)


def test_what_a_name_loses_the_metadata_keep() -> None:
    """The title stands in info.json as it came, escaped: nothing in it steers a terminal."""
    title = "evil\x1b[31m\u202egpj.exe \x9b \ud83d"
    raw = json.dumps({"title": title})
    shelf = shelf_of(title=title, raw=raw)
    text = info_json(job_of(JobKey(VideoId(5)), NOTHING, ""), shelf)
    told = json.loads(text)
    assert (told["title"], told["video"]["title"]) == (title, title)
    assert not set("\x1b\u202e\x9b") & set(text.decode())
    assert naming.display(title) == "evil [31mgpj.exe \ufffd"
