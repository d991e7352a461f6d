"""How many hands the system's limit on open files allows (``ulimit -n``).

Rule: no more than 60 % of the limit is planned for; the rest is for what nobody counts, such as the
loops of the byte workers (three each).
"""

from __future__ import annotations

import errno
import resource
from typing import Final

from archiver.met import met

SHARE: Final = 0.6
ALWAYS: Final = 16  # streams, loop, ledger, lock, folders; measured: 13 and a publication
A_DOWNLOAD: Final = 3  # its socket, its part, and the folder that it ends in
NO_MORE: Final = frozenset({errno.EMFILE, errno.ENFILE})


def fitting(downloads: int, requests: int) -> tuple[int, int]:
    """As many of *downloads* and *requests* at a time as may have their files open; each one."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return downloads, requests
    spare = max(0, int(SHARE * limit) - ALWAYS)
    calls = min(requests, max(1, spare // 4))
    transfers = min(downloads, max(1, (spare - calls) // A_DOWNLOAD))
    if (transfers, calls) != (downloads, requests):
        met("L07")
    return transfers, calls
