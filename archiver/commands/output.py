"""Results on standard output: lines for people, JSON for programs.

Rule 1: a reader that went away, as ``head`` does, changes neither the work nor the exit code.
Rule 2: what comes from outside passes ``safe`` on its way to a screen.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from archiver.console_text import many, safe, size, span
from archiver.core.escaping import escaped
from archiver.errors import ArchiverError
from archiver.met import met

_FAILURES_MOST = 5


def line(text: str = "") -> bool:
    """Print one line of a result.  False: nobody reads any more.

    Raises:
        ArchiverError: standard output leads to a full disk.
    """
    return piece(f"{text}\n")


def piece(text: str | bytes) -> bool:
    """Print a piece of a text, or of a file; as ``line``."""
    try:
        click.echo(text, nl=False)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):  # EIO: the terminal was closed
            raise ArchiverError(f"The output cannot be written: {error.strerror}.") from error
        met("L28")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def warn(text: str) -> None:
    """Say what a person should know of, beside the results; who does not listen changes nothing."""
    try:
        click.echo(f"archiver: {safe(text)}", err=True)
    except OSError:  # the pipe is broken, the disk behind it full
        met("L28")


def as_json(answer: Mapping[str, Any]) -> bool:
    """Print an answer as one line of JSON; titles stay readable where the encoding can."""
    unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    text = json.dumps(answer, ensure_ascii=not unicode)
    return line(escaped(text))


def summary(answer: Mapping[str, Any], dest: str) -> Iterable[str]:
    """What a run did, in a few lines, from the object that ``run --json`` prints."""
    videos, moved = answer["videos"], answer["bytes"]
    took = span(answer["seconds"])
    text = f"Archived {many(videos['archived'], 'video')} ({size(moved['archived'])}) in {took}"
    if videos["already_archived"]:
        text += f"; {videos['already_archived']:,} stood there already"
    yield text + "."
    rest = [
        f"{videos[key]:,} {words}"
        for key, words in (
            ("skipped", "skipped: still being recorded"), ("gone", "gone at the vendor"),
            ("parked", "parked"), ("remaining", "left for the next run"),
        )
        if videos[key]
    ]  # fmt: skip
    if rest:
        yield f"{', '.join(rest)}."
    yield from failures(answer["failures"], dest)
    if endangered := answer["deletion"]["not_safe"]:
        yield (
            f"Warning: the vendor deletes {many(len(endangered), 'video')} within 31 days that "
            f"{'is' if len(endangered) == 1 else 'are'} not archived: "
            f"{', '.join(endangered[:_FAILURES_MOST])}"
            f"{', ...' if len(endangered) > _FAILURES_MOST else ''}."
        )
    if lacking := answer["extras"]["missing"]:
        yield f"Extras of {many(lacking, 'video')} are missing: asked for again in later runs."
    if stays := answer["unlisted"]:
        yield f"{many(stays, 'archived video')} no longer listed by the vendor: kept."
    if answer["outcome"] == "refused":
        return  # why, is said on standard error
    if said := answer.get("message"):
        yield safe(said)
    elif answer["outcome"] == "stopped":
        yield "Stopped before the end. Nothing is lost: run the same command again to go on."


def failures(each: list[Mapping[str, Any]], dest: str, most: int = _FAILURES_MOST) -> Iterable[str]:
    """The first few that are not archived, and where the rest is."""
    for one in each[:most]:
        tries = f" ({many(one['attempts'], 'attempt')})" if one["attempts"] else ""
        why = safe(one["reason"] or "no reason is known")
        yield f"  {one['video']:>10}  {one['state']:<10} {safe(one['title'])}: {why}{tries}"
    if len(each) > most:
        yield f"  and {len(each) - most:,} more: archiver status {dest}"
