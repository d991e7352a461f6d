"""What is mounted where: on which file system a path lies, and whether a disk is missing there.

Rule: what cannot be found out counts as not local.  SQLite's DELETE mode is slower and right
everywhere; WAL on a share corrupts it (https://sqlite.org/wal.html, "all processes must be on the
same host").
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

LOCAL = frozenset(
    {
        "apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "jfs", "nilfs2",
        "overlay", "ramfs", "reiserfs", "tmpfs", "ufs", "xfs", "zfs",
    }
)  # fmt: skip
MOUNTS = "/proc/self/mountinfo"
TABLE = "/etc/fstab"
_MNT_LOCAL = 0x1000  # <sys/mount.h> of macOS
_FLAGS_AT = 64  # offset of f_flags in its 64-bit struct statfs


def is_local(path: str | os.PathLike[str]) -> bool:
    """*path*, which must exist, lies on a known local file system."""
    real = os.path.realpath(path)
    if sys.platform == "darwin":
        return _is_local_mac(real)
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as lines:
            return type_of(real, lines) in LOCAL
    except OSError:
        return False


def unmounted(path: str | os.PathLike[str]) -> str:
    """The place at or above *path* where a disk belongs (fstab(5)) and none is; "" as a rule.

    Where the system has no such table, or does not say what is mounted, nothing is missing.
    """
    real = os.path.realpath(path)
    try:
        with open(TABLE, encoding="utf-8", errors="surrogateescape") as lines:
            wanted = {_point(line.partition("#")[0].split(), 1) for line in lines}
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as lines:
            mounted = {_point(line.split(" "), 4) for line in lines}
    except OSError:
        return ""
    # The root is always there, though a jail may not list it.
    above = [point for point in wanted - mounted if len(point) > 1 and _is_inside(real, point)]
    return max(above, key=len, default="")


def _point(fields: list[str], at: int) -> str:
    """The mount point in one line; "" where it has none, as swap space."""
    found = os.path.normpath(_unescaped(fields[at])) if len(fields) > at else ""
    return found if found.startswith("/") else ""


def _is_inside(real: str, point: str) -> bool:
    return real == point or real.startswith(point.rstrip("/") + "/")


def type_of(real: str, mounts: Iterable[str]) -> str:
    """The file system type of the mount that *real* lies on; "" if there is none.

    Args:
        real: an absolute path without symbolic links.
        mounts: the lines of ``/proc/self/mountinfo`` (proc(5)).
    """
    longest, found = -1, ""
    for line in mounts:
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")[0]
        if len(fields) < 5 or not kind:
            continue
        point = _unescaped(fields[4])
        if _is_inside(real, point) and len(point) >= longest:  # a later mount covers an earlier one
            longest, found = len(point), kind
    return found


def _unescaped(text: str) -> str:
    for code, plain in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        text = text.replace(code, plain)
    return text


def _is_local_mac(real: str) -> bool:
    import ctypes.util  # on this system alone: it loads half a dozen modules

    library = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    call = getattr(library, "statfs$INODE64", None) or getattr(library, "statfs", None)
    buffer = ctypes.create_string_buffer(4096)  # the struct has 2,168 bytes
    if call is None or call(os.fsencode(real), buffer) != 0:
        return False
    flags = ctypes.c_uint32.from_buffer(buffer, _FLAGS_AT).value
    return bool(flags & _MNT_LOCAL)
