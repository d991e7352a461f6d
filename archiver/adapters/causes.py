"""What the system said of a file, in words that a person can act on."""

from __future__ import annotations

import errno

from archiver.adapters.descriptors import NO_MORE
from archiver.core.naming import display
from archiver.errors import CrowdedError, DestinationError, TooLargeError
from archiver.met import met

_CAUSES = {
    errno.ENOSPC: ("the disk is full", "Free some space, then run again: nothing is lost."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space, then run again."),
    errno.EROFS: ("the file system is read-only", "Mount it for writing, then run again."),
    errno.EACCES: ("permission denied", "Check the owner and the mode of the destination."),
    errno.EPERM: ("permission denied", "Check the owner and the mode of the destination."),
    errno.EIO: ("the disk reports an error", "Check the disk before running again."),
    errno.ESTALE: ("the network share went away", "Mount it again, then run again."),
    errno.ELOOP: ("there is a symbolic link in the way", "Nothing in the archive may be one."),
    errno.EISDIR: (
        "a folder stands where a file belongs",
        "`archiver verify DEST --repair` sets it aside, or move it away.",
    ),
    errno.ENOENT: (
        "a folder of the archive is gone",
        "It was moved or removed while archiver worked: run again.",
    ),
    errno.EXDEV: (
        "a folder of the archive lies on another disk",
        "An archive is one file system: mount nothing below it.",
    ),
}


def refusal(error: OSError, doing: str) -> DestinationError:
    """Turn what the system said into what a person can act on; the cause comes first."""
    match error.errno:
        case errno.ENOSPC:
            met("L01")
        case errno.EDQUOT | errno.EROFS | errno.EACCES | errno.EPERM:
            met("L06")
        case errno.EXDEV:
            met("L39")
        case errno.ENOENT:
            met("L40")
        case errno.ESTALE:
            met("O09")
        case _:
            pass
    if error.errno == errno.EFBIG:
        how = "The file is too large for this file system"
        return TooLargeError(f"{how}: {display(doing)} failed.")
    if error.errno in NO_MORE:
        return CrowdedError(f"Too many files are open: {display(doing)} failed.")
    cause, hint = _CAUSES.get(error.errno or 0, (error.strerror or type(error).__name__, ""))
    return DestinationError(f"{cause[:1].upper()}{cause[1:]}: {display(doing)} failed.", hint)
