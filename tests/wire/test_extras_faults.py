"""Each misfortune of extras, through a whole night: no video suffers, and the rest comes later.

Real: the whole program, the emulator, sockets and files.  Not real: the time, which jumps.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from archiver.core import picture
from archiver.emulator.faults import FAULTS
from archiver.emulator.pictures import picture as drawn
from archiver.emulator.server import Emulator
from tests.hasty import emulator, hastily, night

OWN = sorted(name for name, fault in FAULTS.items() if fault.where == "extras")
# Of the API's own misfortunes, those of an answer; at everything that is no video's file.
ANSWERS = ("error-500", "html", "cut-json", "deep-json", "odd-json", "wrong-types", "empty-body")
PARTS = ("captions", "chapters", "labels", "custom-metadata", "tracks", "vtt")
QUICK = ("captions", "vtt", "html")
VIDEOS = 3
# A refusal is an answer, and so is an empty object where a list is meant: asked again at an age.
BELIEVED = {"extra-denied", "extra-missing", "picture-missing", "wrong-types"}


def payload(dest: Path) -> dict[str, bytes]:
    return {
        path.name.rpartition("[")[2]: path.read_bytes()
        for path in (dest / "data").rglob("*")
        if path.is_file()
    }


def expected(vendor: Emulator, fault: str) -> set[str]:
    """What follows the bracket in the names that each video's files end up with."""
    found = {"channel.info.json"}
    for number, video in vendor.world.account.videos.items():
        found |= {f"{number}].mp4", f"{number}].info.json"}
        if fault not in BELIEVED:
            found |= {f"{number}].jpg"}
            found |= {f"{number}].{track.language.lower()}.vtt" for track in video.captions}
    return found


def check(dest: Path, vendor: Emulator) -> None:
    """Whatever stands there is what it says it is."""
    for name, content in payload(dest).items():
        if name.endswith(".vtt"):
            assert content.startswith(b"WEBVTT"), name
        elif name.endswith(".json"):
            assert json.loads(content), name
        elif name.endswith(".jpg"):
            assert picture.kind(content) == "jpg", name
            number = int(name.partition("]")[0])
            assert content == drawn(vendor.world.account.videos[number], "1920x1080")
    assert vendor.stats["credential_leaks"] == 0
    assert not list((dest / ".archiver" / "parts").iterdir())


async def nights(dest: Path, faults: tuple[str, ...]) -> list[Counter[str]]:
    """A night under *faults*, then calm ones; how often each extra was asked for in each."""
    asked: list[Counter[str]] = []
    async with emulator(videos=VIDEOS, channels=1, size=(20_000, 60_000), faults=faults) as vendor:
        for video in vendor.world.account.videos.values():
            for language in ("en-00", "de-DE"):
                vendor.world.finish_caption(video.id, language)
            for track in video.captions:
                track.status = "active"
        missing = -1
        for number in range(3):
            before = Counter(vendor.stats["extras_by_path"])
            summary = await night(dest, vendor, extras=True)
            assert summary.exit_code == 0, (summary.message, summary.failures)
            names = payload(dest).keys()
            assert {f"{video}].mp4" for video in vendor.world.account.videos} <= names
            check(dest, vendor)
            missing = summary.extras_missing
            asked.append(Counter(vendor.stats["extras_by_path"]) - before)
            if number == 0:
                assert any(vendor.stats["faults"].values()), "the misfortune never struck"
                vendor.world.faults.set(())
        assert expected(vendor, faults[0].partition("@")[0]) <= payload(dest).keys()
        assert missing == 0
    return asked


@pytest.mark.parametrize("fault", OWN)
def test_a_misfortune_of_extras_costs_no_video(tmp_path: Path, fault: str) -> None:
    """A40, S07: struck once everywhere, and all but what was refused comes another night."""
    asked = hastily(nights(tmp_path, (fault,)))
    assert not asked[2], "a third night has nothing to ask"


@pytest.mark.parametrize(
    "part",
    [part if part in QUICK else pytest.param(part, marks=pytest.mark.slow) for part in PARTS],
)
def test_a_part_that_answers_500_all_night_costs_no_video(tmp_path: Path, part: str) -> None:
    """A40: everything else is had in the same night, the part in the next."""
    asked = hastily(nights(tmp_path, (f"error-500@{part}!",)))
    broken = [path for path in asked[0] if f"/{part}" in path]
    assert sum(asked[0][path] for path in broken) <= 3 * VIDEOS, "it is not asked for ever"
    assert not asked[2]


@pytest.mark.parametrize(
    "fault", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in ANSWERS]
)
def test_odd_answers_to_extras_cost_no_video(tmp_path: Path, fault: str) -> None:
    """Struck once at each address of a video's extras."""
    faults = tuple(f"{fault}@{part}" for part in PARTS)
    asked = hastily(nights(tmp_path, faults))
    assert not asked[2]
