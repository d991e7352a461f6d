"""Writes the bag around the payload: manifest, bag-info and, last, the manifest of the tag files.

Rule 1: holdings stream through; a million of them need no more memory than one.
Rule 2: a bag in which nothing changed is not touched.
Rule 3: the tag manifest comes last, so that a crash before it is seen by any validator.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeAlias, TypeVar

import anyio

from archiver.core import bag
from archiver.core.model import Holding, Instant
from archiver.errors import CrowdedError
from archiver.records.marks import Made, Marks, Unmarked
from archiver.version import __version__

T = TypeVar("T")
Holdings: TypeAlias = Callable[[], AsyncIterable[Holding] | Iterable[Holding]]
Texts: TypeAlias = Callable[[], AsyncIterable[str] | Iterable[str]]  # the same whenever called
CROWDED_TRIES, CROWDED_PAUSE_S = 5, 0.2  # somebody holds our last descriptors for a moment
CHUNK_LINES = 1_000  # about 200 KB of text a write

AGENT = f"archiver {__version__}"


class TagFiles(Protocol):
    """Where tag files are written: ``adapters.publish.LocalVault``."""

    @property
    def archive_id(self) -> str:
        """What tells this archive from every other."""
        ...

    async def write_tag_file(self, path: str, chunks: AsyncIterable[str] | Iterable[str]) -> str:
        """Replace a tag file unless it is the same; return its SHA-256."""
        ...

    async def read_small(self, path: str) -> bytes | None:
        """Read a small file below DEST; None where there is none."""
        ...


async def write_bag(
    vault: TagFiles,
    holdings: Holdings,
    now: Instant,
    contact: Mapping[str, str] | None = None,
    further: Mapping[str, Texts] | None = None,
    marks: Marks | None = None,
) -> None:
    """Make the archive a valid bag of exactly these holdings.

    Args:
        holdings: gives every payload file, each path once, whenever it is called; best in the
            order of the paths, since then the same archive gives the same manifest.
        now: dates the bag, if anything changed.
        contact: further fields of ``bag-info.txt``, such as Source-Organization.
        further: other tag files by their names.
        marks: knows which of them need not be made anew.
    """
    marks, lines = marks or Unmarked(), _Lines(holdings)
    hashes = {bag.BAGIT: await _put(vault, bag.BAGIT, lambda: [bag.DECLARATION])}
    manifest = await _made(vault, marks, bag.MANIFEST, lines.chunks, lines)
    hashes[bag.MANIFEST] = manifest.sha256
    for name, texts in (further or {}).items():
        hashes[name] = (await _made(vault, marks, name, texts)).sha256
    info = bag.bag_info(manifest.count, manifest.bytes, now, AGENT, contact)
    old = (await _patiently(lambda: vault.read_small(bag.BAG_INFO)) or b"").decode(errors="replace")
    old_tags = (await _patiently(lambda: vault.read_small(bag.TAG_MANIFEST)) or b"").decode(
        errors="replace"
    )
    same = bag.manifest_line(hashes[bag.MANIFEST], bag.MANIFEST) in old_tags
    if same and bag.undated(old) == bag.undated(info):
        info = old  # only the date would differ
    hashes[bag.BAG_INFO] = await _put(vault, bag.BAG_INFO, lambda: [info])
    await _put(vault, bag.TAG_MANIFEST, lambda: [bag.tag_manifest(hashes)])


async def _made(
    vault: TagFiles, marks: Marks, name: str, text: Texts, lines: _Lines | None = None
) -> Made:
    """Write a tag file, unless it stands there as it was made last."""
    stands = await marks.standing(name)
    if stands is not None:
        return stands
    await marks.begin(name)
    sha256 = await _put(vault, name, text)
    made = Made(sha256) if lines is None else Made(sha256, lines.count, lines.bytes)
    await marks.keep(name, made)
    return made


async def _put(vault: TagFiles, path: str, text: Texts) -> str:
    """Write a tag file; where no file can be opened for a moment, all of it again."""
    return await _patiently(lambda: vault.write_tag_file(path, text()))


async def _patiently(step: Callable[[], Awaitable[T]]) -> T:
    for _ in range(CROWDED_TRIES - 1):
        try:
            return await step()
        except CrowdedError:
            await anyio.sleep(CROWDED_PAUSE_S)
    return await step()


class _Lines:
    """The manifest's text in chunks, counted on its way."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self.count = self.bytes = 0

    async def chunks(self) -> AsyncIterator[str]:
        self.count = self.bytes = 0  # it may be for another try
        lines: list[str] = []
        async for holding in _each(self._holdings()):
            lines.append(bag.manifest_line(holding.sha256, holding.path))
            self.count += 1
            self.bytes += holding.bytes
            if len(lines) == CHUNK_LINES:
                yield "".join(lines)
                lines.clear()
        if lines:
            yield "".join(lines)


async def _each(holdings: AsyncIterable[Holding] | Iterable[Holding]) -> AsyncIterator[Holding]:
    if isinstance(holdings, AsyncIterable):
        async for holding in holdings:
            yield holding
        return
    for holding in holdings:
        yield holding
