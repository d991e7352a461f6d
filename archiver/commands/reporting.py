"""A night, told to whoever is not there: log file, ping address, messages, metrics.

Rule 1: they hear of every end, also of one that came before anything was begun.
Rule 2: none of them changes how a run ends, or holds it up for more than seconds.
Rule 3: two ends are good: all is done (0), or the time was up and the next night goes on (5).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from archiver.adapters import outside_file
from archiver.adapters.disk import FILE_MODE
from archiver.commands import options, output, watching
from archiver.console_beside import LogLines, Warnings
from archiver.console_lines import DETAIL, NEWS, WARNING, Listener, Told
from archiver.console_text import safe
from archiver.core import metrics
from archiver.core.summary import Summary
from archiver.errors import ArchiverError, SettingsError, only
from archiver.met import met
from archiver.version import __version__

if TYPE_CHECKING:
    from archiver.adapters.notify import Notifier
    from archiver.adapters.ping import Ping

# A host that keeps silent may cost a run this much; a person who wants it to stop waits less.
_PATIENCE_S: Final = 25.0
_HURRY_S: Final = 1.0
_ENDS: Final = {
    0: "all is done", 1: "not everything is archived", 2: "the settings are wrong",
    3: "the credentials were refused, or there are none", 4: "the destination cannot be used",
    5: "stopped before the end; the next run goes on", 70: "ended by a bug",
}  # fmt: skip


def reported(ctx: click.Context, given: dict[str, Any], work: Callable[[Night], Summary]) -> int:
    """Do *work*, tell everybody how it ended, and return its exit code."""
    night = Night(given)
    try:
        night.begin(ctx)
        summary = work(night)
    except BaseException as error:
        night.end(night.refused(error))
        raise
    night.end(summary)
    return summary.exit_code


class Night:
    """One run, and everybody who hears of it.

    Attributes:
        beside: who hears what the screen shows.
        is_hurried: a person, or the machine's end, asked for the end of the run.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self.is_hurried = False
        self._given, self._started_at = given, watching.now()
        self._warnings = Warnings()
        self._metrics = ""
        self._log: LogLines | None = None
        self._ping: Ping | None = None
        self._notifier: Notifier | None = None
        self._start: _Call | None = None

    @property
    def beside(self) -> list[Listener]:
        """Who hears what the screen shows."""
        return [self._warnings, *([self._log] if self._log else [])]

    def begin(self, ctx: click.Context) -> None:
        """Find everybody, and tell that a run begins.

        Raises:
            SettingsError: one of them cannot be told like that; the others will hear of it.
        """
        wrong: list[SettingsError] = []
        for find in (self._find_log, self._find_metrics, self._find_ping, self._find_notifier):
            try:
                find(ctx)
            except SettingsError as error:
                wrong.append(error)
        if wrong:
            raise wrong[0]

    def _find_log(self, _: click.Context) -> None:
        if path := self._given["log_file"]:
            least = DETAIL if self._given["verbose"] else NEWS
            is_json = self._given["log_format"] == "json"
            self._log = LogLines(outside_file.LogFile(path), least, is_json)
            self._tell_log("begun", f"archiver {__version__} run --to {self._given['to']}")

    def _find_metrics(self, _: click.Context) -> None:
        if path := self._given["metrics_file"]:
            outside_file.require_writable(path)
            self._metrics = path

    def _find_ping(self, ctx: click.Context) -> None:
        if address := options.outlet(ctx, "ping"):
            from archiver.adapters.ping import Ping

            self._ping = Ping(address, self._given["proxy"], self._given["ca_file"])
            self._start = _Call("ping", self._ping.tell, "start")

    def _find_notifier(self, ctx: click.Context) -> None:
        if addresses := options.outlet(ctx, "notify"):
            from archiver.adapters.notify import Notifier

            self._notifier = Notifier(addresses)

    def refused(self, error: BaseException) -> Summary:
        """What programs are told of a run that came to no end of its own."""
        error = only(error)
        code = code_of(error)
        if isinstance(error, KeyboardInterrupt | click.Abort):
            self.is_hurried = True
            text, outcome = "", "stopped"
        elif isinstance(error, ArchiverError):
            text, outcome = safe(str(error)), "refused"
        elif isinstance(error, click.ClickException):
            text, outcome = safe(error.format_message()), "refused"
        else:  # the text of a stranger may hold anything
            text, outcome = type(error).__name__, "refused"
        seconds = watching.now() - self._started_at
        return Summary(self._started_at, seconds, outcome, exit_code=code, message=text)

    def end(self, summary: Summary) -> None:
        """Tell everybody how it ended; what nobody took is a warning."""
        try:
            self._end(summary)
        except KeyboardInterrupt:  # the second wish: at once
            met("L27")

    def _end(self, summary: Summary) -> None:
        title, body = self._words(summary)
        self._tell_log("ended", f"exit code {summary.exit_code}: {title}", *body)
        self._measure(summary)
        calls = []
        if self._ping is not None:
            calls.append(_Call("ping", self._ping_end, summary, title, body))
        kind = kind_of(summary, self._warnings.count, self._given["notify_on"])
        if self.is_hurried and summary.is_good:
            kind = ""  # whoever asked for the end knows of it, and is not to wait
        if self._notifier is not None and kind:
            text = "\n".join(body) or title
            calls.append(_Call("notification", self._notifier.tell, title, text, kind))
        _wait(calls, _HURRY_S if self.is_hurried else _PATIENCE_S)
        for call in calls:
            if call.why:
                self._warn(f"the {call.what} was not taken: {call.why}")
        if self._log is not None:
            if why := self._log.file.trouble:
                output.warn(f"the log lacks lines: {why}")
            self._log.file.close()

    def _ping_end(self, summary: Summary, title: str, body: list[str]) -> str:
        if self._ping is None or self._start is None:
            return ""
        self._start.join()  # in their order, or the address takes the run for one that goes on
        if summary.is_good:
            return self._ping.tell()
        return self._ping.tell("fail", "\n".join([title, *body]))

    def _words(self, summary: Summary) -> tuple[str, list[str]]:
        """A title, and what belongs below it."""
        dest = self._given["to"]
        title = f"archiver, {safe(dest)}: {_ENDS.get(summary.exit_code, 'ended')}"
        body: list[str] = []
        if summary.selected or summary.outcome != "refused":
            body += output.summary(summary.as_json(), dest)
        if summary.outcome == "refused":
            body.append(safe(summary.message))
        return title, body + list(self._more())

    def _more(self) -> Iterator[str]:
        yield from self._warnings.first
        if (rest := self._warnings.count - len(self._warnings.first)) > 0:
            yield f"and {rest:,} more warnings"

    def _measure(self, summary: Summary) -> None:
        if not (path := self._metrics):
            return
        old = outside_file.whole_text(path)
        text = metrics.exposition(
            summary, self._given["to"], watching.now(), self._warnings.count, old
        )
        try:
            outside_file.write_text(path, text, mode=FILE_MODE)  # collectors are others
        except OSError as error:
            self._warn(f"the metrics {path} cannot be written: {error.strerror}")

    def _warn(self, text: str) -> None:
        output.warn(text)
        self._tell_log("warning", text, level=WARNING)

    def _tell_log(self, word: str, *texts: str, level: int = NEWS) -> None:
        if self._log is not None:
            for text in texts:
                self._log.hear(watching.now(), Told(level, word, safe(text), {}))


class _Call(threading.Thread):
    """Something that blocks, done by a thread for which the program's end does not wait."""

    def __init__(self, what: str, work: Callable[..., str], *args: Any) -> None:
        super().__init__(daemon=True)
        self.what, self._work, self._args = what, work, args
        self.why = "it does not answer"  # "" once it was not in vain
        self.start()

    def run(self) -> None:
        """Do it."""
        with self:
            self.why = self._work(*self._args)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        """Somebody else's code may fail in its own ways, and its words may hold the address."""
        if error is not None:
            self.why = f"it failed ({type(error).__name__})"
        return isinstance(error, Exception)


def _wait(calls: Sequence[_Call], seconds: float) -> None:
    """Wait for all of them together, but no longer than so."""

    def all_of_them() -> None:
        for each in calls:
            each.join()

    waiting = threading.Thread(target=all_of_them, daemon=True)
    waiting.start()
    waiting.join(seconds)


def kind_of(summary: Summary, warnings: int, least: str) -> str:
    """What message there is to send: "failure", "warning", "success", or "" for none.

    Args:
        warnings: how many the run gave.
        least: from what on there is one: "failure", "warning" or "always".
    """
    if not summary.is_good:
        return "failure"
    if warnings or summary.deletion.not_safe:
        return "" if least == "failure" else "warning"
    return "success" if least == "always" else ""


def code_of(error: BaseException) -> int:
    """The exit code with which the program will end for it."""
    if isinstance(error, ArchiverError | click.ClickException):
        return error.exit_code
    return watching.STOPPED if isinstance(error, KeyboardInterrupt | click.Abort) else 70
