"""What stands beside the videos: captions, pictures, later descriptions, and what is a channel's.

Rule: a file is taken for ours where its name begins as its folder does; what it is, its name says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from archiver.care.gathering import described, read_seen, sidecars, told_captions
from archiver.core.extras import captions
from archiver.core.model import DESCRIPTIONS, Holding, VideoId
from archiver.core.naming import language_slug

_NUMBER = re.compile(r"\[(\d{1,19})\]")
_AGAIN = r"(?: \(\d{1,2}\))?"  # beside a stranger's file
_VIDEOS = re.compile(
    rf"(?: r(?P<revision>\d{{1,4}}))?(?:{_AGAIN}\.(?P<picture>jpg|png|webp)"
    rf"|(?:\.(?P<language>[a-z0-9-]{{1,10}})){_AGAIN}\.vtt|{_AGAIN}\.(?P<details>info\.json))"
)
_CHANNELS = re.compile(rf"channel(?: r(?P<revision>\d{{1,4}}))?{_AGAIN}\.info\.json")


def extras(
    root: str, paths: Iterable[str], manifest: Mapping[str, str], known: Mapping[str, VideoId]
) -> Iterator[Holding]:
    """The holdings that *paths* are, without those that are damaged or none of ours.

    Args:
        known: files that were taken in already, which are passed over, and folders, each with the
            video that it is of; without one, the name of the folder tells.
    """
    languages = _Languages(root)
    for path in paths:
        folder = path.rpartition("/")[0]
        named = None if path in known else _named(path, known.get(folder))
        seen = None if named is None else read_seen(root, path)
        if named is None or seen is None:
            continue
        size, sha256, at = seen
        if manifest.get(path, sha256) != sha256:
            continue  # how long the right one was, nobody knows any more
        number, kind, variant, version = named
        if kind == "caption":
            variant = languages.of(folder, variant)
        held = Holding(number, kind, variant, version, path, size, sha256, at, '{"found": true}')
        yield described(root, held) if kind in DESCRIPTIONS else held


class _Languages:
    """What the languages of captions are called that a name has only in small letters."""

    def __init__(self, root: str) -> None:
        self._root, self._folder = root, ""
        self._known: dict[str, str] = {}

    def of(self, folder: str, slug: str) -> str:
        """The language that descriptions in *folder* have for *slug*."""
        if folder != self._folder:
            self._folder, self._known = folder, dict(self._told(folder))
        return self._known.get(slug, slug)

    def _told(self, folder: str) -> Iterator[tuple[str, str]]:
        for path in sorted(sidecars(self._root, folder)):
            tracks = captions(told_captions(self._root, path))
            yield from ((language_slug(each.language), each.language) for each in tracks)


def _named(path: str, of: VideoId | None) -> tuple[VideoId, str, str, int] | None:
    """Number, kind, variant and version, as the name says; None where it says no such thing."""
    folder, _, name = path.rpartition("/")
    stem = folder.rpartition("/")[2]
    numbers = _NUMBER.findall(stem)
    if not numbers or not folder.startswith("data/"):
        return None
    number = VideoId(int(numbers[-1])) if of is None else of
    found = _CHANNELS.fullmatch(name)
    if found is not None and folder.count("/") == 1:
        return number, "channel", "json", int(found["revision"] or 1)
    found = _VIDEOS.fullmatch(name.removeprefix(stem)) if name.startswith(stem) else None
    if found is None:
        return None
    version = int(found["revision"] or 1)
    if found["picture"]:
        return number, "thumbnail", found["picture"], version
    if found["language"]:
        return number, "caption", found["language"], version
    return (number, "details", "json", version) if version > 1 else None
