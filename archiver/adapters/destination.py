"""The folder that holds an archive: made once, recognised ever after, and otherwise refused.

Rule 1: nothing is written into a folder that is neither empty nor an archive.
Rule 2: ``archive-id`` comes last when an archive is made; where it is missing beside a ledger,
something else is mounted there, or it was damaged, and a person has to look.
Rule 3: no archive is begun where a disk belongs that is not mounted: it would fill another one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

from archiver.adapters.causes import refusal
from archiver.adapters.disk import FOLDER_MODE, Os, exists, open_own
from archiver.adapters.mounts import is_local, unmounted
from archiver.adapters.places import ID_FILE, no_identity
from archiver.adapters.places import PRIVATE as PRIVATE  # kept importable from here
from archiver.core.bag import TAG_FILES
from archiver.core.naming import display
from archiver.errors import DestinationError
from archiver.met import met

_LEDGER = "ledger.sqlite3"
_ID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n")
# What a freshly made disk, or a file browser, leaves in an otherwise empty folder.
_LITTER = frozenset(
    {"lost+found", ".DS_Store", ".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems"}
    | {"System Volume Information", "$RECYCLE.BIN", "@eaDir", "desktop.ini", "Thumbs.db"}
)


@dataclass(frozen=True, slots=True)
class Destination:
    """An archive's folders, open: ``root`` is DEST, ``parts`` and ``damaged`` lie in .archiver."""

    path: str
    id: str
    root: int
    parts: int
    damaged: int

    def require_there(self) -> None:
        """See that DEST is still the folder that was opened.

        Raises:
            DestinationError: its disk was unmounted, or it was moved away.
        """
        try:
            there = os.path.samestat(os.stat(self.path), os.fstat(self.root))
        except FileNotFoundError:
            there = False
        if not there:
            met("O09")
            raise DestinationError(
                f"The archive is no longer in {display(self.path)}.",
                "Was its disk unmounted, or the folder moved? Put it back, then run again.",
            )

    def close(self) -> None:
        """Let go of the folders."""
        _close([self.root, self.parts, self.damaged])


def open_destination(
    dest: str | Path, *, create: bool, system: Os, expected_id: str | None = None
) -> Destination:
    """Open the archive in *dest*, or make one.

    Args:
        create: make it where *dest* is missing or empty.
        expected_id: the archive that was here before, where the caller remembers it: an empty
            mount point is then not taken for a new archive.

    Raises:
        DestinationError: it is no folder, no archive, another archive, or not writable.
    """
    path = os.fspath(dest)
    root = _open_root(path, create=create and expected_id is None, system=system)
    opened = [root]
    try:
        _require_own(path, root)
        found = _read_id(root, system)
        _check(path, root, found, create=create, expected_id=expected_id)
        opened += [
            system.open_folder(root, f"{PRIVATE}/{name}", make=True)
            for name in _made_private(root, system)
        ]
        archive_id = found or _write_id(root, system)
        if found:
            _sync_id(root, system)
        os.close(system.open_folder(root, "data", make=True))  # a bag has one, be it empty
        _probe(opened[1], system)
        for name in (PRIVATE, "data"):
            # False also where a folder was made immutable, even for root.
            if not os.access(name, os.W_OK | os.X_OK, dir_fd=root):
                raise PermissionError(errno.EACCES, f"nothing can be made in {name}")
    except OSError as error:
        _close(opened)
        raise refusal(error, f"opening the archive in {path}") from error
    except DestinationError:
        _close(opened)
        raise
    return Destination(path, archive_id, *opened)


def require_usable(path: str) -> None:
    """Raise what ``open_destination`` would, as far as it can be told without a touch."""
    try:
        _require_mounted(path)
        if not os.path.lexists(path):
            return  # the first run makes it
        root = _open_root(path, create=False, system=Os())
        try:
            _require_own(path, root)
            _check(path, root, _read_id(root, Os()), create=True, expected_id=None)
        finally:
            os.close(root)
    except OSError as error:
        raise refusal(error, f"looking into {path}") from error


def _open_root(path: str, *, create: bool, system: Os) -> int:
    try:
        if create:
            _require_mounted(path)
            _make_folders(Path(path).absolute(), system)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except NotADirectoryError as error:
        raise DestinationError(
            f"{display(path)} is not a folder.", "Name a folder to archive into."
        ) from error
    except FileNotFoundError as error:
        raise DestinationError(
            f"There is no folder {display(path)}.", "Check the path: is the disk mounted?"
        ) from error
    except OSError as error:
        raise refusal(error, f"opening {path}") from error


def _make_folders(path: Path, system: Os) -> None:
    """Make *path* and what is missing above it; every name that may be ours becomes durable."""
    if (path / PRIVATE / ID_FILE).exists():
        return  # which came after all the names above it
    there = path.exists()
    if not there:
        _make_folders(path.parent, system)
    try:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        if there:
            return  # somebody else's folder, made by somebody else
        raise
    try:
        if not there:
            with contextlib.suppress(FileExistsError):  # by another run: the lock decides later
                system.mkdir(path.name, FOLDER_MODE, parent)
        system.sync_folder(parent)  # also where a run was killed before it came to this
    finally:
        os.close(parent)


def _require_mounted(path: str) -> None:
    """Where a disk is missing, its mount point is an empty folder, and looks like a fresh start."""
    if os.path.lexists(f"{path}/{PRIVATE}/{ID_FILE}"):
        return
    missing = unmounted(path)
    if missing:
        met("O09")
        raise DestinationError(
            f"{display(missing)} is not mounted, though /etc/fstab knows it.",
            "Mount it, then run again.",
        )


def _require_own(path: str, root: int) -> None:
    """Refuse a folder in which any user of this machine could put links and files in our way.

    Only where modes mean something: what a FAT disk or a share shows is made up.
    """
    mode = os.fstat(root).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX and is_local(path):
        met("L17")
        raise DestinationError(
            f"Every user of this machine may change what is in {display(path)}.",
            "Take that right away (chmod o-w), then run again.",
        )


def _read_id(root: int, system: Os) -> str | None:
    """The archive's id; None where it is missing or was never finished."""
    try:
        os.close(system.open_folder(root, PRIVATE))  # a symlink in its place is refused
        fd = open_own(f"{PRIVATE}/{ID_FILE}", root, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        text = os.read(fd, 64)
    finally:
        os.close(fd)
    return text.decode("ascii").strip() if _ID.fullmatch(text) else None


def _check(
    path: str, root: int, found: str | None, *, create: bool, expected_id: str | None
) -> None:
    """Refuse what is no archive, not the expected one, or no place to make one."""
    shown = display(path)
    if found is not None:
        if expected_id not in (None, found):
            raise DestinationError(
                f"{shown} holds another archive than before.", "Check what is mounted there."
            )
        return
    names = set(os.listdir(root)) - _LITTER
    known = names & set(TAG_FILES) or _has_ledger(root)
    if known or expected_id is not None:
        raise no_identity(path)
    if not create:
        raise DestinationError(f"There is no archive in {shown}.", "Check the path.")
    if names - {PRIVATE}:
        raise DestinationError(
            f"{shown} is neither empty nor an archive.", "Name an empty or a new folder."
        )


def _has_ledger(root: int) -> bool:
    return exists(PRIVATE, root) and exists(f"{PRIVATE}/{_LEDGER}", root)


def _made_private(root: int, system: Os) -> tuple[str, str]:
    """Make .archiver, which nobody else may read: the ledger holds signed addresses."""
    try:
        system.mkdir(PRIVATE, 0o700, root)
        system.sync_folder(root)
    except FileExistsError:
        pass
    return "parts", "damaged"


def _write_id(root: int, system: Os) -> str:
    """Write ``archive-id``; one that a crash left unfinished is written anew."""
    folder = system.open_folder(root, PRIVATE)
    archive_id = str(uuid.uuid4())
    try:
        if exists(ID_FILE, folder):
            system.unlink(ID_FILE, folder)
        fd = system.create(ID_FILE, folder)
        try:
            system.write_all(fd, memoryview(f"{archive_id}\n".encode()), 0)
            system.fsync(fd)
        finally:
            system.close(fd)
        system.sync_folder(folder)
    finally:
        os.close(folder)
    return archive_id


def _sync_id(root: int, system: Os) -> None:
    """Make ``archive-id`` durable: who wrote it may have been killed before that."""
    fd = open_own(f"{PRIVATE}/{ID_FILE}", root, os.O_RDONLY)
    try:
        system.fsync(fd)
    finally:
        os.close(fd)


def _probe(folder: int, system: Os) -> None:
    """Write a byte, so that a full or read-only disk is told before anything is asked for."""
    name = f"probe-{uuid.uuid4()}.tmp"  # a run may hold the lock, and another one look in
    fd = system.create(name, folder)
    try:
        system.write_all(fd, memoryview(b"."), 0)
    finally:
        try:
            system.close(fd)
        finally:
            with contextlib.suppress(FileNotFoundError):  # the run with the lock has cleared up
                system.unlink(name, folder)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
