"""The program ``archiver``: finds a command, runs it, and turns every ending into an exit code.

Rule 1: nothing heavy is imported before a command is chosen; completion runs this on every TAB.
Rule 2: a person who must act gets one sentence and a hint; a traceback means a bug of ours (70).
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import TracebackType
from typing import Any, Final, NoReturn

import click

from archiver.errors import ArchiverError, only
from archiver.met import met
from archiver.version import __version__

COMMANDS: Final = {
    "demo": "Try it now: archive a made-up channel, without an account.",
    "run": "Archive what is missing; safe to repeat and to interrupt.",
    "plan": "Show what `run` would do, and touch nothing.",
    "status": "Show where every video stands.",
    "list": "List the videos of an archive.",
    "verify": "Read every file again and compare it with the records.",
    "events": "Show what happened to each file; also as PREMIS.",
    "retry": "Put parked videos back in the queue.",
    "login": "Sign in with a browser, instead of client credentials.",
    "logout": "Have the stored login taken back, and delete it.",
    "whoami": "Show which credentials are used, and what they see.",
    "doctor": "Check settings, credentials, network and disk.",
    "emulator": "Serve a stand-in for the vendor's API.",
    "completion": "Print what lets a shell complete our commands.",
}
STOPPED, BUG, USAGE = 5, 70, 2
_EPILOG = """\b
Examples:
  archiver demo                             see it work, no account needed
  archiver doctor                           check credentials and network
  archiver plan account --to /srv/videos    what would be done
  archiver run account --to /srv/videos     do it; every night again
  archiver status /srv/videos               where every video stands

\b
Each option has a variable and a key in the settings file: --limit-rate 20M is
ARCHIVER_LIMIT_RATE=20M, or limit_rate = "20M" in archiver.toml. Secrets have no option.

\b
Exit codes: 0 done, 1 some videos are not archived, 2 wrong usage, 3 credentials,
4 destination, 5 stopped before the end (run again to go on), 70 a bug."""


class Program(click.Group):
    """The commands of ``COMMANDS``, each imported when it is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Names and one-liners suffice for --help, completion and "did you mean".
        self.commands = {name: click.Command(name, short_help=COMMANDS[name]) for name in COMMANDS}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The order in which a newcomer meets them."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and only now import it."""
        name, found, rest = super().resolve_command(ctx, args)
        if found is not None and name in COMMANDS:
            found = import_module(f"archiver.commands.{name}").command
        return name, found, rest

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002  always: leaving is what this adds
        **extra: Any,
    ) -> NoReturn:
        """Run, then leave with an exit code of the published table."""
        _forgive_encodings()
        ending = Ending()
        with ending:
            code = super().main(args, prog_name or "archiver", complete_var, False, **extra)
            ending.code = code if isinstance(code, int) else 0
        _flush()
        met("O03")
        sys.exit(ending.code)


class Ending:
    """A context that turns whatever ends a command into ``code`` and words on standard error."""

    def __init__(self) -> None:
        self.code = 0

    def __enter__(self) -> Ending:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if error is None:
            return True
        if isinstance(error, SystemExit | GeneratorExit):
            return False
        self.code = _tell(only(error))
        return True


def _tell(error: BaseException) -> int:
    """Say what happened, and return its exit code."""
    match error:
        case ArchiverError():
            from archiver.console_text import scrub  # not needed when all goes well

            _say(f"archiver: {scrub(str(error))}" + (f"\n  {error.hint}" if error.hint else ""))
            return error.exit_code
        case click.exceptions.Exit():
            return error.exit_code
        case click.ClickException():
            error.show()
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            _say("archiver: stopped. Nothing is lost: run it again to go on.")
            return STOPPED
        case BrokenPipeError():
            return 0  # the reader has had enough, as `head` does
        case _:
            return _tell_bug(error)


def _tell_bug(error: BaseException) -> int:
    from archiver.console_text import scrub  # not needed when all goes well

    # The texts of foreign exceptions may quote an address with its signature.
    _say(scrub("".join(traceback.format_exception(error))).rstrip())
    _say(f"archiver {__version__}: this is a bug. What is archived is safe; please report it.")
    return BUG


def _forgive_encodings() -> None:
    """A title that the terminal cannot show becomes escapes, never an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            if "utf" not in stream.encoding.lower():
                met("L43")
            reconfigure(errors="backslashreplace")


def _say(text: str) -> None:
    """Tell the person; whether anybody still reads must not change the exit code."""
    if "JOURNAL_STREAM" in os.environ:
        from archiver.console_text import urgent  # not needed elsewhere

        text = urgent(text, sys.stderr)
    try:
        click.echo(text, err=True)
    except OSError:
        return


def _flush() -> None:
    """Write out what is left; a reader that went away is no error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # as after `>&-`
                stream.flush()
        except (OSError, ValueError):
            # Otherwise the interpreter tries again at its end, and leaves with 120.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@click.group(
    name="archiver",
    cls=Program,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="archiver %(version)s")
def app() -> None:
    """Saves every video of an IBM Video Streaming account, byte for byte, on your own disk."""


def _speak_utf8() -> None:
    """Begin again in Python's UTF-8 mode where names of files would be in another encoding.

    An archive's names are UTF-8, whatever the locale; with an old one half of them could not be
    written at all.  What is printed stays in the terminal's encoding.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    met("L43")
    os.environ["PYTHONUTF8"] = "1"
    if sys.stdout is not None:
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  this program


def main() -> NoReturn:
    """The console script."""
    _speak_utf8()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # From here on a request to stop is one, also while a command is still being imported.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    app.main()
