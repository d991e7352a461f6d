"""What happened to the files of the archive, in the words of PREMIS, as JSON lines.

The words are those of the Library of Congress's vocabulary of event types
(id.loc.gov/vocabulary/preservation/eventType), where it has one for what happened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from archiver.core.model import Instant, JobKey, VideoId
from archiver.core.summary import iso

CHECKED = "Verified"  # an entry that a verification left, not the ledger
TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "Fetched": ("capture", "message digest calculation"),
    "Stored": ("ingestion",), "Superseded": ("ingestion",), "Found": ("ingestion",),
    "Placed": ("capture", "message digest calculation", "ingestion"),
    "Rewritten": ("recovery",), "Damaged": ("fixity check",), CHECKED: ("fixity check",),
    "Renamed": ("metadata modification",), "NotFound": ("deaccession",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the history.

    Attributes:
        number: within its source: the ledger, or the log of verifications.
        key: the wanted file that it is about; of a verification, that of no video.
        name: the fact, as the code calls it.
        detail: all that was recorded of it.
        path: where that file stands, if it does.
    """

    number: int
    at: Instant
    key: JobKey
    name: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    path: str | None = None

    @property
    def types(self) -> tuple[str, ...]:
        """What PREMIS calls it; nothing for steps on the way that touch no file."""
        return TYPES.get(self.name, ())

    @property
    def paths(self) -> tuple[str, ...]:
        """The stored files that it is about, below DEST."""
        if self.name in ("Placed", "Rewritten"):
            held: Any = [self.detail]
        else:
            held = self.detail.get("findings" if self.name == CHECKED else "holdings", ())
        told = dict.fromkeys(str(each["path"]) for each in held if each.get("path"))
        return tuple(told) or (() if self.path is None else (self.path,))

    @property
    def is_good(self) -> bool | None:
        """How a comparison of hashes ended; None where there was none."""
        if self.name == CHECKED:
            return not self.detail.get("findings")
        return False if self.name == "Damaged" else None

    def as_json(self) -> dict[str, Any]:
        """One line of ``events --json``."""
        is_check = self.name == CHECKED
        return {
            "schema": 1, "at": iso(self.at), "event": self.name.lower(),
            "premis": list(self.types), "id": None if is_check else str(self.key.video_id),
            "kind": None if is_check else self.key.kind,
            "format": None if is_check else self.key.variant,
            "version": None if is_check else self.key.version, "detail": dict(self.detail),
        }  # fmt: skip


def happening(
    number: int, at: float, key: JobKey, name: str, payload: str, path: str | None = None
) -> Happening:
    """A row of the ledger's event log."""
    try:
        detail = json.loads(payload)
    except (ValueError, RecursionError):
        detail = {"text": payload}
    detail = detail if isinstance(detail, dict) else {"text": detail}
    return Happening(number, Instant(at), key, name, detail, path)


def check(number: int, told: Mapping[str, Any]) -> Happening:
    """An entry of the log of verifications."""
    detail = {name: value for name, value in told.items() if name != "at"}
    return Happening(number, Instant(told["at"]), JobKey(VideoId(0), ""), CHECKED, detail)
