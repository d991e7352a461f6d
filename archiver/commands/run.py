"""``archiver run``: archive what is missing; the nightly command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from archiver.commands import options, output
from archiver.commands.believing import believing
from archiver.commands.epilog import examples
from archiver.commands.options import option
from archiver.commands.outside import written
from archiver.commands.telling import telling
from archiver.met import met

if TYPE_CHECKING:
    import anyio

    from archiver import archive
    from archiver.account import Account
    from archiver.commands.reporting import Night
    from archiver.console_lines import Lines
    from archiver.core.summary import Summary
_EXAMPLES = examples(
    ("the whole account; every night again", "archiver run account --to /srv/videos"),
    ("begin with a few", "archiver run account --to /srv/videos --limit 5"),
    (
        "one channel, what was added in the last 30 days",
        "archiver run channel:23711860 --since 30d --to /srv/videos",
    ),
    (
        "a list of sources, at most 20 MiB a second and six hours",
        "archiver run @videos.txt --to /srv/videos --limit-rate 20M --max-duration 6h",
    ),
    (
        "as cron wants it: a word only where something is wrong",
        "archiver run account --to /srv/videos --quiet --report night.json",
    ),
)


@click.command(epilog=_EXAMPLES)
@options.choosing
@options.destination()
@options.variant
@option(
    "--downloads",
    type=options.PARALLEL,
    default=8,
    show_default=True,
    metavar="N",
    help="Downloads at a time.",
)
@option(
    "--requests",
    type=options.PARALLEL,
    default=8,
    show_default=True,
    metavar="N",
    help="API calls at a time.",
)
@option(
    "--limit-rate",
    type=options.RATE,
    metavar="RATE",
    help="Bytes a second over all downloads, as 20M; or a timetable, as '08:00,2M 18:00,off'.",
)
@option(
    "--max-duration", type=options.SPAN, metavar="SPAN", help="End cleanly after this long, as 6h."
)
@option(
    "--max-wait",
    type=options.SPAN,
    default="6h",
    show_default=True,
    metavar="SPAN",
    help="Give up after so long without any progress.",
)
@options.naming_template
@options.contact
@option("--no-extras", is_flag=True, help="Videos only: no thumbnails, captions, details.")
@option(
    "--extras-calls",
    type=click.IntRange(0),
    metavar="N",
    help="At most N API calls for extras; the rest comes on other nights.",
)
@option("--refresh", is_flag=True, help="Ask for the extras of all selected videos again.")
@believing
@option("--dry-run", "-n", is_flag=True, help="The same as `archiver plan`.")
@telling
@options.reach
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:  # fmt: skip
    """Archive what is missing from SOURCE: request, wait, download, verify.

    SOURCE is `account`, channel:ID, playlist:ID, video:ID, a video's number, a page address
    (https://video.ibm.com/recorded/ID), @FILE with one source a line, or - for standard input.

    Safe to repeat and to interrupt: the next run goes on where this one ended.
    """
    _refuse_contradictions(ctx, given)
    if given["dry_run"]:
        from archiver.commands import plan

        return plan.show(given, options.sources(given["sources"]), options.account(ctx))
    from archiver.commands import reporting

    return reporting.reported(ctx, given, lambda night: _run(ctx, given, night))


def _refuse_contradictions(ctx: click.Context, given: dict[str, Any]) -> None:
    if given["quiet"] and given["verbose"]:
        raise click.UsageError("--quiet and --verbose exclude each other.")
    if not given["no_extras"]:
        return
    for name in ("refresh", "extras_calls"):
        # One night may do without the extras for which the settings have a number of calls.
        is_typed = [
            ctx.get_parameter_source(each) is ParameterSource.COMMANDLINE
            for each in ("no_extras", name)
        ]
        is_given = given[name] is not None and given[name] is not False
        if is_given and is_typed != [True, False]:
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"--no-extras and {flag} exclude each other.")


def _run(ctx: click.Context, given: dict[str, Any], night: Night) -> Summary:
    from archiver.adapters.outside_file import require_writable
    from archiver.errors import ArchiverError

    sources = options.sources(given["sources"])
    if given["report"]:
        require_writable(given["report"])
    try:
        account = options.account(ctx)
        summary = _archive(given, account, options.run_options(given, sources), night)
    except ArchiverError as error:
        # Programs learn why from the same object; the person, from the sentence that cli prints.
        _tell(night.refused(error), given)
        raise
    _tell(summary, given)
    # With --json the words on standard output are for a program; a stop is a person's doing.
    if summary.outcome == "refused" or (summary.outcome == "stopped" and given["json"]):
        output.warn(summary.message)
    return summary


def _archive(
    given: dict[str, Any], account: Account, wanted: archive.RunOptions, night: Night
) -> Summary:
    from archiver import archive
    from archiver.commands import watching

    observer: Lines = watching.watcher(given, night.beside)

    async def work(stop: anyio.Event) -> Summary:
        try:
            return await archive.run(given["to"], account, wanted, observer, stop)
        finally:
            night.is_hurried = stop.is_set()

    return watching.attend(work, observer)


def _tell(summary: Summary, given: dict[str, Any]) -> None:
    answer = summary.as_json()
    if given["report"]:
        with written(given["report"], "The report") as write:
            write(json.dumps(answer, indent=1) + "\n")
    if given["json"]:
        output.as_json(answer)
        return
    begun = summary.outcome != "refused" or summary.selected
    if given["quiet"] and summary.exit_code == 0:
        met("O02")  # a mail from cron is a failure
    elif begun:
        for text in output.summary(answer, given["to"]):
            output.line(text)
