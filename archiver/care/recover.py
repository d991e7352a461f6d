"""What is done first with an archive: finish what a crash left, throw away what is of no use.

Safe to repeat, and to be killed in the middle: it is made of the same steps as a run.
"""

from __future__ import annotations

from typing import Protocol

from archiver.core.model import Job, JobKey
from archiver.met import met
from archiver.perform import publish
from archiver.ports import Clock, Ledger, Vault


class Memory(Ledger, Protocol):
    """A ledger that can say what a crash may have left."""

    async def fetched_jobs(self) -> list[Job]:
        """Every job whose bytes are complete and not known to be published."""
        ...

    async def unfinished_keys(self) -> set[JobKey]:
        """Every job whose part is of use."""
        ...


class Store(Vault, Protocol):
    """A vault that can clear up."""

    async def clear_orphans(self, keep: set[JobKey]) -> int:
        """Delete the parts of jobs that are not in *keep*."""
        ...


async def recover(vault: Store, ledger: Memory, clock: Clock) -> None:
    """Publish or take over what was fetched, then delete the parts that nobody continues.

    Raises:
        DestinationError: the disk is full or refuses.
    """
    for job in await ledger.fetched_jobs():
        met("L19")
        now = clock.now()
        await ledger.record(job, await publish(vault, ledger, job, now), now)
    await vault.clear_orphans(await ledger.unfinished_keys())
