"""The work, by one name each: what the commands call, and the library for other programs.

``run`` archives, ``plan`` says what it would do, ``retry`` puts parked videos back, ``repair`` has
damaged files fetched again; ``login`` and ``logout`` see to credentials; the others answer
questions.  Each raises ``archiver.errors.ArchiverError`` where a person must act.
"""

from __future__ import annotations

from archiver.chronicle import history, premis
from archiver.doctor import Check, doctor
from archiver.forecast import PlanReport, plan
from archiver.login import Identity, Stored, login, logout, whoami
from archiver.night import run
from archiver.opening import RunOptions
from archiver.questions import (
    CatalogueRow,
    StatusReport,
    VerifyReport,
    catalogue,
    repair,
    retry,
    status,
    verify,
)

__all__ = [
    "CatalogueRow", "Check", "Identity", "PlanReport", "RunOptions", "StatusReport", "Stored",
    "VerifyReport", "catalogue", "doctor", "history", "login", "logout", "plan", "premis", "repair",
    "retry", "run", "status", "verify", "whoami",
]  # fmt: skip
