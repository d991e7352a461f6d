"""``archiver verify``: read every file again, compare it with the ledger and the manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from archiver.commands import options, output
from archiver.commands.epilog import examples
from archiver.commands.options import option
from archiver.console_text import many, safe, size
from archiver.core.model import Holding

if TYPE_CHECKING:
    from archiver.archive import VerifyReport

_SHOWN_MOST = 50
_SAY_EVERY_S = 10.0
_EXAMPLES = examples(
    ("every file; on a large archive, hours", "archiver verify /srv/videos"),
    ("another slice every night", "archiver verify /srv/videos --sample 5% --quiet"),
    ("have what is damaged fetched again", "archiver verify /srv/videos --repair"),
)


@click.command(epilog=_EXAMPLES)
@options.archive_folder
@option(
    "--sample",
    metavar="SHARE",
    type=options.SHARE,
    help="Read only a part, as 5%; another one every day.",
)
@option(
    "--repair",
    is_flag=True,
    help="Write damaged descriptions anew, and have the next run fetch the rest again.",
)
@options.as_json
@option("--quiet", "-q", is_flag=True, help="Say only what does not match.")
@options.config
def command(to: str, **given: Any) -> int:  # fmt: skip
    """Read every file of the archive DEST again and compare size and SHA-256.

    Exit code 0: everything matches; 1: something is missing, changed or unknown.
    """
    report = asyncio.run(_verify(to, given))
    answer = report.as_json()
    if given["json"]:
        output.as_json(answer)
    elif report.exit_code or not given["quiet"]:
        for text in lines(answer, to):
            if not output.line(text):
                break
    return report.exit_code


def _verify(to: str, given: Mapping[str, Any]) -> Coroutine[Any, Any, VerifyReport]:
    from archiver import archive

    sample, progress = given["sample"], None if given["quiet"] else _reading()
    if given["repair"]:
        return archive.repair(to, sample=sample, progress=progress, say=output.warn)
    return archive.verify(to, sample=sample, progress=progress)


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


def lines(answer: Mapping[str, Any], to: str = "DEST") -> Iterable[str]:
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
    yield from _advice(answer, to)


def _advice(answer: Mapping[str, Any], to: str) -> Iterable[str]:
    """What was done about it, or can be."""
    if "queued" not in answer:
        damaged = [each for word in ("missing", "changed") for each in answer[word] if each["id"]]
        if damaged:
            yield (
                f"`archiver verify {safe(to)} --repair` writes what it can anew, and has the next "
                "run fetch the rest, unless the reason above says what becomes of it."
            )
        return
    if rewritten := len(answer["rewritten"]):
        yield f"{many(rewritten, 'file')} written anew from what the ledger knows."
    if queued := len(answer["queued"]):
        yield (
            f"{many(queued, 'file')} queued: the next `archiver run` that selects the videos "
            "asks the vendor again."
        )
    if (rewritten or queued) and any(each["id"] for each in answer["changed"]):
        yield f"Damaged copies are kept in {safe(to)}/.archiver/damaged until you delete them."
