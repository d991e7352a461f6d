"""Opens the ledger's file, or says why it cannot be used; a file that is refused stays as it is.

Rule 1: what is damaged or newer is refused before anything may write, be it SQLite's own recovery.
Rule 2: a damaged ledger is never begun anew in silence.
Rule 3: only SQLite opens a file that exists: closing any other descriptor of it would drop the
        locks of every connection in this process (https://sqlite.org/howtocorrupt.html, 2.2).
Rule 4: the file holds signed addresses while they are needed: mode 0600, erased when deleted.
"""

# ruff: noqa: S608  only terms of ours are joined into SQL

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
from pathlib import Path
from urllib.parse import quote

from archiver.adapters.ledger.marks import WATCHED
from archiver.adapters.ledger.schema import ADDED, APPLICATION_ID, SCHEMA, SELECTION, VERSION
from archiver.adapters.ledger.trouble import REFUSED, damaged, refusal
from archiver.adapters.mounts import is_local
from archiver.core.model import JobState
from archiver.errors import DestinationError
from archiver.met import met

BUSY_S = 30.0  # a reader holds its lock for one page only
JOURNAL_MOST_BYTES = 64 * 1024 * 1024  # what is left of a WAL file after a checkpoint
MIRROR_MOST_KIB = 32_768  # of the run's selection in memory: a quarter of a million videos
_OWN = (
    "holding.video_id = job.video_id AND holding.kind = job.kind AND "
    "holding.variant = job.variant AND holding.version = job.version"
)
_HOLDING, _JOB = (f"(SELECT 1 FROM {table} WHERE {_OWN})" for table in ("holding", "job"))
_KNOWN_STATES = ", ".join(f"'{state.value}'" for state in JobState)
# No program of ours leaves any of these, and no check of SQLite's sees them.
_CONTRADICTIONS = (
    f"FROM job WHERE state NOT IN ({_KNOWN_STATES})",
    f"FROM job WHERE kind = 'video' AND state = 'archived' AND NOT EXISTS {_HOLDING}",
    f"FROM holding WHERE kind = 'video' AND NOT EXISTS {_JOB}",
    "FROM job WHERE NOT EXISTS (SELECT 1 FROM video WHERE video.id = job.video_id)",
    # A pattern for the digits would take three times as long.
    (
        "FROM holding WHERE length(sha256) <> 64 OR trim(sha256, '0123456789abcdef') <> '' "
        "OR path NOT GLOB 'data/?*' OR instr(path, '%') OR instr(path, char(92)) "
        "OR instr(path, char(10)) OR instr(path, char(13))"
    ),
)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def open_writing(path: Path) -> sqlite3.Connection:
    """Open the ledger for a run; make it where there is none.

    Raises:
        DestinationError: damaged, newer than this program, no regular file, or not writable.
    """
    try:
        if _make_private(path):
            _inspect(path)
        db = _connect(path, "mode=rw")
    except (OSError, *REFUSED) as error:
        raise refusal(error) from error
    try:
        _prepare(db, path)
    except REFUSED as error:
        db.close()
        raise refusal(error) from error
    return db


def open_beside(path: Path) -> sqlite3.Connection:
    """Open the ledger for questions beside the run that writes it.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    db = _connect(path, "mode=ro")
    _lay_out_beside(db)
    return db


def open_reading(path: Path, *, still: bool = False) -> tuple[sqlite3.Connection, Path | None]:
    """Open the ledger for questions, beside a run or on a medium that cannot be written.

    Args:
        still: nobody writes it: no file is made beside it.

    Returns:
        The connection, and a folder to remove after closing it, if one was needed.

    Raises:
        DestinationError: missing, damaged, or newer than this program.
    """
    try:
        if not (path.is_file() and path.stat().st_size):
            raise DestinationError("There is no ledger here yet.", "Archive something first.")
        db, folder = (
            (_connect(path, "mode=ro&immutable=1"), None) if still else _connect_reading(path)
        )
    except (OSError, *REFUSED) as error:
        raise refusal(error) from error
    try:
        _check_ours(db)
        _lay_out_beside(db)
    except (*REFUSED, DestinationError) as error:
        db.close()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, DestinationError):
            raise
        raise refusal(error) from error
    return db, folder


def _make_private(path: Path) -> bool:
    """Make the file, readable by its owner alone; True where something was written to it before."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, _NEW, 0o600))
        return False
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise DestinationError(
            "The ledger is not a regular file.", "Put the file itself in its place, no link to it."
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o600)
    if found.st_size:
        return True
    # The schema is the first transaction: an empty file is one that never came to it, unless
    # there are archived files already, which somebody once recorded.
    data = path.parent.parent / "data"
    if path.parent.name == ".archiver" and data.is_dir() and any(data.iterdir()):
        raise damaged("it is empty, but the archive is not")
    return False


def _inspect(path: Path) -> None:
    """Look at a ledger without writing, so that what is refused stays as it is."""
    with (
        contextlib.suppress(*REFUSED),  # said below, where its log is looked at too
        contextlib.closing(_connect(path, "mode=ro&immutable=1")) as reader,
    ):
        _check_version(reader)  # of a newer one, not even the log is touched
    with contextlib.closing(_connect(path, "mode=ro")) as reader:
        try:
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            if not _logs(path, "-journal"):
                raise
        else:
            _check_ours(reader)
            _check_whole(reader)
            return
    # A kill left half a transaction behind (only without WAL): it has to be rolled back first,
    # which is no harm unless a newer program wrote it.
    with contextlib.closing(_connect(path, "mode=ro&immutable=1")) as reader:
        try:
            _check_version(reader)
        except sqlite3.DatabaseError as error:
            # Its head is missing: pages of the first transaction come to the disk in any order.
            if getattr(error, "sqlite_errorname", "") != "SQLITE_NOTADB":
                raise
    with contextlib.closing(_connect(path, "mode=rw")) as mender:
        met("L33")
        if mender.execute("PRAGMA page_count").fetchone()[0]:  # 0: the kill was in the first one
            _check_ours(mender)
            _check_whole(mender)


def _logs(path: Path, *suffixes: str) -> list[Path]:
    logs = [path.with_name(path.name + suffix) for suffix in suffixes]
    return [log for log in logs if log.exists() and log.stat().st_size]


def _check_version(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        met("L32")
        raise DestinationError(
            f"The ledger was written by a newer archiver (schema {found}, known: {VERSION}).",
            "Upgrade archiver; the ledger was not touched.",
        )


def _check_ours(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA page_count").fetchone()[0] == 0:  # shorter than a database can be
        raise damaged("it was cut off")
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise damaged("its file belongs to another program")
    _check_version(db)


def _check_whole(db: sqlite3.Connection) -> None:
    said = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if said != "ok":
        raise damaged(" ".join(said.split()))
    if not db.execute("PRAGMA user_version").fetchone()[0]:
        return  # killed before the first transaction: there is nothing in it
    if lost := _tables_of_ours() - _tables(db):
        raise damaged(f"no such table: {min(lost)}")
    if any(db.execute(f"SELECT 1 {each} LIMIT 1").fetchone() for each in _CONTRADICTIONS):
        raise damaged("what it says of a video cannot be")


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def _tables_of_ours() -> set[str]:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        return _tables(db)


def _connect(path: Path, query: str) -> sqlite3.Connection:
    # Executors choose the thread; the writer sees to it that it is one at a time.
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path.absolute()))}?{query}",
        uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False,
    )  # fmt: skip


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Set the pragmas; lay out the tables first, in one transaction, where there are none."""
    local = is_local(path.parent)
    if not local:
        met("O10")
    db.executescript(
        f"PRAGMA temp_store = {_mirror_store()}; PRAGMA temp.cache_size = -{MIRROR_MOST_KIB};"
        "PRAGMA secure_delete = ON;"
        # macOS: only F_FULLFSYNC reaches the disk.  Elsewhere this does nothing.
        "PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;"
        f"PRAGMA journal_size_limit = {JOURNAL_MOST_BYTES};"
        f"PRAGMA synchronous = {'FULL' if local else 'EXTRA'};"
    )
    if db.execute("PRAGMA user_version").fetchone()[0] == 0:
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
    db.execute(f"PRAGMA journal_mode = {'WAL' if local else 'DELETE'}").fetchone()
    db.executescript(f"BEGIN; {ADDED} {WATCHED} COMMIT; {SELECTION}")


def _mirror_store() -> str:
    """Where the mirror of a large selection goes: beyond its cache, into a file without a name.

    Into memory where SQLite would find no folder for it (https://sqlite.org/tempfiles.html, 5).
    """
    told = (os.environ.get("SQLITE_TMPDIR", ""), os.environ.get("TMPDIR", ""))
    places = (*told, "/var/tmp", "/usr/tmp", "/tmp")  # noqa: S108  SQLite's own list
    is_found = any(Path(each).is_dir() and os.access(each, os.W_OK | os.X_OK) for each in places)
    return "FILE" if is_found else "MEMORY"


def _lay_out_beside(db: sqlite3.Connection) -> None:
    """Make in memory what a ledger that is only read lacks: an earlier program may have made it."""
    tables = (
        SELECTION if "loss" in _tables(db) else SELECTION + ADDED.replace("TABLE", "TEMP TABLE")
    )
    db.executescript("PRAGMA temp_store = MEMORY;" + tables)


def _connect_reading(path: Path) -> tuple[sqlite3.Connection, Path | None]:
    """Find the way that works: beside the writer, or as an immutable file, or as a copy."""
    db = _connect(path, "mode=ro")
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        # A write-ahead log needs a shared-memory file beside it, which cannot be made here.
        db.close()
    except REFUSED:
        db.close()
        raise
    else:
        return db, None
    logs = _logs(path, "-wal", "-journal")
    if not logs:
        return _connect(path, "mode=ro&immutable=1"), None
    # The log holds what an immutable reading would miss: look at a copy, where it can be replayed.
    folder = Path(tempfile.mkdtemp(prefix="archiver-"))
    for each in (path, *logs):
        shutil.copyfile(each, folder / each.name)
    return _connect(folder / path.name, "mode=rw"), folder
