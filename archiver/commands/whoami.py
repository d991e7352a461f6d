"""``archiver whoami``: which credentials are used, and what they see."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from archiver.commands import options, output
from archiver.commands.epilog import examples
from archiver.console_text import local, many, safe

_KINDS: Final = {
    "token": "A ready access token", "client": "Client credentials", "login": "A stored login",
}  # fmt: skip
_TITLES_MOST = 5


_EXAMPLES = examples(
    ("which credentials are these?", "archiver whoami"),
    ("for a program", "archiver whoami --json"),
)


@click.command(epilog=_EXAMPLES)
@options.as_json
@options.reach
@click.pass_context
def command(ctx: click.Context, /, *, json: bool, **_: Any) -> int:
    """Show which credentials are used, and try them: what do they see?

    Exit code 0: they work; 3: they do not, or there are none; 1: nobody could be asked.
    """
    from archiver import archive

    found = asyncio.run(archive.whoami(options.account(ctx, needed=False)))
    answer = found.as_json()
    if json:
        output.as_json({"schema": 1, **answer})
    else:
        for text in lines(answer):
            output.line(text)
    if found.trouble:
        output.warn(found.trouble)
        if found.hint:
            click.echo(f"  {safe(found.hint)}", err=True)
    return found.exit_code


def lines(answer: Mapping[str, Any]) -> Iterable[str]:
    """The answer for people."""
    if (kind := _KINDS.get(answer["credentials"])) is None:
        return
    owner = f", client ID {safe(answer['client_id'])}" if answer["client_id"] else ""
    yield f"{kind} for {safe(answer['api_url'])}{owner}."
    if answer["kept_in"]:
        renewed = f", last renewed {local(answer['renewed_at'])}" if answer["renewed_at"] else ""
        yield f"Kept in {safe(answer['kept_in'])}{renewed}."
    if (channels := answer["channels"]) is None:
        return
    titles = ", ".join(safe(one["title"]) for one in channels[:_TITLES_MOST])
    rest = ", …" if len(channels) > _TITLES_MOST else ""
    yield f"Sees {many(len(channels), 'channel')}" + (f": {titles}{rest}." if channels else ".")
