"""A body that came encoded although it was asked not to be: decoded where there is no other way.

Rule 1: encoded bytes are never stored, and what was decoded is never gone on with: no offset of one
says anything about an offset of the other.
Rule 2: video does not shrink: a body that grows beyond all measure is a bomb.
"""

from __future__ import annotations

import zlib

from archiver.adapters.download_body import Body
from archiver.errors import BrokenError, CorruptError
from archiver.met import met

PIECE = 256 * 1024  # decoded at once: what a bomb may cost in memory
GROWTH_MOST = 20  # decoded bytes for each encoded one; a bomb has 1,000
GROWTH_FREE = 1024 * 1024  # so many always pass: a small file of zeros is no bomb
_GZIP = 16 + zlib.MAX_WBITS


class DecodedBody:
    """Gives the decoded bytes of a gzip body, with the same promises as ``Body``."""

    def __init__(self, body: Body, origin: str) -> None:
        self._body, self._origin = body, origin
        self._decoder = zlib.decompressobj(_GZIP)
        self._came = self._gave = 0

    async def piece(self) -> bytes:
        """The next decoded bytes; nothing at the end, which the encoding itself confirms.

        Raises:
            BrokenError: as ``Body``; or it ended too early, or is not what it says.
            CorruptError: it grows beyond measure, or more follows its end.
        """
        piece = b""
        while not piece and not self._decoder.eof:
            piece = self._decoded(self._decoder.unconsumed_tail or await self._more())
        self._gave += len(piece)
        if self._gave > GROWTH_FREE + GROWTH_MOST * self._came:
            met("D20")
            raise CorruptError(f"{self._origin}: the encoded file grows beyond measure")
        if not piece and (self._decoder.unused_data or await self._body.piece()):
            raise CorruptError(f"{self._origin}: more follows the end of the encoded file")
        return piece

    async def first(self, count: int) -> bytes:
        """At least *count* bytes from the beginning, fewer only where there are no more."""
        found = b""
        while len(found) < count and (piece := await self.piece()):
            found += piece
        return found

    async def _more(self) -> bytes:
        piece = await self._body.piece()
        if not piece:
            raise BrokenError(f"{self._origin}: the encoded file ends too early")
        self._came += len(piece)
        return piece

    def _decoded(self, piece: bytes) -> bytes:
        try:
            return self._decoder.decompress(piece, PIECE)
        except zlib.error as error:
            raise BrokenError(f"{self._origin}: the encoding is damaged") from error
