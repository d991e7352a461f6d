"""Write the manual pages from the commands themselves: ``python -m tools.manual FOLDER``.

A page written by hand drifts from the program; these cannot, and a test compares them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path

import click

from archiver.cli import COMMANDS, app
from archiver.version import __version__

FOLDER = Path(__file__).parent.parent / "man"
FILES = (
    ("archiver.toml", "settings, in your configuration folder (Linux: ~/.config/archiver)."),
    ("DEST/manifest-sha256.txt", "SHA-256 of every archived file, as sha256sum -c reads it."),
    ("DEST/.archiver/", "ledger, lock, unfinished downloads."),
)  # fmt: skip


def pages() -> Mapping[str, str]:
    """Every page by its file name: the program's, and one for each command below it."""
    all_of_them = list(_walk(app, "archiver"))
    return {f"{_title(each)}.1": _page(each, all_of_them) for each in all_of_them}


def _walk(
    command: click.Command, name: str, above: click.Context | None = None
) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=above, **command.context_settings)
    yield context
    for word, below in _below(command).items():
        yield from _walk(below, word, context)


def _below(command: click.Command) -> Mapping[str, click.Command]:
    if command is app:  # whose commands are imported when they are called
        return {name: import_module(f"archiver.commands.{name}").command for name in COMMANDS}
    return command.commands if isinstance(command, click.Group) else {}


def _title(context: click.Context) -> str:
    return context.command_path.replace(" ", "-")


def _page(context: click.Context, others: Iterable[click.Context]) -> str:
    command, title = context.command, _roff(_title(context))
    return "\n".join(
        [
            f'.TH "{title.upper()}" 1 "" "archiver {_roff(__version__)}" "User Commands"',
            ".SH NAME", f"{title} \\- {_short(context)}",
            ".SH SYNOPSIS", f".B {_roff(context.command_path)}",
            _roff(" ".join(command.collect_usage_pieces(context))),
            ".SH DESCRIPTION", *_paragraphs(command.help or ""),
            ".SH OPTIONS", *_options(command, context),
            *_commands(others, context), *_epilog(command.epilog or ""), *_around(context, others),
        ]
    ) + "\n"  # fmt: skip


def _short(context: click.Context) -> str:
    """In a few words: as the program lists its commands, else the first sentence of the help."""
    is_first = context.parent is not None and context.parent.parent is None
    said = COMMANDS.get(str(context.info_name), "") if is_first else ""
    return _roff(said or context.command.get_short_help_str(limit=200))


def _commands(others: Iterable[click.Context], above: click.Context) -> Iterator[str]:
    below = [each for each in others if each.parent is above]
    if below:
        yield ".SH COMMANDS"
    for each in below:
        yield from (".TP", f".B {_roff(str(each.info_name))}", _short(each))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record is None or not isinstance(param, click.Option):
            continue
        variable = f"  Variable: {param.envvar}." if param.envvar else ""
        yield from (".TP", f".B {_roff(record[0])}", _roff(record[1] + variable))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.replace("\b\n", "").split("\n\n"):
        yield from (".PP", _roff(" ".join(paragraph.split())))


def _epilog(text: str) -> Iterator[str]:
    """The examples are shown as they stand; what else stands below a help, as notes."""
    for block in text.split("\n\n"):
        first, *lines = block.removeprefix("\b\n").splitlines() or [""]
        heading, colon, rest = first.partition(": ")
        if first.endswith(":"):
            shown = [_roff(line.removeprefix("  ")) for line in lines]
            yield from (f".SH {_roff(first.rstrip(':').upper())}", ".nf", *shown, ".fi")
        elif colon and len(heading.split()) <= 2:
            yield from (f".SH {_roff(heading.upper())}", *_paragraphs("\n".join([rest, *lines])))
        elif first:
            yield from (".SH NOTES", *_paragraphs("\n".join([first, *lines])))


def _around(context: click.Context, others: Iterable[click.Context]) -> Iterator[str]:
    if context.parent is None:
        yield ".SH FILES"
        for name, what in FILES:
            yield from (".TP", f".I {_roff(name)}", _roff(what))
    near = [e for e in others if e.parent is context or e is context.parent]
    if near:
        yield ".SH SEE ALSO"
        yield ", ".join(f"\\fB{_roff(_title(each))}\\fP(1)" for each in near)


def _roff(text: str) -> str:
    """*text* as roff has it: copied from a page, a dash is a dash."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fP", text)
    text = "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in text)
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.1"):
        old.unlink()
    for name, page in pages().items():
        (folder / name).write_text(page)
