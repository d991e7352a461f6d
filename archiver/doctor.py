"""Looks at everything a run needs, and says what to do about each finding; changes nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from archiver.account import Account
from archiver.adapters.clock import SKEW_MOST_S, SystemClock
from archiver.adapters.destination import require_usable
from archiver.adapters.http import origin_of
from archiver.adapters.lock import running
from archiver.adapters.places import PRIVATE
from archiver.connecting import Connection, connected
from archiver.console_text import many, span
from archiver.core.model import Channel, Instant
from archiver.errors import ArchiverError, AuthError, Misfortune
from archiver.met import met
from archiver.reading import has_ledger, reading, standing

_STALE_S = 36 * 3600.0  # a nightly job that missed a night
_FREE_LEAST = 5 << 30
_API = "API"  # also where nobody answers at all
_WAIT_S = 10.0  # a person waits for the answer
# Where an error has no advice of its own, by the name of the check.
_OTHERWISE = {
    "settings": "Mend the variable, or its key in the settings file.",
    "credentials": "Check ARCHIVER_CLIENT_ID and ARCHIVER_CLIENT_SECRET.",
    "role": "Check the role of the credentials in the account's settings.",
    _API: "Check the network, the proxy (ARCHIVER_PROXY) and the address of the API.",
    "disk": "Check the folder's owner and mode, and the disk below it.",
    "archive": "Check the folder's owner and mode, and the disk below it.",
}
_KINDS = {
    "token": "a ready access token", "client": "client credentials", "login": "a stored login",
    "none": "none",
}  # fmt: skip
# Other programs' settings: what a surrounding tool was told must not lead our credentials away.
_OTHERS_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``advice`` is empty where nothing is to be done."""

    name: str
    ok: bool
    found: str
    advice: str = ""


async def doctor(dest: str | None, account: Account, *, wait_s: float = _WAIT_S) -> list[Check]:
    """Check settings, credentials, role, clock, proxy, API and, with *dest*, the disk."""
    checks = [_python(), _settings(account)]
    checks.append(_proxy(account))
    if not account.has_credentials:
        checks.append(
            Check(
                "credentials", ok=False, found="none",
                advice="Set ARCHIVER_CLIENT_ID and ARCHIVER_CLIENT_SECRET, "
                "or ARCHIVER_ACCESS_TOKEN; or run `archiver login`.",
            )
        )  # fmt: skip
    elif checks[1].ok:
        stored = _stored(account)
        checks += [stored] if stored else await _vendor(account, wait_s)
    if dest is not None:
        checks += [_disk(dest), *await _archive(dest)]
    return checks


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check("python", ok=True, found=version)


def _failed(name: str, error: ArchiverError) -> Check:
    """What is wrong, and what to do: what the error itself advises, else what always helps."""
    return Check(name, ok=False, found=str(error), advice=error.hint or _OTHERWISE[name])


def _settings(account: Account) -> Check:
    try:
        account.checked()
    except ArchiverError as error:
        return _failed("settings", error)
    return Check("settings", ok=True, found=f"API at {account.api_url}")


def _proxy(account: Account) -> Check:
    if account.proxy:  # told without its login
        found = f"{origin_of(account.proxy) or 'one'} is used for everything"
        return Check("proxy", ok=True, found=found)
    others = sorted(name for name in os.environ if name.lower() in _OTHERS_PROXIES)
    if not others:
        return Check("proxy", ok=True, found="none is set")
    met("S09")
    found = f"none is set; {', '.join(others)} is not used"
    advice = "If only the proxy leads out, set ARCHIVER_PROXY as well."
    return Check("proxy", ok=True, found=found, advice=advice)


def _stored(account: Account) -> Check | None:
    """What is wrong with a stored login before anybody is asked."""
    try:
        account.require_credentials()
    except AuthError as error:
        return Check("credentials", ok=False, found=str(error), advice=error.hint)
    return None


async def _vendor(account: Account, wait_s: float) -> list[Check]:
    clock = SystemClock()
    try:
        async with connected(account, clock, requests=1, max_wait_s=wait_s) as to:
            checks = [await _tried("credentials", lambda: _token(to, account))]
            if checks[0].ok:
                checks.append(await _tried("role", lambda: _role(to)))
    except ArchiverError as error:
        return [_failed(_API, error)]
    if checks[-1].name == _API:  # nobody answered: nothing is known of the server's clock
        return checks
    if checks[0].ok:  # who was refused a token has not come as far as the API
        checks.append(Check(_API, ok=True, found="answers"))
    skew = clock.skew_s
    advice = "" if abs(skew) <= SKEW_MOST_S else "Set the clock of this machine (NTP)."
    found = "agrees with the server's" if abs(skew) < 1 else f"{-skew:+.0f} s from the server's"
    checks.append(Check("clock", ok=not advice, found=found, advice=advice))
    return checks


async def _tried(name: str, look: Callable[[], Awaitable[Check]]) -> Check:
    try:
        return await look()
    except ArchiverError as error:
        return _failed(name, error)
    except Misfortune as trouble:
        found = str(trouble) or type(trouble).__name__
        return Check(_API, ok=False, found=found, advice=_OTHERWISE[_API])


async def _token(to: Connection, account: Account) -> Check:
    await to.vendor.tokens.authorize(account.api_url)
    return Check("credentials", ok=True, found=f"{_KINDS[account.kind]}: accepted")


async def _role(to: Connection) -> Check:
    channels: list[Channel] = [channel async for channel in to.vendor.channels()]
    if not channels:
        return Check(
            "role", ok=False, found="these credentials see no channel",
            advice="Make them with an account-wide role; a channel administrator's see only some.",
        )  # fmt: skip
    return Check("role", ok=True, found=f"sees {many(len(channels), 'channel')}")


def _disk(dest: str) -> Check:
    try:
        require_usable(dest)
    except ArchiverError as error:
        return _failed("disk", error)
    path = standing(dest)
    if not path.is_dir():
        return Check("disk", ok=False, found=f"{path} is no folder", advice="Name a folder.")
    if not os.access(path, os.W_OK | os.X_OK):
        return Check(
            "disk", ok=False, found=f"{path} is not writable", advice="Check its owner and mode."
        )
    free = shutil.disk_usage(path).free
    if free < _FREE_LEAST:
        return Check(
            "disk", ok=False, found=f"{free >> 20} MiB free", advice="Make room: videos are large."
        )
    return Check("disk", ok=True, found=f"{free >> 30} GiB free")


async def _archive(dest: str) -> list[Check]:
    try:
        if not has_ledger(dest):
            return [Check("archive", ok=True, found="none yet: `archiver run` makes it")]
        async with reading(dest) as ledger:
            files, size = await ledger.holdings_count_bytes()
            well_at = await ledger.last_well_at()
    except ArchiverError as error:
        return [_failed("archive", error)]
    pid = running(Path(dest) / PRIVATE / "lock")
    busy = "" if pid is None else f"; a run is going on (pid {pid})"
    return [
        Check("archive", ok=True, found=f"{files} files, {size >> 20} MiB{busy}"),
        _last(well_at),
    ]


def _last(well_at: Instant | None) -> Check:
    """Whether the nightly job does its work; a job that never starts tells nobody."""
    if well_at is None:
        return Check("last run", ok=True, found="none yet")
    age_s = SystemClock().now() - well_at
    if age_s <= _STALE_S:
        return Check("last run", ok=True, found=f"well, {span(max(0.0, age_s))} ago")
    met("O05")
    return Check(
        "last run", ok=False, found=f"none has ended well for {span(age_s)}",
        advice="Does the nightly job start? `archiver status` tells how the last runs ended.",
    )  # fmt: skip
