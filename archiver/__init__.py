"""Saves every video of an IBM Video Streaming account, byte for byte, on the owner's own disk.

For programs: ``async with Archive.open(folder, account=...) as archive``; see ``docs/library.md``.
The names below and ``archiver.events`` are public; every other module may change at any time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from archiver.version import __version__

if TYPE_CHECKING:
    from archiver.front_door import (
        Account,
        Archive,
        ArchiverError,
        AuthError,
        Contact,
        DestinationError,
        Filter,
        Instant,
        ListingError,
        Run,
        RunEvent,
        RunOptions,
        Secret,
        SettingsError,
        Summary,
        load_account,
    )

__all__ = [
    "Account", "Archive", "ArchiverError", "AuthError", "Contact", "DestinationError", "Filter",
    "Instant", "ListingError", "Run", "RunEvent", "RunOptions", "Secret", "SettingsError",
    "Summary", "__version__", "load_account",
]  # fmt: skip


if not TYPE_CHECKING:  # a checker would believe any name then

    def __getattr__(name: str) -> Any:
        """A public name, imported when it is first asked for: ``archiver --help`` needs none."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("archiver.front_door"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
