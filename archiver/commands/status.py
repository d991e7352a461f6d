"""``archiver status``: where every video stands; also while a run is going on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from archiver.commands import options, output
from archiver.commands.alone import alone
from archiver.commands.epilog import examples
from archiver.console_text import local, many, safe, size, span

_FAILURES_MOST = 50  # a mail's worth
_RUNS_MOST = 5
_EXAMPLES = examples(
    ("also while a run is going on", "archiver status /srv/videos"),
    ("for a program", "archiver status /srv/videos --json"),
)


@click.command(epilog=_EXAMPLES)
@options.archive_folder
@options.as_json
@options.config
def command(to: str, *, json: bool) -> int:
    """Show where every video of the archive DEST stands."""
    from archiver import archive

    answer = alone(archive.status(to, at_once=True)).as_json()
    if json:
        output.as_json(answer)
        return 0
    for text in lines(answer, to):
        if not output.line(text):
            break
    return 0


def lines(answer: Mapping[str, Any], dest: str) -> Iterable[str]:
    """The standing for people, from its JSON object."""
    states = answer["states"]
    total = sum(states.values())
    yield f"{safe(dest)}: {many(total, 'video')}, {size(answer['bytes_archived'])} archived"
    if answer["running"]:
        yield f"  a run is going on now (process {answer['running']})"
    for state, count in states.items():
        if count:
            yield f"  {state:<12} {count:>9,}"
    if answer["next_deadline"]:
        yield f"To be downloaded by {local(answer['next_deadline'])}, or it is prepared again."
    yield from _runs(answer["last_runs"])
    if answer["failures"]:
        yield f"Not archived ({len(answer['failures']):,}):"
        yield from output.failures(answer["failures"], f"{dest} --json", _FAILURES_MOST)
        if any(each["state"] == "parked" for each in answer["failures"]):
            yield f"Put parked ones back with: archiver retry {dest}"


def _runs(runs: list[Mapping[str, Any]]) -> Iterable[str]:
    if runs:
        yield "Last runs:"
    for run in runs[:_RUNS_MOST]:
        videos = run["videos"]
        left = videos["parked"] + videos["remaining"]
        rest = f", {left:,} left" if left else ""
        yield (
            f"  {local(run['started_at'])}  {run['outcome']:<9} "
            f"{many(videos['archived'], 'video')} archived{rest}, {span(run['seconds'])}"
        )
