"""``archiver doctor``: what stands in the way of a run, and what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import click

from archiver.account import Account, Secret
from archiver.commands import options, output
from archiver.commands.epilog import examples
from archiver.console_text import safe
from archiver.errors import SettingsError

_MEND: Final = "Mend the variable, or its key in the settings file."
# In this order: what stands first is to be mended first.
_CODES: Final = (("setting", 2), ("credential", 3), ("role", 3), ("disk", 4), ("archive", 4))
_EXAMPLES = examples(
    ("before the first run", "archiver doctor"),
    ("disk, archive and last run, too", "archiver doctor --to /srv/videos"),
)


@click.command(epilog=_EXAMPLES)
@options.destination(required=False)
@options.as_json
@options.reach
@click.pass_context
def command(ctx: click.Context, /, to: str | None, *, json: bool, **_: Any) -> int:
    """Check settings, credentials, role, clock, proxy, API and disk; say what to do.

    Exit code 0: all is well; 2 settings, 3 credentials, 4 disk, 1 anything else.
    """
    checks = _checks(ctx, to)
    if json:
        output.as_json({"schema": 1, "checks": checks})
    else:
        for text in lines(checks):
            output.line(text)
    return exit_code(checks)


def lines(checks: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """The findings for people."""
    wide = max((len(check["name"]) for check in checks), default=0)
    for check in checks:
        mark = "ok  " if check["ok"] else "FAIL"
        yield f"{mark}  {check['name']:<{wide}}  {safe(check['found'])}"
        if check["advice"] and not check["ok"]:
            yield f"      {'':<{wide}}  -> {safe(check['advice'])}"


def exit_code(checks: Sequence[Mapping[str, Any]]) -> int:
    """The code that `run` would end with, were it tried now; 0 where nothing is wrong."""
    wrong = [check["name"].lower() for check in checks if not check["ok"]]
    for word, code in _CODES:
        if any(word in name for name in wrong):
            return code
    return 1 if wrong else 0


def _checks(ctx: click.Context, to: str | None) -> list[dict[str, Any]]:
    try:
        account = options.account(ctx, needed=False)
    except SettingsError as error:  # the first finding, and nothing can be tried without settings
        return [_check("settings", False, str(error), error.hint or _MEND)]
    from archiver import archive

    found = asyncio.run(archive.doctor(to, account))
    checks = [_check(each.name, each.ok, each.found, each.advice) for each in found]
    return [*checks, *_outlets(ctx, account)]


def _outlets(ctx: click.Context, account: Account) -> Iterator[dict[str, Any]]:
    """Whether who is set to be told of a night could be; nobody is told anything."""
    from archiver.adapters.notify import Notifier
    from archiver.adapters.ping import Ping

    makers: Mapping[str, Callable[[Secret], object]] = {
        "ping": lambda to: Ping(to, account.proxy, account.ca_file), "notify": Notifier,
    }  # fmt: skip
    for name, made in makers.items():
        try:
            if address := options.outlet(ctx, name):
                made(address)
                yield _check(f"{name} setting", True, "is set", "")
        except SettingsError as error:
            yield _check(f"{name} setting", False, str(error), error.hint or _MEND)


def _check(name: str, ok: bool, found: str, advice: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "advice": advice}
