"""What becomes of a fetched file: a new one, a damaged one mended, or a version beside a lost one.

Rule 1: a path that was recorded comes back with the recorded SHA-256 alone.
Rule 2: safe to repeat after a crash at any instant; what stands there already is taken over.
"""

from __future__ import annotations

from archiver.core import events
from archiver.core.events import Event
from archiver.core.model import Instant, Job
from archiver.errors import CorruptError
from archiver.met import met
from archiver.ports import Ledger, Vault


async def publish(vault: Vault, ledger: Ledger, job: Job, now: Instant) -> Event:
    """Give a fetched file its final name.

    Raises:
        DestinationError: the disk is full or refuses.
    """
    shelf = await ledger.shelf(job.key.video_id)
    recorded = shelf.recorded(job.key)
    try:
        if recorded is None:
            return events.Stored(await vault.publish(job, shelf))
        if job.sha256 == recorded.sha256:
            await vault.restore(job, recorded)
            met("L37")
            return events.Stored((recorded,))
        return events.Superseded(await vault.publish(job, shelf, job.key.version + 1))
    except CorruptError as corrupt:
        return events.Corrupt(now, str(corrupt), now)


async def give_back(vault: Vault, ledger: Ledger, job: Job) -> None:
    """The vendor has nothing better: a damaged copy that was set aside goes back to its place.

    Raises:
        DestinationError: the disk refuses.
    """
    recorded = (await ledger.shelf(job.key.video_id)).recorded(job.key)
    if recorded is not None and job.path:
        await vault.put_back(job.path, recorded.path)
