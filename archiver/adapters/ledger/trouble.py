"""What SQLite's trouble with the ledger is called, and whether it means damage."""

from __future__ import annotations

import sqlite3

from archiver.errors import DestinationError, LedgerLostError
from archiver.met import met

# A message of SQLite's may quote a damaged name, which Python then cannot read.
TROUBLE = (sqlite3.Error, UnicodeDecodeError)
# In a file that is only being opened, a length that no memory holds is a damaged one.
REFUSED = (*TROUBLE, MemoryError)
# What SQLite says where a damaged page was taken for a sound one.
_SYMPTOMS = (
    "malformed", "no such table", "no such column", "already exists", "unsupported file",
)  # fmt: skip


def refusal(
    error: OSError | sqlite3.Error | UnicodeDecodeError | MemoryError,
) -> DestinationError:
    """What a person is told when SQLite or the system refuses the ledger."""
    if isinstance(error, OSError):
        return DestinationError(f"The ledger cannot be opened: {error.strerror}.")
    if isinstance(error, MemoryError):
        return damaged("there is a length in it that is none")
    if isinstance(error, UnicodeDecodeError):
        return damaged("there is text in it that is none")
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(str(error))
    if "decode" in str(error):  # it quotes what it could not read
        return damaged("there is text in it that is none")
    if any(word in str(error).lower() for word in _SYMPTOMS):
        return damaged(str(error))
    if name == "SQLITE_FULL":
        return DestinationError("The disk is full: the ledger cannot be written.", "Make room.")
    if name.startswith("SQLITE_BUSY"):
        return DestinationError("The ledger is held by another program.", "Try again later.")
    return DestinationError(f"The ledger cannot be used: {error}.")


def told(error: BaseException) -> BaseException:
    """What a caller hears: SQLite's trouble in our words, everything else as it is."""
    if isinstance(error, sqlite3.DatabaseError | UnicodeDecodeError) and not isinstance(
        error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)
    ):
        answer = refusal(error)
        answer.__cause__ = error
        return answer
    return error


def told_asking(error: BaseException) -> BaseException:
    """The same of a question.  It writes nothing but the run's selection, among temporary files."""
    if getattr(error, "sqlite_errorname", "") != "SQLITE_FULL":
        return told(error)
    answer = DestinationError(
        "The disk of temporary files is full: the selection of this run has no room there.",
        "Make room, or name another folder in SQLITE_TMPDIR.",
    )
    answer.__cause__ = error
    return answer


def damaged(how: str) -> LedgerLostError:
    """The ledger has to be rebuilt; *how* says why."""
    met("L31")
    return LedgerLostError(f"The ledger is damaged: {how}.")
