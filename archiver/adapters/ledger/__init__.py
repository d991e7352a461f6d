"""The durable memory in one SQLite file: one writer, grouped commits, plain questions.

Rule: a name is imported when it is first asked for: a question does without the writer, which
needs an event loop.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from archiver.adapters.ledger.adoption import Gathered
    from archiver.adapters.ledger.catalogue import ALL, Entry, Filter
    from archiver.adapters.ledger.intake import Namer, Place
    from archiver.adapters.ledger.reader import Reader
    from archiver.adapters.ledger.sqlite import SqliteLedger
    from archiver.adapters.ledger.standing import Standing
    from archiver.adapters.mounts import is_local

__all__ = [
    "ALL", "Entry", "Filter", "Gathered", "Namer", "Place", "Reader", "SqliteLedger", "Standing",
    "is_local",
]  # fmt: skip

_ROOM_OF: Final = {
    "ALL": "ledger.catalogue", "Entry": "ledger.catalogue", "Filter": "ledger.catalogue",
    "Gathered": "ledger.adoption", "Namer": "ledger.intake", "Place": "ledger.intake",
    "Reader": "ledger.reader", "SqliteLedger": "ledger.sqlite", "Standing": "ledger.standing",
    "is_local": "mounts",
}  # fmt: skip


if not TYPE_CHECKING:  # a checker would believe any name then

    def __getattr__(name: str) -> Any:
        if name not in _ROOM_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"archiver.adapters.{_ROOM_OF[name]}"), name)
