"""``archiver list``: the catalogue, one line a stored version."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import click

from archiver.commands import options, output
from archiver.commands.alone import alone
from archiver.commands.epilog import examples
from archiver.commands.moments import Moment, instant
from archiver.commands.options import option
from archiver.console_text import safe, size
from archiver.core.model import ChannelId, JobState
from archiver.core.selection import ChannelSource, parse_source

_EXAMPLES = examples(
    ("everything that is here or wanted", "archiver list /srv/videos"),
    ("what was given up", "archiver list /srv/videos --state parked"),
    (
        "a channel's videos since a day, for a program",
        "archiver list /srv/videos --channel 23711860 --since 2025-01-01 --json",
    ),
)


# fmt: off
@click.command(epilog=_EXAMPLES)
# Keys of their own: a filter that is set for `run` must not hide what the archive holds.
@options.archive_folder
@option("--channel", key="list_channel", metavar="ID", help="Only videos of this channel.")
@option("--state", key="list_state", type=click.Choice([str(state) for state in JobState]),
        help="Only videos in this state.")
@option("--since", key="list_since", metavar="DATE", type=Moment(),
        help="Only videos since DATE, or 30d.")
@option("--until", key="list_until", metavar="DATE", type=Moment(end=True),
        help="Only videos up to the end of DATE.")
@option("--text", key="list_text", metavar="TEXT", help="Only titles with TEXT in them.")
@options.as_json
@options.config
def command(to: str, **given: Any) -> int:
    # fmt: on
    """List the videos of the archive DEST: number, state, day, size, title."""
    channel = _channel(given["list_channel"])
    return alone(_list(to, channel, given))


async def _list(to: str, channel: ChannelId | None, given: dict[str, Any]) -> int:
    from archiver import archive

    rows = archive.catalogue(
        to,
        channel=channel,
        state=JobState(given["list_state"]) if given["list_state"] else None,
        since=instant(given["list_since"]),
        until=instant(given["list_until"], end=True),
        text=given["list_text"],
        at_once=True,
    )
    async with aclosing(rows):  # the ledger is closed in order, however this ends
        async for row in rows:
            answer = row.as_json()
            told = output.as_json(answer) if given["json"] else output.line(text(answer))
            if not told:  # `| head`
                break
    return 0


def text(row: Mapping[str, Any]) -> str:
    """One stored version for people, from its JSON object."""
    day = (row["created_at"] or "")[:10]
    held = size(row["bytes"]) if row["bytes"] is not None else ""
    version = f" v{row['version']}" if row["version"] > 1 else ""
    return (
        f"{row['id']:>10}  {row['state']:<10}  {day:<10}  {held:>10}  {safe(row['title'])}{version}"
    )


def _channel(given: str | None) -> ChannelId | None:
    if given is None:
        return None
    try:
        source = parse_source(given if ":" in given else f"channel:{given}")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--channel") from error
    if isinstance(source, ChannelSource) and isinstance(source.channel, int):
        return source.channel
    raise click.BadParameter("give the channel's number, as in 23711860.", param_hint="--channel")
