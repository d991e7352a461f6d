"""What lies where in the private folder of an archive."""

from __future__ import annotations

from archiver.core.naming import display
from archiver.errors import DestinationError
from archiver.met import met

PRIVATE = ".archiver"
ID_FILE = "archive-id"


def no_identity(path: str) -> DestinationError:
    """What a person is told of an archive at *path* without its ``archive-id``."""
    met("O09")
    return DestinationError(
        f"The archive in {display(path)} has lost its {PRIVATE}/{ID_FILE}.",
        f"Is the right disk mounted? If it is, restore {PRIVATE} from a copy.",
    )
