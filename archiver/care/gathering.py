"""What the archive's own files say of themselves: sidecars, manifest, and the files' bytes.

Rule 1: a hash that sidecar and manifest agree on is taken where the size is right, since ``verify``
will read the file; where they do not agree, or one is silent, the file is read now.
Rule 2: nothing found here is trusted to name a path: a file belongs to the folder it stands in.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from archiver.adapters.ledger import Gathered
from archiver.adapters.vendor import wire
from archiver.care.witness import hash_open, lines_below, open_below
from archiver.core import bag
from archiver.core.model import ChannelId, Holding, Instant, JobKey, Video, VideoId
from archiver.core.naming import file_name, numbered
from archiver.met import met

SIDECAR = ".info.json"
_SMALL_MOST = 16 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAMES_MOST = 5  # tried for one file: a stranger's may have had the first
_NAMED = re.compile(
    r"(?P<stem>.*\[(?P<id>\d{1,19})\].*?)(?: v(?P<version>\d{1,4}))?\.(?P<ext>mp4|flv)"
)


def manifest_of(root: str) -> dict[str, str]:
    """The manifest: path to hash; what cannot be read of it is left out."""
    return dict(manifest_lines(root))


def raw_lines(root: str) -> Iterator[str]:
    """The manifest as it stands; what cannot be read of it is left out."""
    with suppress(OSError):
        yield from lines_below(root, bag.MANIFEST)


def manifest_lines(root: str) -> Iterator[tuple[str, str]]:
    """The manifest's paths and hashes, in its order; what cannot be read of it is left out."""
    for sha256, path in filter(None, map(bag.parse_line, raw_lines(root))):
        yield path, sha256


def sidecars(root: str, folder: str = "data") -> Iterator[str]:
    """Every sidecar below *folder*, by path."""
    return (path for path in files(root, folder) if path.endswith(SIDECAR))


def files(root: str, folder: str = "data") -> Iterator[str]:
    """Every file below *folder*, by path; through no symlink."""
    folders = [folder]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                found = sorted((e.name, e.is_dir(follow_symlinks=False)) for e in entries)
        except OSError:
            continue
        for name, is_folder in found:
            if is_folder:
                folders.append(f"{folder}/{name}")
            else:
                yield f"{folder}/{name}"


def entries(root: str, paths: Iterable[str], manifest: Mapping[str, str]) -> Iterator[Gathered]:
    """What the sidecars at *paths* tell; those that are none of ours are passed over."""
    for path in paths:
        entry = entry_of(root, path, manifest)
        if entry is not None:
            yield entry


def told_captions(root: str, path: str) -> str:
    """The caption tracks that a description tells, as JSON; nothing where it is damaged."""
    try:
        return json.dumps(json.loads(_small(root, path)[0])["captions"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def entry_of(root: str, path: str, manifest: Mapping[str, str]) -> Gathered | None:
    """What one sidecar tells; None where it is none of ours, or its video was never stored."""
    text, at = _small(root, path)
    told = _told(text)
    if told is None:
        return None
    key, archive, video = told
    folder, _, name = path.rpartition("/")
    stem = archive.get("stem")
    if not (isinstance(stem, str) and _is_named(name, file_name(stem, "info", "", key.version))):
        stem = name.removesuffix(SIDECAR).removesuffix(
            f" v{key.version}" if key.version > 1 else ""
        )
    own = file_name(stem, "video", key.variant, key.version)
    wanted = Holding(
        key.video_id, "video", key.variant, key.version, f"{folder}/{own}", archive["bytes"],
        archive["sha256"], at, '{"found": true}',
    )  # fmt: skip
    held = _video_of(root, wanted, manifest)
    if held is None:
        return None
    met("O08")
    sha256 = hashlib.sha256(text).hexdigest()
    info = replace(wanted, kind="info", path=path, bytes=len(text), sha256=sha256, text=text)
    # A damaged one may still tell of its video; but how long it was, nobody knows any more.
    holdings = (held, info) if manifest.get(path, sha256) == sha256 else (held,)
    return Gathered(key, video, _channel_folder(folder), folder, stem, holdings)


def described(root: str, held: Holding) -> Holding:
    """A description with its text."""
    return replace(held, text=_small(root, held.path)[0])


def damaged(root: str, paths: Iterable[str], manifest: Mapping[str, str]) -> list[str]:
    """Which of *paths* can be read and are not as the manifest has them."""
    seen = ((path, read_seen(root, path)) for path in paths)
    return [path for path, found in seen if found is not None and found[1] != manifest[path]]


def unaccompanied(
    root: str, paths: Iterable[str], manifest: Mapping[str, str]
) -> Iterator[Gathered]:
    """Videos of the manifest that lost their sidecar: their name tells whose they are."""
    for path in paths:
        folder, _, name = path.rpartition("/")
        named = _NAMED.fullmatch(name)
        if named is None or not folder.startswith("data/"):
            continue
        number, version = VideoId(int(named["id"])), int(named["version"] or 1)
        key = JobKey(number, variant=named["ext"], version=version)
        seen = read_seen(root, path)
        if seen is None:
            continue
        size, sha256, at = seen
        same = sha256 == manifest[path]
        held = Holding(number, "video", key.variant, version, path, size,
                       sha256 if same else manifest[path], at, '{"found": true}')  # fmt: skip
        video = Video(number, named["stem"])
        yield Gathered(key, video, _channel_folder(folder), folder, named["stem"], (held,))


def _told(text: bytes) -> tuple[JobKey, dict[str, Any], Video] | None:
    try:
        document = json.loads(text)
        archive = document["archive"]
        number, version = int(archive["video_id"]), archive["version"]
        key = JobKey(VideoId(number), variant=archive["format"], version=version)
        is_ours = (
            archive["format"] in ("mp4", "flv") and isinstance(version, int) and version > 0
            and isinstance(archive["bytes"], int) and 0 < number < 1 << 63
            and _SHA256.fullmatch(archive["sha256"]) is not None
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (key, archive, _video(document, archive, key.video_id)) if is_ours else None


def _video(document: dict[str, Any], archive: dict[str, Any], number: VideoId) -> Video:
    """The video as the listing had it, else by the outer words of the sidecar."""
    listed = wire.video(document.get("video"))
    if listed is None or listed.id != number:
        listed = Video(number, str(document.get("title") or ""))
    channel_id, title = archive.get("channel_id"), archive.get("channel_title")
    if isinstance(channel_id, str) and channel_id.isascii() and channel_id.isdigit():
        listed = replace(listed, channel_id=ChannelId(int(channel_id) % (1 << 63)))
    return replace(listed, channel_title=title if isinstance(title, str) else None)


def _video_of(root: str, wanted: Holding, manifest: Mapping[str, str]) -> Holding | None:
    """The video file that a sidecar belongs to; a damaged or missing one, where it was stored."""
    folder, _, name = wanted.path.rpartition("/")
    damaged = None
    for candidate in (name, *(numbered(name, number) for number in range(2, _NAMES_MOST))):
        held = replace(wanted, path=f"{folder}/{candidate}")
        size = _size(root, held.path)
        if size is None:
            continue
        if size == held.bytes and manifest.get(held.path) == held.sha256:
            return held
        seen = read_seen(root, held.path)
        if seen is not None and seen[:2] == (held.bytes, held.sha256):
            return held
        if seen is not None and seen[1] == manifest.get(held.path):  # the sidecar is the odd one
            return replace(held, bytes=seen[0], sha256=seen[1])
        damaged = damaged or held
    return damaged or (wanted if wanted.path in manifest else None)


def is_told(root: str, path: str, sha256: str) -> bool:
    """Beside the manifest another witness has this hash: the sidecar, or the sidecar's bytes."""
    if path.endswith(SIDECAR):
        return hashlib.sha256(_small(root, path)[0]).hexdigest() == sha256
    told = _told(_small(root, f"{path.rpartition('.')[0]}{SIDECAR}")[0])
    return told is not None and told[1]["sha256"] == sha256


def is_whole(root: str, held: Holding) -> bool:
    """The file is what its record says, read to its end."""
    seen = read_seen(root, held.path)
    return seen is not None and seen[:2] == (held.bytes, held.sha256)


def _size(root: str, path: str) -> int | None:
    try:
        found = os.lstat(os.path.join(root, path))
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def read_seen(root: str, path: str) -> tuple[int, str, Instant] | None:
    """Size, hash and time of a file, read to its end; None where that cannot be."""
    try:
        fd = open_below(root, path)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return None
        return found.st_size, hash_open(fd, threading.Event()), Instant(found.st_mtime)
    except OSError:
        return None
    finally:
        os.close(fd)


def _small(root: str, path: str) -> tuple[bytes, Instant]:
    """A small file whole, and its time; nothing where it cannot be read, or is no such file."""
    try:
        fd = open_below(root, path)
    except OSError:
        return b"", Instant(0.0)
    try:
        found = os.fstat(fd)
        is_plain = stat.S_ISREG(found.st_mode) and found.st_size <= _SMALL_MOST
        with open(fd, "rb", closefd=False) as file:
            return (file.read() if is_plain else b""), Instant(found.st_mtime)
    except OSError:
        return b"", Instant(0.0)
    finally:
        os.close(fd)


def _is_named(name: str, own: str) -> bool:
    return name == own or any(name == numbered(own, n) for n in range(2, _NAMES_MOST))


def _channel_folder(folder: str) -> str:
    parts = folder.split("/")
    return parts[1] if len(parts) > 1 else ""
