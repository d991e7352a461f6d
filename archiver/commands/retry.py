"""``archiver retry``: put parked videos back in the queue."""

from __future__ import annotations

import asyncio

import click

from archiver.commands import options, output
from archiver.commands.epilog import examples
from archiver.console_text import many
from archiver.core.model import VideoId
from archiver.core.selection import VideoSource, parse_source

_EXAMPLES = examples(
    ("all parked videos", "archiver retry /srv/videos"),
    ("one of them", "archiver retry /srv/videos 124347309"),
)


@click.command(epilog=_EXAMPLES)
@options.archive_folder
@click.argument("videos", metavar="[VIDEO_ID]...", nargs=-1)
@options.as_json
@options.config
def command(to: str, videos: tuple[str, ...], *, json: bool) -> int:
    """Put parked videos of the archive DEST back in the queue: the given ones, or all."""
    ids = [_video(text) for text in videos]
    from archiver import archive

    count = asyncio.run(archive.retry(to, ids or None, say=output.warn))
    if json:
        output.as_json({"schema": 1, "reopened": count})
    elif count:
        back = "is back" if count == 1 else "are back"
        output.line(f"{many(count, 'video')} {back} in the queue; `archiver run` does the rest.")
    else:
        output.line("No video is parked there." if not ids else "None of these is parked.")
    return 0


def _video(text: str) -> VideoId:
    try:
        source = parse_source(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="VIDEO_ID") from error
    if not isinstance(source, VideoSource):
        raise click.BadParameter(f"{source} is no video.", param_hint="VIDEO_ID")
    return source.video
