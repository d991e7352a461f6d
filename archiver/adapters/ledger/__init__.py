"""The durable memory in one SQLite file: one writer, grouped commits, plain questions."""

from archiver.adapters.ledger.adoption import Gathered
from archiver.adapters.ledger.catalogue import ALL, Entry, Filter
from archiver.adapters.ledger.intake import Namer, Place
from archiver.adapters.ledger.sqlite import SqliteLedger
from archiver.adapters.ledger.standing import Standing
from archiver.adapters.mounts import is_local

__all__ = [
    "ALL", "Entry", "Filter", "Gathered", "Namer", "Place", "SqliteLedger", "Standing", "is_local",
]  # fmt: skip
