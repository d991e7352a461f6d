"""``archiver plan``: what a run would do, touching nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from archiver.commands import options, output
from archiver.commands.believing import believing
from archiver.commands.epilog import examples
from archiver.console_text import local, many, safe, size, span

if TYPE_CHECKING:
    import anyio

    from archiver import archive
    from archiver.account import Account
_EXAMPLES = examples(
    ("what tonight would bring", "archiver plan account --to /srv/videos"),
    (
        "what was added since a day, for a program",
        "archiver plan account --since 2025-01-01 --to /srv/videos --json",
    ),
)


@click.command(epilog=_EXAMPLES)
@options.choosing
@options.destination()
@options.variant
@options.naming_template
@believing
@options.as_json
@options.quiet
@options.verbose
@options.reach
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:  # fmt: skip
    """Show what `archiver run` would do, and touch nothing: not even DEST is made."""
    return show(given, options.sources(given["sources"]), options.account(ctx))


def show(given: dict[str, Any], sources: options.Sources, account: Account) -> int:
    """Ask for the plan, print it; the exit code."""
    from archiver import archive
    from archiver.commands import watching

    wanted = options.run_options(given, sources)
    observer = watching.watcher(given)

    async def work(_: anyio.Event) -> archive.PlanReport:
        return await archive.plan(given["to"], account, wanted, observer)

    answer = watching.attend(work, observer).as_json()
    if given["json"]:
        output.as_json(answer)
    else:
        for text in (*lines(answer), *(names(answer) if given["name"] else ())):
            output.line(text)
    return 0


def lines(answer: Mapping[str, Any]) -> Iterable[str]:
    """The plan for people, from its JSON object."""
    videos, disk = answer["videos"], answer["disk"]
    yield (
        f"{many(videos['selected'], 'video')} selected: {videos['new']:,} new, "
        f"{videos['changed']:,} changed, {videos['archived']:,} archived, "
        f"{videos['parked']:,} parked."
    )
    yield f"  to download   {size(answer['bytes_to_fetch'])}"
    yield f"  API calls     about {answer['api_calls_expected']:,}{_for_extras(answer)}"
    if answer["seconds_expected"] is not None:
        yield f"  time          about {span(answer['seconds_expected'])}"
    if disk["free"] is not None:
        yield f"  disk          {size(disk['needed'])} needed, {size(disk['free'])} free"
        if disk["needed"] > disk["free"]:
            yield "Warning: the disk is too small for all of it."
    if first := answer["first_to_be_deleted"]:
        title = safe(first["title"])
        yield f"The vendor deletes {first['video']} ({title}) first: {local(first['at'])}."


def _for_extras(answer: Mapping[str, Any]) -> str:
    """How many captions there are to fetch, nobody knows before their lists are here."""
    count = answer["extras_calls_expected"]
    return f", {count:,} of them for extras; one more for each caption" if count else ""


def names(answer: Mapping[str, Any]) -> Iterable[str]:
    """What the first new videos would be called."""
    if preview := answer["names_preview"]:
        yield "The first new videos would be called:"
        yield from (f"  {safe(path)}" for path in preview)
    else:
        yield "No video is new: names stay as they are."
