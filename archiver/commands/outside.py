"""Files that a command writes at a person's wish: never in an archive, and whole or not at all.

A name that was completed once too far would be the end of a video.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from archiver.adapters.outside_file import Write


def outside_archives(_ctx: click.Context, option: click.Parameter, path: str | None) -> str | None:
    """A callback for options that name a file to be written.

    Raises:
        click.BadParameter: it lies in an archive, wherever links lead; or it is ``-``, and the
            option's type does not take that.
    """
    if path is None or (path == "-" and getattr(option.type, "allow_dash", False)):
        return path
    if path == "-":
        raise click.BadParameter("- is no file: name one, or /dev/stderr (./- for that name).")
    from archiver.adapters.places import ID_FILE, PRIVATE  # not for --help

    place = Path(path).resolve()
    for folder in (place, *place.parents):
        if (folder / PRIVATE / ID_FILE).exists():
            raise click.BadParameter(f"{path} lies in the archive {folder}: name a file elsewhere.")
    return path


@contextmanager
def written(path: str, what: str) -> Iterator[Write]:
    """Write *what*, piece by piece; a file holds all of it, or what it held before.

    Raises:
        ArchiverError: it could not be written.
    """
    from archiver.adapters.outside_file import writing
    from archiver.errors import ArchiverError

    try:
        with writing(path) as write:
            yield write
    except OSError as error:
        raise ArchiverError(f"{what} {path} cannot be written: {error.strerror}.") from error
