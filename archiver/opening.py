"""Ways into an archive and to the vendor: for changing it, for reading it, for asking the API."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from archiver.account import Account
from archiver.adapters.address_policy import download_resolver
from archiver.adapters.causes import refusal
from archiver.adapters.clock import SystemClock
from archiver.adapters.destination import ID_FILE, PRIVATE, no_identity
from archiver.adapters.disk import Os
from archiver.adapters.http import ConnectorFactory, open_sessions, tcp_connector
from archiver.adapters.ledger import SqliteLedger
from archiver.adapters.lock import locked
from archiver.adapters.publish import LocalVault
from archiver.adapters.vendor.client import VendorClient
from archiver.adapters.vendor.token import STYLES, SecretStyle
from archiver.care.rebuild import REBUILT, catch_up, rebuild
from archiver.care.recover import recover
from archiver.core.bag import MANIFEST, NO_NEWS, TAG_FILES, Contact
from archiver.core.model import Format
from archiver.core.naming import TEMPLATE, Names
from archiver.core.selection import ALL, AccountSource, Filter, Source
from archiver.core.summary import ApiCalls
from archiver.core.timetable import Rate
from archiver.core.weather import Weather
from archiver.errors import DestinationError, LedgerLostError, SettingsError
from archiver.records.tag_files import write_tag_files

LEDGER = "ledger.sqlite3"
_TEMPLATE_KEY = "name template"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is asked to do.  Durations in seconds, rates in bytes a second."""

    sources: tuple[Source, ...] = (AccountSource(),)
    filter: Filter = ALL
    variant: Format = "mp4"
    downloads: int = 8
    requests: int = 8
    limit_rate: Rate = None
    max_duration_s: float | None = None
    max_wait_s: float = 6 * 3600.0
    accept_shrunk: bool = False
    full_listing: bool = False  # read to the end, though the newest pages would do
    accept_replaced: bool = False  # although more than a tenth of the archive looks replaced
    contact: Contact = NO_NEWS  # whose archive it is
    extras: bool = True  # and what belongs to a video beside its file
    extras_calls: int | None = None  # calls for them a run; None: no limit
    refresh: bool = False  # ask for the extras of all selected videos again
    name: str | None = None  # how videos are called, where the archive is made


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a test may put in the place of the real world: the time, the way to hosts, the disk."""

    clock: Callable[[], SystemClock] = SystemClock
    connector: ConnectorFactory = tcp_connector
    system: Callable[[], Os] = Os


REAL = Surroundings()


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
            if not as_it_stands:
                await write_tag_files(vault, ledger, clock.now())
            yield HeldArchive(vault, ledger, clock)


def standing(dest: str) -> Path:
    """*dest*, or the nearest folder above it that is there: the disk where it is, or would be."""
    path = Path(dest).absolute()
    while not os.path.exists(path) and path != path.parent:  # noqa: PTH110  Path.exists may raise
        path = path.parent
    return path


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
        return await _caught_up(dest, clock, names, say)
    except LedgerLostError as lost:
        await rebuild(dest, vault, LEDGER, clock.now(), str(lost), say)
    return await _caught_up(dest, clock, names, say)


async def _caught_up(
    dest: str, clock: SystemClock, names: Names, say: Callable[[str], None]
) -> SqliteLedger:
    _require_ledger(dest)
    ledger = await SqliteLedger.open(Path(dest) / PRIVATE / LEDGER, namer=names)
    try:
        await catch_up(dest, ledger, clock.now(), say)
    except BaseException:
        await ledger.close()
        raise
    else:
        return ledger


def _require_ledger(dest: str) -> None:
    """A ledger that is missing beside an archive's files is never silently begun anew."""
    root = Path(dest)
    ledger = root / PRIVATE / LEDGER
    is_there = ledger.exists()
    if not (root / PRIVATE / ID_FILE).exists():
        return
    if is_there and not ledger.is_file():
        raise LedgerLostError(f"The ledger of the archive in {dest} is no file.")
    if is_there and ledger.stat().st_size:
        return
    data, manifest = root / "data", root / MANIFEST
    named = manifest.is_file() and manifest.stat().st_size > 0
    if named or (data.is_dir() and any(data.iterdir())):
        how = "empty" if is_there else "missing"
        raise LedgerLostError(f"The ledger of the archive in {dest} is {how}.")


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


def has_ledger(dest: str) -> bool:
    """There is an archive in *dest*, and a run could go on with it.

    Raises:
        DestinationError: it may not be looked into, or has lost its ledger or its archive-id.
    """
    is_there, root = _has_ledger(dest), Path(dest)
    try:
        known = is_there or any((root / name).exists() for name in TAG_FILES)
        is_lost = known and not (root / PRIVATE / ID_FILE).exists()
    except OSError as error:
        raise refusal(error, f"looking into {dest}") from error
    if is_lost:
        raise no_identity(dest)
    return is_there


def _has_ledger(dest: str) -> bool:
    try:
        _require_ledger(dest)
        return (Path(dest) / PRIVATE / LEDGER).is_file()
    except OSError as error:  # another user's: `.archiver` is its owner's alone
        raise refusal(error, f"looking into {dest}") from error


@asynccontextmanager
async def reading(dest: str) -> AsyncIterator[SqliteLedger]:
    """Open the ledger of *dest* for questions: beside a run, and on a read-only medium.

    Raises:
        DestinationError: there is no archive.
    """
    path = Path(dest) / PRIVATE / LEDGER
    if not _has_ledger(dest) and not has_ledger(dest):
        raise DestinationError(
            f"There is no archive in {dest}.", "Name the folder that `archiver run --to` filled."
        )
    async with await SqliteLedger.open(path, read_only=True) as ledger:
        yield ledger


@dataclass(frozen=True, slots=True)
class Connection:
    """The vendor, the session for downloads, and what calls were made."""

    vendor: VendorClient
    downloads: aiohttp.ClientSession
    calls: ApiCalls
    weather: Weather


@asynccontextmanager
async def connected(
    account: Account,
    clock: SystemClock,
    *,
    requests: int = 8,
    downloads: int = 8,
    max_wait_s: float = 60.0,
    style: str | None = None,
    connector: ConnectorFactory = tcp_connector,
) -> AsyncIterator[Connection]:
    """Open the two sessions and the client.

    Raises:
        SettingsError, AuthError: the addresses or credentials cannot be used.
    """
    account.checked().require_credentials()
    weather, calls = Weather(), ApiCalls()
    known: SecretStyle = next((each for each in STYLES if each == style), "body")
    sessions = open_sessions(
        account, requests=requests, downloads=downloads,
        download_resolver=download_resolver(account), connector=connector,
    )  # fmt: skip
    async with sessions as pair:
        vendor = VendorClient(
            pair.api, account, clock, weather=weather, calls=calls, requests=requests,
            style=known, max_wait_s=max_wait_s,
        )  # fmt: skip
        try:
            yield Connection(vendor, pair.downloads, calls, weather)
        finally:
            await vendor.close()
