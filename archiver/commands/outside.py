"""Files that a command writes at a person's wish never lie in an archive.

A name that was completed once too far would be the end of a video.
"""

from __future__ import annotations

from pathlib import Path

import click


def outside_archives(_ctx: click.Context, _option: click.Parameter, path: str | None) -> str | None:
    """A callback for options that name a file to be written.

    Raises:
        click.BadParameter: it lies in an archive, wherever links lead.
    """
    if path is None:
        return None
    from archiver.adapters.destination import ID_FILE, PRIVATE  # not for --help

    place = Path(path).resolve()
    for folder in (place, *place.parents):
        if (folder / PRIVATE / ID_FILE).exists():
            raise click.BadParameter(f"{path} lies in the archive {folder}: name a file elsewhere.")
    return path
