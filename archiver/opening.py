"""Opening an archive to change it: under its lock, mended after a crash, its bag up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from archiver.adapters.clock import SystemClock
from archiver.adapters.ledger import SqliteLedger
from archiver.adapters.lock import locked
from archiver.adapters.places import PRIVATE
from archiver.adapters.publish import LocalVault
from archiver.care.rebuild import REBUILT, catch_up, rebuild
from archiver.care.recover import recover
from archiver.core.naming import TEMPLATE, Names
from archiver.errors import LedgerLostError, SettingsError
from archiver.reading import LEDGER, require_ledger
from archiver.records.tag_files import keep_latest_statement, write_tag_files
from archiver.surroundings import REAL, Surroundings

_TEMPLATE_KEY = "name template"


@dataclass(frozen=True, slots=True)
class HeldArchive:
    """An archive under its lock: this process alone may change it."""

    vault: LocalVault
    ledger: SqliteLedger
    clock: SystemClock


@asynccontextmanager
async def changing(
    dest: str,
    *,
    create: bool,
    name: str | None = None,
    say: Callable[[str], None] = lambda _text: None,
    as_it_stands: bool = False,
    surroundings: Surroundings = REAL,
) -> AsyncIterator[HeldArchive]:
    """Open *dest* under its lock, finish what a crash left, and bring the bag up to date.

    Args:
        name: the template by which a new archive calls its videos.
        say: told what happened to the archive as a whole.
        as_it_stands: leave the bag's own files as they are: somebody wants to look at them first.

    Raises:
        DestinationError: it cannot be used.
        SettingsError: its videos are called by another template already.
    """
    clock = surroundings.clock()
    private = Path(dest) / PRIVATE
    with ExitStack() as closing:
        system = surroundings.system()
        vault = LocalVault.open(Path(dest), create=create, now=clock.now, system=system)
        try:
            closing.enter_context(locked(private / "lock", clock.now()))
        finally:
            # Closed before the lock is let go: until then threads may be writing.
            closing.enter_context(vault)
        names = Names()
        opened = await _ledger(dest, vault, clock, names, say)
        async with _set_aside_if_damaged(vault, opened), opened as ledger:
            names.template = await _template(ledger, name)
            await recover(vault, ledger, clock)
            await keep_latest_statement(vault, ledger)
            if not as_it_stands:
                await write_tag_files(vault, ledger, clock.now())
            yield HeldArchive(vault, ledger, clock)


@asynccontextmanager
async def _set_aside_if_damaged(vault: LocalVault, ledger: SqliteLedger) -> AsyncIterator[None]:
    """Damage that shows under way only must not end every night: the next opening rebuilds it."""
    try:
        yield
    finally:
        if ledger.is_damaged:
            await vault.swap("", LEDGER)


async def _ledger(
    dest: str, vault: LocalVault, clock: SystemClock, names: Names, say: Callable[[str], None]
) -> SqliteLedger:
    """Open the ledger; rebuild it first where it is damaged, or missing beside files."""
    try:
        return await _caught_up(dest, vault, clock, names, say)
    except LedgerLostError as lost:
        await rebuild(dest, vault, LEDGER, clock.now(), str(lost), say)
    return await _caught_up(dest, vault, clock, names, say)


async def _caught_up(
    dest: str, vault: LocalVault, clock: SystemClock, names: Names, say: Callable[[str], None]
) -> SqliteLedger:
    require_ledger(dest)
    ledger = await SqliteLedger.open(Path(dest) / PRIVATE / LEDGER, namer=names)
    try:
        await catch_up(dest, vault, ledger, clock.now(), say)
    except BaseException:
        await ledger.close()
        raise
    else:
        return ledger


async def _template(ledger: SqliteLedger, wanted: str | None) -> str:
    """How this archive calls its videos, which is chosen before the first and then kept."""
    template = await template_of(ledger, wanted)
    if wanted and await ledger.meta_get(_TEMPLATE_KEY) is None:
        await ledger.meta_set(_TEMPLATE_KEY, template)
    return template


async def template_of(ledger: SqliteLedger, wanted: str | None) -> str:
    """How this archive calls its videos, or would where *wanted* may still be chosen.

    Raises:
        SettingsError: they are called by another template already.
    """
    kept = await ledger.meta_get(_TEMPLATE_KEY)
    is_open = await ledger.meta_get(REBUILT) or not sum((await ledger.all_counts()).values())
    if kept is None and wanted and is_open:
        return wanted
    if wanted and wanted != (kept or TEMPLATE):
        raise SettingsError(
            f"The videos of this archive are called {kept or TEMPLATE!r}, which is kept.",
            "Leave --name out, or make another archive with it.",
        )
    return kept or TEMPLATE
