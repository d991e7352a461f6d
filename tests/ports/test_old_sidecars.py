"""Sidecars as earlier releases wrote them, word for word: they are read for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from archiver.care.gathering import entry_of, manifest_of, sidecars

CONTENT = b"the video"
# Never change one of these: each is what an archive out there holds.
SCHEMA_1 = """{
  "archive": {
    "bytes": 9,
    "channel_folder": "Town hall [23711860]",
    "channel_id": "23711860",
    "channel_title": "Town hall",
    "folder": "data/Town hall [23711860]/2025/2025-08-24 Council [124347063]",
    "format": "mp4",
    "schema": 1,
    "sha256": "%s",
    "stem": "2025-08-24 Council [124347063]",
    "version": 1,
    "video_id": "124347063"
  },
  "channel": "Town hall",
  "channel_id": "23711860",
  "description": "",
  "duration": 61.5,
  "ext": "mp4",
  "extractor": "ustream",
  "extractor_key": "Ustream",
  "id": "124347063",
  "timestamp": 1756000000,
  "title": "Council",
  "upload_date": "20250824",
  "video": {
    "added_at": 1756000000,
    "created_at": 1756000000,
    "file_size": 9,
    "id": "124347063",
    "length": 61.5,
    "links": {
      "channel": {
        "href": "https://api.video.ibm.com/channels/23711860.json",
        "id": "23711860"
      }
    },
    "protect": "private",
    "title": "Council"
  },
  "webpage_url": "https://video.ibm.com/recorded/124347063"
}
"""


@pytest.mark.parametrize("text", [SCHEMA_1])
def test_a_sidecar_of_each_schema_gives_back_its_video(tmp_path: Path, text: str) -> None:
    """Video, channel, place and hash: all that a ledger needs to go on."""
    folder = tmp_path / "data/Town hall [23711860]/2025/2025-08-24 Council [124347063]"
    folder.mkdir(parents=True)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    (folder / "2025-08-24 Council [124347063].mp4").write_bytes(CONTENT)
    (folder / "2025-08-24 Council [124347063].info.json").write_text(text % sha256)
    root = str(tmp_path)
    (path,) = sidecars(root)
    entry = entry_of(root, path, manifest_of(root))
    assert entry is not None
    assert (entry.video.id, entry.video.title, entry.video.channel_id) == (
        124347063, "Council", 23711860
    )  # fmt: skip
    assert (entry.video.length_s, entry.video.protect) == (61.5, "private")
    assert (entry.channel_folder, entry.stem) == ("Town hall [23711860]", folder.name)
    assert str(tmp_path / entry.folder) == str(folder)
    video, info = entry.holdings
    assert (video.bytes, video.sha256, video.kind) == (9, sha256, "video")
    assert info.sha256 == hashlib.sha256((text % sha256).encode()).hexdigest()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"archive": 3}', '{"archive": {"video_id": "x"}}', "[" * 100_000]
)
def test_what_is_no_sidecar_of_ours_is_passed_over(tmp_path: Path, text: str) -> None:
    """A stranger's file is a stranger's."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.info.json").write_text(text)
    assert entry_of(str(tmp_path), "data/a.info.json", {}) is None
