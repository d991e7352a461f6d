"""The options of how a run is told, and to whom; ``reporting`` does it."""

from __future__ import annotations

import click

from archiver.commands import options
from archiver.commands.options import option
from archiver.commands.outside import outside_archives


def telling(function: options.F) -> options.F:
    """How a run is told, and to whom; the settings alone know the addresses, which are secret."""
    for one in (
        option("--notify-on", type=click.Choice(["failure", "warning", "always"]),
               default="failure", show_default=True, help="When ARCHIVER_NOTIFY gets a message."),
        option("--metrics-file", metavar="FILE", type=click.Path(dir_okay=False),
               callback=outside_archives,
               help="Write figures for Prometheus to FILE."),
        option("--log-file", metavar="FILE", type=click.Path(dir_okay=False),
               callback=outside_archives,
               help="Add what is told to FILE, too."),
        option("--log-format", type=click.Choice(["text", "json", "journal"]), default="text",
               show_default=True, help="How lines on standard error look."),
        option("--no-progress", is_flag=True, help="Lines instead of bars, on a terminal too."),
        options.verbose,
        options.quiet,
        option("--report", metavar="FILE", type=click.Path(dir_okay=False),
               callback=outside_archives,
               help="Write the JSON summary to FILE, too."),
        options.as_json,
    ):  # fmt: skip
        function = one(function)
    return function
