"""The history of an archive: from its ledger and from the log of its verifications."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from archiver.adapters.check_log import checks
from archiver.adapters.places import ID_FILE, PRIVATE
from archiver.core.model import NOW, Instant
from archiver.errors import ArchiverError
from archiver.reading import asking
from archiver.records.history import Happening, check
from archiver.records.premis import Document


async def history(
    dest: str, *, since: Instant = NOW, at_once: bool = False
) -> AsyncGenerator[Happening, None]:
    """What happened to the files of the archive in *dest*, in the order of time.

    Args:
        at_once: see ``archiver.reading``.

    Raises:
        DestinationError: there is no archive.
    """
    waiting = [each for each in _checks(dest) if each.at >= since]
    waiting.reverse()
    async with asking(dest, at_once=at_once) as ledger, aclosing(ledger.happenings(since)) as rows:
        async for each in rows:
            while waiting and waiting[-1].at <= each.at:
                yield waiting.pop()
            yield each
    while waiting:
        yield waiting.pop()


async def premis(dest: str, *, at_once: bool = False) -> AsyncGenerator[str, None]:
    """The history as PREMIS 3.0, in chunks of text.

    Args:
        at_once: see ``archiver.reading``.

    Raises:
        DestinationError: there is no archive.
        ArchiverError: it holds nothing yet, and a PREMIS document has to be about something.
    """
    async with asking(dest, at_once=at_once) as ledger:
        if not (await ledger.holdings_count_bytes())[0]:
            raise ArchiverError("Nothing is archived there yet.", "Run `archiver run` first.")
        name = (Path(dest) / PRIVATE / ID_FILE).read_text().strip()
        document = Document(name, _checks(dest))
        async for chunk in document.chunks(ledger.holdings(), ledger.happenings()):
            yield chunk


def _checks(dest: str) -> list[Happening]:
    return [check(number, told) for number, told in enumerate(checks(dest), 1)]
