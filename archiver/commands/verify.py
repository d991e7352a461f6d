"""``archiver verify``: read every file again, compare it with the ledger and the manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from archiver.commands import options, output
from archiver.commands.options import option
from archiver.console_text import many, safe, size
from archiver.core.model import Holding

_SHOWN_MOST = 50
_SAY_EVERY_S = 10.0


@click.command()
@options.archive_folder
@option(
    "--sample",
    metavar="SHARE",
    type=options.SHARE,
    help="Read only a part, as 5%; another one every day.",
)
@options.as_json
@option("--quiet", "-q", is_flag=True, help="Say only what does not match.")
@options.config
def command(to: str, *, sample: float | None, json: bool, quiet: bool) -> int:  # fmt: skip
    """Read every file of the archive DEST again and compare size and SHA-256.

    Exit code 0: everything matches; 1: something is missing, changed or unknown.
    """
    from archiver import archive

    report = asyncio.run(archive.verify(to, sample=sample, progress=None if quiet else _reading()))
    answer = report.as_json()
    if json:
        output.as_json(answer)
    elif report.exit_code or not quiet:
        for text in lines(answer):
            if not output.line(text):
                break
    return report.exit_code


def _reading() -> Callable[[Holding], None]:
    """Says once in a while how far it is: terabytes take hours.  Silent in short ones."""
    from archiver.commands import watching

    files = 0
    told_at = watching.now()

    def looked_at(_: Holding) -> None:
        nonlocal files, told_at
        files += 1
        if watching.now() - told_at >= _SAY_EVERY_S:
            told_at = watching.now()
            click.echo(f"{many(files, 'file')} checked …", err=True)

    return looked_at


def lines(answer: Mapping[str, Any]) -> Iterable[str]:
    """The finding for people, from its JSON object."""
    found = [(word, each) for word in ("missing", "changed", "unknown") for each in answer[word]]
    read = "" if answer["read"] == answer["checked"] else f"{answer['read']:,} of them read, "
    checked = f"{many(answer['checked'], 'file')} checked ({read}{size(answer['bytes'])})"
    if not found:
        yield f"{checked}: all match."
        return
    yield f"{checked}: {answer['ok']:,} match, {len(found):,} do not."
    for word, each in found[:_SHOWN_MOST]:
        reason = f"  {safe(each['reason'])}" if each["reason"] else ""
        yield f"  {word:<8} {safe(each['path'] or str(each['id']))}{reason}"
    if len(found) > _SHOWN_MOST:
        yield f"  and {len(found) - _SHOWN_MOST:,} more: --json names all of them"
