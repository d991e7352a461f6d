"""``archiver demo``: the whole program at work, without an account.

Rule 1: the same ``archive.run`` as for a real account; only the vendor is made up.
Rule 2: made-up videos never come into an archive of real ones.
"""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from archiver.commands import options, output
from archiver.commands.epilog import examples
from archiver.commands.options import option
from archiver.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import anyio

    from archiver.console_lines import Lines
    from archiver.core.summary import Summary

FOLDER: Final = "archiver-demo"
_SIZE: Final = (1_000_000, 3_000_000)
_GENERATION_S: Final = (0.2, 1.2)
_LINE_BYTES_S: Final = 8_000_000.0  # slow enough to see the bars move, fast enough for 20 s
_MAX_WAIT_S: Final = 15.0
_EXAMPLES = examples(
    ("a few seconds, and a folder to look at", "archiver demo"),
    ("more videos, in a folder of your choice", "archiver demo --videos 16 --to /tmp/demo"),
)


@click.command(epilog=_EXAMPLES)
# Not ARCHIVER_TO: that is where the real videos are.
@option(
    "--to",
    key="demo_to",
    metavar="DIR",
    type=click.Path(file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Folder for the demo's archive.",
)
@option(
    "--videos",
    key="demo_videos",
    metavar="N",
    type=click.IntRange(1, 25),
    default=8,
    show_default=True,
    help="How many made-up videos.",
)
@options.as_json
@option("--no-progress", is_flag=True, help="Lines instead of bars, on a terminal too.")
@options.config
def command(demo_to: str, demo_videos: int, *, json: bool, no_progress: bool) -> int:  # fmt: skip
    """Archive a made-up channel, without an account, by the very code of `archiver run`.

    Takes a few seconds. The second time, there is nothing left to do.
    """
    from archiver.commands import watching

    observer = watching.watcher({"no_progress": no_progress})

    async def work(stop: anyio.Event) -> Summary:
        return await _archive(demo_to, demo_videos, observer, stop)

    summary = watching.attend(work, observer)
    answer = summary.as_json()
    if json:
        output.as_json(answer)
        return summary.exit_code
    for text in [*output.summary(answer, demo_to), *next_steps(demo_to)]:
        output.line(text)
    return summary.exit_code


def next_steps(to: str) -> Iterable[str]:
    """Where the files are, and what to try now."""
    yield ""
    yield f"The videos are in {Path(to) / 'data'}. Try now:"
    yield f"  archiver status {to}"
    yield f"  archiver verify {to}"
    yield f"  (cd {to} && sha256sum -c manifest-sha256.txt)"
    again = "" if to == FOLDER else f" --to {to}"
    yield f"  archiver demo{again}    once more: nothing is left to do"
    yield "For your own videos: archiver doctor"


async def _archive(to: str, videos: int, observer: Lines, stop: anyio.Event) -> Summary:
    from archiver import archive
    from archiver.account import Account, Secret
    from archiver.core.selection import ALL, AccountSource
    from archiver.emulator.config import EmulatorConfig
    from archiver.emulator.server import Emulator

    config = EmulatorConfig(
        videos=videos, channels=1, playlists=0, size=_SIZE, generation_s=_GENERATION_S,
        line_bytes_s=_LINE_BYTES_S,
    )  # fmt: skip
    async with Emulator(config) as vendor:
        await _require_demo(to, set(vendor.world.account.videos))
        account = Account(
            api_url=vendor.api_url, token_url=vendor.token_url, client_id=vendor.client_id,
            client_secret=Secret(vendor.client_secret),
        )  # fmt: skip
        observer.said(f"a made-up vendor of {videos} videos: {vendor.api_url}")
        wanted = archive.RunOptions(sources=(AccountSource(),), filter=ALL, max_wait_s=_MAX_WAIT_S)
        return await archive.run(to, account, wanted, observer, stop)


async def _require_demo(to: str, made_up: set[Any]) -> None:
    """Refuse an archive that holds anything but the demo's videos."""
    from archiver import archive

    if not (Path(to) / ".archiver").exists():
        return
    async with aclosing(archive.catalogue(to)) as rows:
        async for row in rows:
            if int(row.as_json()["id"]) not in made_up:
                raise DestinationError(
                    f"{to} holds other videos than the demo's.",
                    "Name another folder: archiver demo --to DIR",
                )
