"""``archiver events``: what happened to the files of an archive; also as PREMIS."""

from __future__ import annotations

from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import TYPE_CHECKING, Any

import click

from archiver.commands import options, output
from archiver.commands.alone import alone
from archiver.commands.epilog import examples
from archiver.commands.moments import Moment, instant
from archiver.commands.options import option
from archiver.commands.outside import outside_archives, written
from archiver.console_text import local, safe
from archiver.core.model import NOW

if TYPE_CHECKING:
    from archiver.adapters.outside_file import Write
    from archiver.records.history import Happening


_EXAMPLES = examples(
    ("what happened in the last week", "archiver events /srv/videos --since 7d"),
    ("all of it, for a records system", "archiver events /srv/videos --premis events.xml"),
)


@click.command(epilog=_EXAMPLES)
@options.archive_folder
@option("--since", key="events_since", metavar="DATE", type=Moment(),
        help="Only what happened since DATE, or 30d.")  # fmt: skip
@option(
    "--premis",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    callback=outside_archives,
    help="Write all of it to FILE as PREMIS 3.0 (XML); - is standard output.",
)
@options.as_json
@options.config
def command(to: str, **given: Any) -> int:  # fmt: skip
    """Show what happened to each file of the archive DEST: fetched, stored, verified, damaged."""
    if given["premis"]:
        if given["events_since"]:
            raise click.UsageError("--premis tells all of it: leave --since out.")
        if given["json"]:
            raise click.UsageError("--premis and --json exclude each other.")
        alone(_premis(to, given["premis"]))
    else:
        alone(_list(to, given))
    return 0


async def _list(to: str, given: dict[str, Any]) -> None:
    from archiver import archive

    since = instant(given["events_since"]) or NOW
    async with aclosing(archive.history(to, since=since, at_once=True)) as history:
        async for each in history:
            told = output.as_json(each.as_json()) if given["json"] else output.line(text(each))
            if not told:  # `| head`
                break


async def _premis(to: str, path: str) -> None:
    from archiver import archive

    async with aclosing(archive.premis(to, at_once=True)) as chunks:
        first = await anext(chunks)  # a refusal leaves no file behind
        with _to(path) as write:
            write(first)
            async for chunk in chunks:
                write(chunk)


def _to(path: str) -> AbstractContextManager[Write]:
    """A file, or standard output; UTF-8 there, too, as the document says of itself."""
    if path == "-":
        return nullcontext(lambda text: output.piece(text.encode()))
    return written(path, "The file")


def text(each: Happening) -> str:
    """One happening for people."""
    answer = each.as_json()
    words = each.detail.get("reason") or "".join(each.paths[:1]).rpartition("/")[2]
    if answer["id"] is None:
        words = f"{each.detail.get('checked')} files, {each.detail.get('read')} of them read"
        words += "" if each.is_good else f", {each.detail.get('not_as_recorded')} not as recorded"
    which = f"{answer['format'] or ''} v{answer['version']}" if answer["id"] else ""
    return (
        f"{local(answer['at']):<16}  {answer['event']:<12}  {answer['id'] or '':>10}  {which:<8}  "
        f"{safe(str(words or ''))}"
    ).rstrip()
