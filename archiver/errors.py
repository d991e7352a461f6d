"""What may go wrong, and whose turn it is then.

Misfortune                   expected; `perform` turns it into an event, nobody else catches
├── WeatherError             the host, the line or the account; not this file's fault
├── NotFoundError            404
├── DeniedError              402, 403 from the API
├── BadAnswerError           the API answered with something that is no answer
├── LinkRefusedError         the download host refuses the address
├── BrokenError              the transfer broke; what was saved stays
└── CorruptError             the bytes are not the file; start from 0
ArchiverError                a person must act: one sentence, a hint, an exit code
├── SettingsError (2)  ├── AuthError (3)  ├── DestinationError (4)  └── ListingError (1)
                                                   ├── CrowdedError
                                                   ├── TooLargeError
                                                   └── LedgerLostError
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # the program's first word, and its last, need no nouns
    from archiver.core.model import Instant


class ArchiverError(Exception):
    """A person must act.  The message is one sentence; ``hint`` says what to do."""

    exit_code: ClassVar[int] = 1
    hint: str = ""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.hint


class SettingsError(ArchiverError):
    """Wrong usage or settings."""

    exit_code = 2


class AuthError(ArchiverError):
    """The credentials were refused, or there are none."""

    exit_code = 3
    hint = "Check ARCHIVER_CLIENT_ID and ARCHIVER_CLIENT_SECRET, then run `archiver doctor`."


class DestinationError(ArchiverError):
    """The destination cannot be used: locked, not writable, not a folder, full, damaged."""

    exit_code = 4


class CrowdedError(DestinationError):
    """No more files can be opened just now; whoever has fewer hands at work may go on."""

    hint = "Raise the limit (ulimit -n), or lower --downloads."


class TooLargeError(DestinationError):
    """This file is larger than the file system takes; others it takes."""

    hint = "FAT disks hold no file above 4 GiB: use another file system."


class LedgerLostError(DestinationError):
    """The ledger is damaged or missing beside an archive's files, from which it can be rebuilt."""

    hint = (
        "The next `archiver run`, or `archiver verify DEST --repair`, rebuilds it from the "
        "archive's files; nothing of them is lost."
    )


class ListingError(ArchiverError):
    """A listing that cannot be believed: empty, or half of what it was."""

    exit_code = 1


class Misfortune(Exception):  # noqa: N818  a misfortune is no error of ours
    """Something expected went wrong outside."""


class WeatherError(Misfortune):
    """A host, the line or the account is in trouble; no file is to blame.

    ``host`` is the origin concerned; ``retry_at`` is when the host said to come back, if it did;
    ``sent`` is False where the request surely had no effect: it never left, or was refused.
    """

    def __init__(
        self, host: str, reason: str, retry_at: Instant | None = None, *, sent: bool = True
    ) -> None:
        super().__init__(reason)
        self.host, self.retry_at, self.sent = host, retry_at, sent


class NotFoundError(Misfortune):
    """404: the vendor does not know it."""


class DeniedError(Misfortune):
    """402 or 403 from the API: the account may not have this file."""


class BadAnswerError(Misfortune):
    """The API's answer is no JSON object of the expected kind."""


class LinkRefusedError(Misfortune):
    """401, 403, 404, 410 or a page of text instead of the file: the address is dead."""


class BrokenError(Misfortune):
    """The transfer ended early, stalled or answered nonsense; saved bytes stay good."""


class CorruptError(Misfortune):
    """What was saved is not the file, or changed under way: the next fetch starts from byte 0."""


def only(error: BaseException) -> BaseException:
    """The one thing that a person must act on, out of what several tasks raised at once."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = list(_leaves(error))
    ours = [leaf for leaf in leaves if isinstance(leaf, ArchiverError)]
    return ours[0] if len(ours) == len(leaves) else error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
