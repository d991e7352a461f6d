"""Writes the bag around the payload: manifest, bag-info and, last, the manifest of the tag files.

Rule 1: holdings stream through; a million of them need no more memory than one.
Rule 2: a bag in which nothing changed is not touched.
Rule 3: the tag manifest comes last, so that a crash before it is seen by any validator.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import Protocol

from archiver import __version__
from archiver.core import bag
from archiver.core.model import Holding, Instant

CHUNK_LINES = 1_000  # about 200 KB of text a write

AGENT = f"archiver {__version__}"


class TagFiles(Protocol):
    """Where tag files are written: ``adapters.publish.LocalVault``."""

    async def write_tag_file(self, path: str, chunks: AsyncIterable[str] | Iterable[str]) -> str:
        """Replace a tag file unless it is the same; return its SHA-256."""
        ...

    async def read_small(self, path: str) -> bytes | None:
        """Read a small file below DEST; None where there is none."""
        ...


async def write_bag(
    vault: TagFiles,
    holdings: AsyncIterable[Holding] | Iterable[Holding],
    now: Instant,
    contact: Mapping[str, str] | None = None,
) -> None:
    """Make the archive a valid bag of exactly these holdings.

    Args:
        holdings: every payload file, each path once; best in the order of the paths, since then
            the same archive gives the same manifest.
        now: dates the bag, if anything changed.
        contact: further fields of ``bag-info.txt``, such as Source-Organization.
    """
    lines = _Lines(holdings)
    hashes = {
        bag.BAGIT: await vault.write_tag_file(bag.BAGIT, [bag.DECLARATION]),
        bag.MANIFEST: await vault.write_tag_file(bag.MANIFEST, lines.chunks()),
    }
    info = bag.bag_info(lines.count, lines.bytes, now, AGENT, contact)
    old = (await vault.read_small(bag.BAG_INFO) or b"").decode(errors="replace")
    old_tags = (await vault.read_small(bag.TAG_MANIFEST) or b"").decode(errors="replace")
    same = bag.manifest_line(hashes[bag.MANIFEST], bag.MANIFEST) in old_tags
    if same and bag.undated(old) == bag.undated(info):
        info = old  # only the date would differ
    hashes[bag.BAG_INFO] = await vault.write_tag_file(bag.BAG_INFO, [info])
    await vault.write_tag_file(bag.TAG_MANIFEST, [bag.tag_manifest(hashes)])


class _Lines:
    """The manifest's text in chunks, counted on its way."""

    def __init__(self, holdings: AsyncIterable[Holding] | Iterable[Holding]) -> None:
        self._holdings = holdings
        self.count = self.bytes = 0

    async def chunks(self) -> AsyncIterator[str]:
        lines: list[str] = []
        async for holding in _each(self._holdings):
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
