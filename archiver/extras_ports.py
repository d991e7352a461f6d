"""The sockets for extras: what asking for them, and giving them names, needs from outside.

Beside ``archiver.ports``, which is what videos need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from archiver.core.model import Holding, Instant, Shelf, VideoId
from archiver.core.rounds import Answer


class Asks(Protocol):
    """The small calls of the vendor's API; each may raise a Misfortune, or AuthError."""

    async def answer(self, video_id: VideoId, name: str) -> str:
        """One of the small answers about a video, as JSON."""
        ...

    async def caption(self, video_id: VideoId, language: str) -> bytes:
        """The text of a caption track."""
        ...

    async def metadata_fields(self) -> str:
        """The fields of the custom metadata, as JSON."""
        ...


class Picture(Protocol):
    """A picture, and what it really is."""

    @property
    def content(self) -> bytes:
        """All of its bytes."""
        ...

    @property
    def kind(self) -> str:
        """Its ending in the archive."""
        ...


class Pictures(Protocol):
    """Where thumbnails come from; may raise a Misfortune, or DestinationError."""

    async def picture(self, address: str) -> Picture:
        """Get a picture."""
        ...


class Named(Protocol):
    """A file under its final name."""

    @property
    def path(self) -> str:
        """Below DEST."""
        ...


class Small(Protocol):
    """The small files of an archive: ``adapters.publish.LocalVault``.

    Each may raise DestinationError.
    """

    async def put_small(self, path: str, content: bytes) -> Named:
        """Give a small file its final name, or one beside it."""
        ...

    async def read_small(self, path: str) -> bytes | None:
        """Read a small file; None where it cannot be read."""
        ...

    async def is_reachable(self, path: str) -> bool:
        """The folders of *path*, as far as they are there, can be entered: none is a link."""
        ...

    async def state_of(self, holding: Holding) -> bool | None:
        """The recorded file stands in its place: True; something else does: False; nothing: None.

        Reads it to its end.
        """
        ...

    async def secured(self, holding: Holding) -> bool | None:
        """As ``state_of``; where it is True, the file and its names are durable now."""
        ...

    async def restore_small(self, recorded: Holding, content: bytes) -> None:
        """Give the recorded bytes the recorded path; what else stands there is set aside."""
        ...


class Files(Protocol):
    """What the ledger knows of small files."""

    async def extra_files(self, video_id: int) -> list[Holding]:
        """Those of a video or a channel, oldest first."""
        ...

    async def text(self, path: str) -> bytes | None:
        """What a description said when it was recorded; None where that was not kept."""
        ...

    async def lost(self, number: int | None = None) -> list[Holding]:
        """Those that are known not to stand as they were recorded."""
        ...

    async def regain(self, holding: Holding, at: Instant) -> None:
        """A lost one stands in its place again."""
        ...

    async def give_up(self, number: int, at: Instant) -> None:
        """What is lost of a video or a channel did not come, though all was asked for."""
        ...

    async def intend(self, holding: Holding) -> None:
        """A file is about to get its name."""
        ...

    async def placed(self, holding: Holding, answer: str, at: Instant) -> None:
        """It has its name; *answer* need not be asked for again."""
        ...

    async def keep_answer(self, video_id: int, name: str, raw: str, at: Instant) -> None:
        """Keep an answer."""
        ...


class Memory(Files, Protocol):
    """What the ledger keeps of extras."""

    async def shelf(self, video_id: VideoId) -> Shelf:
        """See ``ports.Ledger``."""
        ...

    async def answers(self, video_id: int) -> Mapping[str, Answer]:
        """What was answered so far."""
        ...

    async def keep_answer(self, video_id: int, name: str, raw: str, at: Instant) -> None:
        """Keep an answer."""
        ...
