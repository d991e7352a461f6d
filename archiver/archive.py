"""The work, by one name each: what the commands call, and the library for other programs.

``run`` archives, ``plan`` says what it would do, ``retry`` puts parked videos back, ``repair`` has
damaged files fetched again; ``login`` and ``logout`` see to credentials; the others answer
questions.  Each raises ``archiver.errors.ArchiverError`` where a person must act.

Rule: a name is imported when it is first asked for, so that each command loads its own work alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from archiver.chronicle import history, premis
    from archiver.doctor import Check, doctor
    from archiver.expectation import PlanReport
    from archiver.forecast import plan
    from archiver.login import Identity, Stored, login, logout, whoami
    from archiver.night import run
    from archiver.questions import CatalogueRow, StatusReport, catalogue, status
    from archiver.run_options import RunOptions
    from archiver.upkeep import VerifyReport, repair, retry, verify

__all__ = [
    "CatalogueRow", "Check", "Identity", "PlanReport", "RunOptions", "StatusReport", "Stored",
    "VerifyReport", "catalogue", "doctor", "history", "login", "logout", "plan", "premis", "repair",
    "retry", "run", "status", "verify", "whoami",
]  # fmt: skip

_ROOMS: Final = {
    "chronicle": ("history", "premis"), "doctor": ("Check", "doctor"),
    "expectation": ("PlanReport",),
    "forecast": ("plan",),
    "login": ("Identity", "Stored", "login", "logout", "whoami"), "night": ("run",),
    "questions": ("CatalogueRow", "StatusReport", "catalogue", "status"),
    "run_options": ("RunOptions",), "upkeep": ("VerifyReport", "repair", "retry", "verify"),
}  # fmt: skip
_ROOM_OF: Final = {name: room for room, names in _ROOMS.items() for name in names}


if not TYPE_CHECKING:  # a checker would believe any name then

    def __getattr__(name: str) -> Any:
        """The work called *name*."""
        if name not in _ROOM_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"archiver.{_ROOM_OF[name]}"), name)
