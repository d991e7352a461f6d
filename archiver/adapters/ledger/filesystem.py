"""Says whether a path lies on a file system of this machine, on which SQLite's WAL is safe.

Rule: what cannot be found out counts as not local.  DELETE mode is slower and right everywhere;
WAL on a share corrupts (https://sqlite.org/wal.html, "all processes must be on the same host").
"""

from __future__ import annotations

import ctypes
import ctypes.util
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
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:  # a later mount covers an earlier one
            longest, found = len(point), kind
    return found


def _unescaped(text: str) -> str:
    for code, plain in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        text = text.replace(code, plain)
    return text


def _is_local_mac(real: str) -> bool:
    library = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    call = getattr(library, "statfs$INODE64", None) or getattr(library, "statfs", None)
    buffer = ctypes.create_string_buffer(4096)  # the struct has 2,168 bytes
    if call is None or call(os.fsencode(real), buffer) != 0:
        return False
    flags = ctypes.c_uint32.from_buffer(buffer, _FLAGS_AT).value
    return bool(flags & _MNT_LOCAL)
