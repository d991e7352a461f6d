"""What is done first with an archive: finish what a crash left, throw away what is of no use.

Safe to repeat, and to be killed in the middle: it is made of the same steps as a run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from archiver.core.events import Found
from archiver.core.model import DESCRIPTIONS, Holding, Instant, Job, JobKey, JobState
from archiver.met import met
from archiver.ports import Clock, Ledger, Vault
from archiver.storing import publish


class Memory(Ledger, Protocol):
    """A ledger that can say what a crash may have left."""

    async def fetched_jobs(self) -> list[Job]:
        """Every job whose bytes are complete and not known to be published."""
        ...

    async def unfinished_keys(self) -> set[JobKey]:
        """Every job whose part is of use."""
        ...

    async def repairs(self) -> list[tuple[Job, Holding]]:
        """Every job that is to mend a stored file, with what it has to bring back."""
        ...

    async def intents(self) -> list[Holding]:
        """Small files that were about to get their names."""
        ...

    async def placed(self, holding: Holding, answer: str, at: Instant) -> None:
        """Record a small file that has its name."""
        ...

    async def not_placed(self, holding: Holding) -> None:
        """A small file did not get its name."""
        ...


class Store(Vault, Protocol):
    """A vault that can clear up."""

    async def clear_orphans(self, keep: set[JobKey]) -> int:
        """Delete the parts of jobs that are not in *keep*."""
        ...

    async def find(self, holding: Holding) -> str:
        """Where a file of these contents stands under this name, or one beside it; else ""."""
        ...

    async def read_small(self, path: str) -> bytes | None:
        """Read a small file; None where it cannot be read."""
        ...

    async def is_reachable(self, path: str) -> bool:
        """The folders of *path*, as far as they are there, can be entered: none is a link."""
        ...

    async def state_of(self, holding: Holding) -> bool | None:
        """The recorded file stands in its place: True; something else does: False; nothing: None.

        Reads it to its end.
        """
        ...

    async def free_aside(self, holding: Holding) -> str:
        """A name for a damaged copy."""
        ...

    async def set_aside(self, path: str, aside: str) -> str:
        """Move what stands at *path* among the damaged."""
        ...


async def recover(vault: Store, ledger: Memory, clock: Clock) -> None:
    """Publish or take over what was fetched, then delete the parts that nobody continues.

    Raises:
        DestinationError: the disk is full or refuses.
    """
    for job, holding in await ledger.repairs():
        await _go_on_mending(vault, ledger, clock, job, holding)
    for job in await ledger.fetched_jobs():
        met("L19")
        now = clock.now()
        await ledger.record(job, await publish(vault, ledger, job, now), now)
    for holding in await ledger.intents():
        path = await vault.find(holding)
        if path:
            text = await vault.read_small(path) if holding.kind in DESCRIPTIONS else None
            await ledger.placed(replace(holding, path=path, text=text or b""), "", clock.now())
        else:
            await ledger.not_placed(holding)
    await vault.clear_orphans(await ledger.unfinished_keys())


async def _go_on_mending(
    vault: Store, ledger: Memory, clock: Clock, job: Job, holding: Holding
) -> None:
    """Bring a repair that was begun to where it can go on, or to its end."""
    if job.state is JobState.FETCHED or not await vault.is_reachable(holding.path):
        return
    if job.state is JobState.GONE:
        if job.path:
            await vault.put_back(job.path, holding.path)
        return
    stands = await vault.state_of(holding)
    if stands:  # somebody put a good copy in its place
        await ledger.record(job, Found((holding,)), clock.now())
    elif stands is False:
        await vault.set_aside(holding.path, job.path or await vault.free_aside(holding))
