"""The texts that make the archive a BagIt bag: what `sha256sum -c` and any validator can read.

Rule: no name in the archive needs encoding.  RFC 8493 writes ``%``, CR and LF as ``%25``, ``%0D``
and ``%0A``, and the most used validator does not decode the first; so there are no such names.
Source: RFC 8493, 2.1.1 to 2.2.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from archiver.core.model import Instant
from archiver.core.naming import display
from archiver.core.summary import iso

BAGIT = "bagit.txt"
BAG_INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
INVENTORY = "inventory.csv"
COMPLETENESS = "completeness.txt"
TAG_FILES = (BAGIT, BAG_INFO, MANIFEST, TAG_MANIFEST)  # every bag of ours has them
RECORDS = (INVENTORY, COMPLETENESS)  # further tag files, for people
DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

ARCHIVE_ID = "External-Identifier"

_LINE = re.compile(r"([0-9a-fA-F]{64})[ \t]+\*?(.+)", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Contact:
    """Whose archive it is, for ``bag-info.txt``; None says nothing new, "" takes it out."""

    organization: str | None = None
    contact_name: str | None = None
    contact_email: str | None = None
    contact_phone: str | None = None
    description: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """What is told, by the names of RFC 8493."""
        told = {
            "Source-Organization": self.organization, "Contact-Name": self.contact_name,
            "Contact-Email": self.contact_email, "Contact-Phone": self.contact_phone,
            "External-Description": self.description,
        }  # fmt: skip
        return {name: text for name, text in told.items() if text is not None}


NO_NEWS = Contact()
_CONTACT = frozenset(Contact("", "", "", "", "").fields)


def manifest_line(sha256: str, path: str) -> str:
    """Return one line of a manifest: the hash, two spaces, the path below the bag.

    Raises:
        ValueError: not a SHA-256, or a path that would need encoding: our bug.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a SHA-256: {sha256!r}")
    if not path or set(path) & set("%\r\n\\"):
        raise ValueError(f"a path that no manifest can hold: {path!r}")
    return f"{sha256}  {path}\n"


def parse_line(line: str) -> tuple[str, str] | None:
    """Return hash and path of a manifest's line; None where it is none."""
    match = _LINE.fullmatch(line.rstrip("\r\n"))
    return (match[1].lower(), match[2]) if match else None


def bag_info(
    count: int,
    total_bytes: int,
    at: Instant,
    agent: str,
    contact: Mapping[str, str] | None = None,
) -> str:
    """Return ``bag-info.txt``.

    Args:
        count: of payload files; with *total_bytes* it gives the Payload-Oxum, the quick check.
        at: the Bagging-Date, as a day in UTC.
        agent: the program and its version.
        contact: further fields by their names, such as Source-Organization or Contact-Email.
    """
    fields = {
        "Bag-Software-Agent": agent,
        "Bagging-Date": (iso(at) or "1970-01-01")[:10],
        "Payload-Oxum": f"{total_bytes}.{count}",
        **(contact or {}),
    }
    shown = {name: display(text) for name, text in fields.items()}
    return "".join(f"{name}: {text}\n" for name, text in sorted(shown.items()) if text)


def contact_in(info: str) -> dict[str, str]:
    """Whose archive it is, by a ``bag-info.txt`` of ours."""
    fields = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    return {name: text for name, text in fields.items() if name in _CONTACT}


def undated(info: str) -> str:
    """Return *info* without its Bagging-Date: a bag in which nothing else changed is the same."""
    return "".join(
        line for line in info.splitlines(keepends=True) if not line.startswith("Bagging-Date:")
    )


def tag_manifest(hashes: Mapping[str, str]) -> str:
    """Return ``tagmanifest-sha256.txt`` over the other tag files.

    Args:
        hashes: the SHA-256 of each tag file by its name.
    """
    return "".join(manifest_line(hashes[name], name) for name in sorted(hashes))
