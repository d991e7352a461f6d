"""The options that commands share: each with its variable, its key in the settings file, its type.

Rule: every option names its variable itself.  click's ``auto_envvar_prefix`` would name it after
the command and the Python parameter, and the settings would depend on both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from archiver import settings
from archiver.account import Account, Secret
from archiver.commands import output
from archiver.commands.moments import Moment
from archiver.core import naming, selection, timetable
from archiver.core.bag import Contact
from archiver.core.model import Instant

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from archiver import archive

F = TypeVar("F", bound=Callable[..., Any])
Sources: TypeAlias = tuple[selection.Source, ...]
_META = "archiver.settings"
_SOURCES_MOST_BYTES = 50_000_000  # a million sources
_PARALLEL_MOST = 256


class Text(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """A text that a function of ``core.selection`` reads; its ValueError is the user's message."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name, self._read = name, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read *value*; numbers come from the settings file."""
        if not isinstance(value, str | int | float):
            return value
        try:
            return self._read(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Folder(click.ParamType):  # type: ignore[type-arg]
    """A folder's path, as it was typed."""

    name = "DEST"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what an unset variable of a script leaves: it would mean the working directory."""
        if isinstance(value, str) and (not value.strip() or "\0" in value):
            self.fail("it is empty; name the folder of the archive.", param, ctx)
        return value

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Folders, which the shell itself knows best."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="dir")]


RATE = Text("RATE", timetable.parse_rate)
SHARE = Text("SHARE", selection.parse_share)
SPAN = Text("SPAN", selection.parse_span)
PATTERN = Text("REGEX", selection.parse_pattern)
NAME = Text("TEMPLATE", naming.parse_template)
PARALLEL = click.IntRange(1, _PARALLEL_MOST)


def option(*names: str, key: str = "", **given: Any) -> Callable[[F], F]:
    """An option that has the settings key of its long name, or *key*, and a variable like it."""
    long = next(name for name in names if name.startswith("--"))
    key = key or long.removeprefix("--").replace("-", "_")
    return click.option(*names, key, envvar=settings.PREFIX + key.upper(), **given)


def config(function: F) -> F:
    """``--config``: read before every other option, which then find their defaults in it."""
    return click.option(
        "--config", metavar="FILE", envvar="ARCHIVER_CONFIG", is_eager=True, expose_value=False,
        callback=_load,
        help="Settings file.  [default: archiver.toml in your configuration folder]",
    )(function)  # fmt: skip


def _load(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if ctx.resilient_parsing:  # completion: no files, no complaints
        return
    ctx.meta[_META] = file = settings.load(value)
    ctx.default_map = dict(file.flags)


def destination(*, required: bool = True) -> Callable[[F], F]:
    """``--to DEST``."""
    return option("--to", metavar="DEST", required=required, type=Folder(),
                  help="Folder of the archive; made by the first run.")  # fmt: skip


def archive_folder(function: F) -> F:
    """The argument DEST, of commands that need nothing but the archive."""
    return click.argument("to", metavar="DEST", envvar="ARCHIVER_TO", type=Folder())(function)


def as_json(function: F) -> F:
    """``--json``."""
    return option("--json", is_flag=True, help="Print the answer as JSON.")(function)


def reach(function: F) -> F:
    """How to reach the vendor."""
    for one in (
        option("--ca-file", metavar="FILE", type=click.Path(),
               help="Also trust the authorities in this file."),
        option("--proxy", metavar="URL", help="Go through this HTTP proxy."),
    ):  # fmt: skip
        function = one(function)
    return config(function)


CONTACT = {
    "organization": "Whose archive this is", "contact_name": "Who answers for it",
    "contact_email": "The address of that person", "contact_phone": "The telephone number",
    "description": "What the archive holds",
}  # fmt: skip
variant = option(
    "--format",
    type=click.Choice(["mp4", "flv"]),
    default="mp4",
    show_default=True,
    help="Which downloadable version.",
)
naming_template = option(
    "--name",
    type=NAME,
    metavar="TEMPLATE",
    help="How a new archive calls its videos.  [default: {date} {title} [{id}]]",
)
quiet = option("--quiet", "-q", is_flag=True, help="Say only warnings and errors.")
verbose = option("--verbose", "-v", is_flag=True, help="Say every step.")


def contact(function: F) -> F:
    """Whose archive it is: for the bag."""
    for key, what in reversed(CONTACT.items()):
        flag = f"--{key.replace('_', '-')}"
        function = option(flag, metavar="TEXT", help=f"{what}, for bag-info.txt; kept.")(function)
    return function


def choosing(function: F) -> F:
    """Which videos: the sources and the filter."""
    for one in (
        option("--limit", metavar="N", type=click.IntRange(1), help="At most N videos."),
        option("--match", metavar="REGEX", type=PATTERN,
               help="Only titles in which REGEX is found."),
        option("--protect", type=click.Choice(["public", "private", "any"]), default="any",
               show_default=True, help="Only public, or only private, videos."),
        option("--until", metavar="DATE", type=Moment(end=True),
               help="Only videos added up to the end of DATE."),
        option("--since", metavar="DATE", type=Moment(),
               help="Only videos added since DATE: 2026-11-23, or 30d for the last 30 days."),
        click.argument(
            "sources", metavar="SOURCE...", nargs=-1, required=True, shell_complete=_nouns
        ),
    ):  # fmt: skip
        function = one(function)
    return function


def _nouns(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    nouns = ("account", "channel:", "playlist:", "video:")
    return [noun for noun in nouns if noun.startswith(incomplete)]


def sources(texts: tuple[str, ...]) -> tuple[selection.Source, ...]:
    """All sources, with the files named by ``@FILE`` and ``-`` read; each once.

    Raises:
        click.UsageError: one of them means nothing, or there is none.
    """
    found: list[selection.Source] = []
    for text in texts:
        lines, place = _lines(text)
        for line in lines:
            try:
                found.append(selection.parse_source(line))
            except ValueError as error:
                raise click.UsageError(f"{place}{error}") from error
    if not found:
        raise click.UsageError("There is no source in the files given.")
    return selection.unique(found)


def _lines(text: str) -> tuple[tuple[str, ...], str]:
    """The sources that *text* stands for, and the file to name in a complaint."""
    if text != "-" and not text.startswith("@"):
        return (text,), ""
    name = "standard input" if text == "-" else text[1:]
    try:
        if text == "-":
            read = sys.stdin.buffer.read(_SOURCES_MOST_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                read = file.read(_SOURCES_MOST_BYTES + 1)
        if len(read) > _SOURCES_MOST_BYTES:
            raise click.UsageError(f"{name} is too long for a list of sources.")
        return selection.read_sources(read.decode("utf-8")), f"{name}: "
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise click.UsageError(f"{name} cannot be read: {why}.") from error


def filter_of(given: dict[str, Any], now: Instant) -> selection.Filter:
    """The filter that the options make."""
    since, until = given["since"], given["until"]
    return selection.Filter(
        since=selection.parse_moment(since, now) if since else None,
        until=selection.parse_moment(until, now, end=True) if until else None,
        protect=given["protect"], match=given["match"], limit=given["limit"],
    )  # fmt: skip


def run_options(given: dict[str, Any], sources: Sources) -> archive.RunOptions:
    """The options of ``archive.run`` that the command line means."""
    from archiver import archive
    from archiver.commands import watching

    return archive.RunOptions(
        sources=sources, filter=filter_of(given, watching.now()),
        variant=given.get("format", "mp4"), downloads=given.get("downloads", 8),
        requests=given.get("requests", 8), limit_rate=given.get("limit_rate"),
        max_duration_s=given.get("max_duration"), max_wait_s=given.get("max_wait", 21_600.0),
        extras=not given.get("no_extras"), extras_calls=given.get("extras_calls"),
        refresh=given.get("refresh", False),
        accept_shrunk=given.get("accept_shrunk", False),
        full_listing=given.get("full_listing", False),
        accept_replaced=given.get("accept_replaced", False), name=given.get("name"),
        contact=Contact(**{key: given.get(key) for key in CONTACT}),
    )  # fmt: skip


def outlet(ctx: click.Context, name: str) -> Secret:
    """Where news of a run go, by the settings: "ping" or "notify"; empty for nowhere.

    Raises:
        SettingsError: it cannot be used.
    """
    found, warnings = settings.outlet(name, ctx.meta[_META], os.environ)
    for warning in warnings:
        output.warn(warning)
    return found


def account(ctx: click.Context, *, needed: bool = True) -> Account:
    """The account that the settings describe.

    Raises:
        SettingsError, AuthError: it cannot be used; or has no credentials although *needed*.
    """
    file: settings.SettingsFile = ctx.meta[_META]
    built, warnings = settings.account(
        file, os.environ, proxy=ctx.params.get("proxy"), ca_file=ctx.params.get("ca_file")
    )
    for warning in warnings:
        output.warn(warning)
    if needed:
        built.require_credentials()
    return built
