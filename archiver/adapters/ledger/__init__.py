"""The durable memory in one SQLite file: one writer, grouped commits, plain questions."""

from archiver.adapters.ledger.catalogue import ALL, Entry, Filter
from archiver.adapters.ledger.filesystem import is_local
from archiver.adapters.ledger.intake import Namer, Place
from archiver.adapters.ledger.sqlite import SqliteLedger

__all__ = ["ALL", "Entry", "Filter", "Namer", "Place", "SqliteLedger", "is_local"]
