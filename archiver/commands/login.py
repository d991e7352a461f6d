"""``archiver login``: credentials by the owner's consent in a browser."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from archiver.commands import options, output
from archiver.commands.epilog import examples

_EXAMPLES = examples(
    ("on this machine", "archiver login"),
    ("on a machine without a screen", "archiver login --no-browser"),
)


@click.command(epilog=_EXAMPLES)
@options.option(
    "--no-browser", is_flag=True, help="Print the address; take the code from standard input."
)
@options.reach
@click.pass_context
def command(ctx: click.Context, /, *, no_browser: bool, **_: Any) -> None:
    """Sign in with a browser: for a person, where client credentials are too much.

    Opens the vendor's page, waits for your consent and stores what it brings: in the system's
    keyring if the package keyring is installed, else in a file that you alone can read. `run`
    and all others then use it, unless other credentials are set, and renew it.

    Needs ARCHIVER_CLIENT_ID: that of a native application, made in the account's settings.
    """
    from archiver import archive

    account = options.account(ctx, needed=False)
    stored = asyncio.run(archive.login(account, _show, browser=not no_browser))
    output.line(f"Logged in to {stored.login.api_url}; the login is kept in {stored.place}.")
    if account.kind in ("token", "client"):
        output.warn("other credentials are set, and go before this login: see archiver whoami")


def _show(url: str, opened: bool) -> None:
    """The address is shown unaltered: it holds no secret, only the hash of one."""
    if opened:
        click.echo(
            f"archiver: waiting for your consent in the browser; if none opens:\n{url}", err=True
        )
        return
    click.echo("archiver: open this address:", err=True)
    click.echo(url)
    click.echo(
        "archiver: then paste the code here, or the whole address that the browser came to:",
        err=True,
    )
