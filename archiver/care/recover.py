"""What is done first with an archive: finish what a crash left, throw away what is of no use.

Rule 1: safe to repeat, and to be killed in the middle: it is made of the same steps as a run.
Rule 2: a fetched file whose extras are still to be asked for waits for the run, so that its sidecar
is complete from the start; but no run ends well and leaves it among the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from archiver.core.events import Found
from archiver.core.model import DESCRIPTIONS, Holding, Instant, Job, JobKey, JobState
from archiver.core.naming import file_name
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

    async def are_extras_open(self, key: JobKey) -> bool:
        """The extras of this version of a video are still to be asked for."""
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

    async def has_any(self, folder: str, names: Sequence[str]) -> bool:
        """Something stands in *folder* under one of *names*, or it is no folder of ours."""
        ...

    async def read_small(self, path: str) -> bytes | None:
        """Read a small file; None where it cannot be read."""
        ...

    async def is_reachable(self, path: str) -> bool:
        """The folders of *path*, as far as they are there, can be entered: none is a link."""
        ...

    async def secured(self, holding: Holding) -> bool | None:
        """The recorded file stands in its place: True; something else does: False; nothing: None.

        Reads it to its end, and makes it durable.
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
    await publish_fetched(vault, ledger, clock, all_of_them=False)
    for holding in await ledger.intents():
        path = await vault.find(holding)
        if path:
            text = await vault.read_small(path) if holding.kind in DESCRIPTIONS else None
            await ledger.placed(replace(holding, path=path, text=text or b""), "", clock.now())
        else:
            await ledger.not_placed(holding)
    await vault.clear_orphans(await ledger.unfinished_keys())


async def publish_fetched(vault: Store, ledger: Memory, clock: Clock, *, all_of_them: bool) -> None:
    """Publish what was fetched, or only what need not wait for its extras.

    Raises:
        DestinationError: the disk is full or refuses.
    """
    for job in await ledger.fetched_jobs():
        if all_of_them or not await _waits(vault, ledger, job):
            met("L19")
            now = clock.now()
            await ledger.record(job, await publish(vault, ledger, job, now), now)


async def _waits(vault: Store, ledger: Memory, job: Job) -> bool:
    """Its extras are to be asked for, and nothing of it has got its name yet."""
    if not await ledger.are_extras_open(job.key):
        return False
    key, shelf = job.key, await ledger.shelf(job.key.video_id)
    names = [file_name(shelf.stem, kind, key.variant, key.version) for kind in ("info", "video")]
    return shelf.recorded(key) is None and not await vault.has_any(shelf.folder, names)


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
    stands = await vault.secured(holding)
    if stands:  # somebody put a good copy in its place
        await ledger.record(job, Found((holding,)), clock.now())
    elif stands is False:
        await vault.set_aside(holding.path, job.path or await vault.free_aside(holding))
