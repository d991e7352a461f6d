"""Who passes questions on to a ledger's file; ``AtOnce`` for those who have nothing else to do."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

from archiver.adapters.ledger.still import ReadFile, Work
from archiver.adapters.ledger.trouble import TROUBLE, told

T = TypeVar("T")


class Asked(Protocol):
    """A way to a ledger's file."""

    @property
    def is_damaged(self) -> bool:
        """Something was met that no ledger of ours can hold."""
        ...

    async def read(self, work: Work[T]) -> T:
        """What *work* finds between two commits.

        Raises:
            DestinationError: the file is damaged or cannot be read.
        """
        ...

    async def close(self) -> None:
        """Let go of the file."""
        ...


class AtOnce:
    """Answers in the thread of whoever asks, who waits meanwhile: no event loop is needed.

    Raises:
        DestinationError: there is none, it is damaged, or newer than this program.
    """

    is_damaged = False

    def __init__(self, path: Path) -> None:
        self._file = ReadFile(path)

    async def read(self, work: Work[T]) -> T:
        """See ``Asked``."""
        try:
            return self._file.answer(work)
        except TROUBLE as error:
            raise told(error) from error

    async def close(self) -> None:
        """See ``Asked``."""
        self._file.close()
