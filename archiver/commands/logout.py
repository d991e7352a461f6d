"""``archiver logout``: the stored login is taken back and deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from archiver.commands import options, output
from archiver.commands.epilog import examples

_EXAMPLES = examples(
    ("when nobody here needs it any more", "archiver logout"),
)


@click.command(epilog=_EXAMPLES)
@options.reach
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> None:
    """Have the vendor take the stored login back, and delete it here.

    Credentials in variables or in the settings file stay as they are.
    """
    from archiver import archive

    output.line(asyncio.run(archive.logout(options.account(ctx, needed=False))))
