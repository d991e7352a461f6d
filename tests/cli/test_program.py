"""The program in the hand: help, typing errors, exit codes, and what it never shows."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from archiver import settings
from archiver.cli import COMMANDS, app
from archiver.errors import AuthError, SettingsError

CANARY = "canary-3f9a"
OURS = [name for name in COMMANDS if name != "emulator"]


def archiver(*args: str, env: dict[str, str] | None = None, text: str | None = None) -> Result:
    """The program as from a shell with nothing of ours in its environment."""
    clean = {name: None for name in os.environ if name.startswith("ARCHIVER_")}
    return CliRunner().invoke(app, args, env={**clean, **(env or {})}, input=text)


def command(name: str) -> click.Command:
    """The command as it is when called."""
    found = import_module(f"archiver.commands.{name}").command
    assert isinstance(found, click.Command)
    return found


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tests' user has a home of their own, and stands in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, with next to no environment, as under cron."""
    return subprocess.run(
        [sys.executable, "-c", code], env={"HOME": "/nonexistent", **env}, text=True,
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["run", "--help"], ["rnu"]])
def test_help_is_light(args: list[str]) -> None:
    """Help and completion load neither the network nor the bars nor the event loop."""
    heavy = "['aiohttp', 'rich', 'asyncio', 'anyio', 'sqlite3', 'aiofiles']"
    done = python(
        f"import sys; sys.argv = ['archiver', *{args!r}]\n"
        "from archiver.cli import main\n"
        "try: main()\n"
        f"finally: sys.stderr.write('loaded: ' + repr([m for m in {heavy} if m in sys.modules]))"
    )
    assert done.stderr.endswith("loaded: []"), done.stderr


def test_completion_knows_the_commands() -> None:
    """A TAB offers every command, without importing any."""
    done = python(
        "import sys; from archiver.cli import main; main()",
        _ARCHIVER_COMPLETE="bash_complete", COMP_WORDS="archiver ", COMP_CWORD="1",
    )  # fmt: skip
    assert {line.partition(",")[2] for line in done.stdout.split()} == set(COMMANDS)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("archiver run --log-", {"--log-format"}),
        ("archiver list --state par", {"parked"}),
        ("archiver run chan", {"channel:"}),
        ("archiver completion z", {"zsh"}),
    ],
)
def test_completion_knows_options_and_values(words: str, offered: set[str]) -> None:
    """A TAB offers what fits, and loads nothing heavy for it."""
    done = python(
        "import sys; from archiver.cli import main\n"
        "try: main()\n"
        "finally: sys.stderr.write(repr([m for m in ('aiohttp', 'rich') if m in sys.modules]))",
        _ARCHIVER_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")),
    )  # fmt: skip
    assert {line.partition(",")[2] for line in done.stdout.split()} >= offered
    assert done.stderr == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_understands_its_completion(shell: str) -> None:
    """The script names our program, and a shell that is here takes it."""
    script = archiver("completion", shell).stdout
    assert "_ARCHIVER_COMPLETE" in script
    assert "archiver" in script
    if found := shutil.which(shell):
        done = subprocess.run(
            [found, "-c", f"{script}\n"], capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
def test_a_tab_in_bash_completes() -> None:
    """The whole way: the script, the program that it asks, and what the shell makes of it."""
    program = Path(sys.executable).with_name("archiver")
    pressed = (
        f"COMP_WORDS=({program} verify --rep); COMP_CWORD=2; _archiver_completion {program}; "
        'echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(
        ["bash", "-c", f"{archiver('completion', 'bash').stdout}\n{pressed}"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("--repair\n", "")


def walk(above: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, by what has to be typed."""
    yield " ".join(words), above
    if isinstance(above, click.Group):
        for name, below in above.commands.items():
            yield from walk(below, (*words, name))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_examples_that_can_be_typed(name: str) -> None:
    """Most people read the examples, and nothing else."""
    for typed, each in walk(command(name), ("archiver", name)):
        help_text = archiver(*typed.split()[1:], "--help").stdout
        assert "Examples:" in help_text, typed
        shown = help_text.split("Examples:")[1].splitlines()
        lines = [line.strip() for line in shown if line.strip() and "  # " not in line]
        assert lines, typed
        assert max(map(len, shown)) <= 80, "it has to fit on a terminal"
        for line in lines:
            words = shlex.split(line, comments=True)
            if words[0] == "eval":
                words = shlex.split(words[1].strip("$()"))
            rest = words[words.index(">") :] if ">" in words else []
            words = words[: len(words) - len(rest)]
            assert words[: len(typed.split())] == typed.split(), line
            try:
                each.make_context(name, words[len(typed.split()) :]).close()
            except click.exceptions.Exit:
                assert words[-1].startswith("--"), line  # as `emulator --faults`


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """``-h`` and ``--help`` work everywhere, and need no settings."""
    result = archiver(name, "-h")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: archiver {name} ")


@pytest.mark.parametrize("name", OURS)
def test_every_option_can_be_set_in_three_ways(name: str) -> None:
    """Each option has its variable and its key in the settings file, of the same name."""
    for param in command(name).params:
        if not isinstance(param, click.Option) or param.name in ("help", "config"):
            continue
        assert param.envvar == f"ARCHIVER_{str(param.name).upper()}", param
        assert param.name in settings.FLAGS, param


@pytest.mark.parametrize("name", OURS)
def test_secrets_are_never_flags(name: str) -> None:
    """No option takes, and no help shows, a secret: command lines can be read by others."""
    env = {"ARCHIVER_CLIENT_SECRET": CANARY, "ARCHIVER_ACCESS_TOKEN": CANARY}
    assert CANARY not in archiver(name, "--help", env=env).output
    named = " ".join(option for param in command(name).params for option in param.opts)
    assert "secret" not in named
    assert "token" not in named


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rnu"], "'run'"),
        (["run", "--dwnloads", "3"], "'--downloads'"),
        (["run", "account"], "'--to'"),
        (["run", "--to", "x"], "SOURCE"),
        (["run", "nonsense", "--to", "x"], "'nonsense' is no source"),
        (["run", "https://example.com/1", "--to", "x"], "is no source"),
        (["run", "account", "--to", "x", "--match", "("], "no regular expression"),
        (["run", "account", "--to", "x", "--since", "soon"], "'soon' is no date"),
        (["run", "account", "--to", "x", "--limit-rate", "fast"], "'fast' is no size"),
        (["run", "account", "--to", "x", "--max-wait", "ages"], "'ages' is no span"),
        (["run", "account", "--to", "x", "--downloads", "0"], "1<=x<="),
        (["run", "account", "--to", "x", "--limit", "0"], "x>=1"),
        (["run", "account", "--to", "x", "--protect", "secret"], "'public'"),
        (["run", "account", "--to", "x", "-q", "-v"], "exclude each other"),
        (
            ["run", "account", "--to", "x", "--no-extras", "--refresh"],
            "--no-extras and --refresh exclude each other",
        ),
        (
            ["run", "account", "--to", "x", "--no-extras", "--extras-calls", "0", "--dry-run"],
            "--no-extras and --extras-calls exclude each other",
        ),
        (["events", "x", "--premis", "y", "--json"], "exclude each other"),
        (["run", "account", "--to", "x", "--report", "-"], "- is no file"),
        (["run", "account", "--to", "x", "--log-file", "-"], "- is no file"),
        (["run", "account", "--to", "x", "--metrics-file", "-"], "- is no file"),
        (["run", "@missing", "--to", "x"], "missing cannot be read: No such file"),
        (["run", "@.", "--to", "x"], "cannot be read"),
        (["plan", "account"], "'--to'"),
        (["list", ".", "--channel", "abc"], "channel's number"),
        (["list", ".", "--channel", "a b"], "names no channel"),
        (["list", ".", "--state", "lost"], "'parked'"),
        (["verify", ".", "--sample", "lots"], "'lots' is no share"),
        (["retry", ".", "account"], "account is no video"),
        (["retry", ".", "x"], "'x' is no source"),
        (["status"], "DEST"),
        (["status", ""], "it is empty; name the folder"),
        (["run", "account", "--to", " "], "it is empty; name the folder"),
        (["demo", "--videos", "0"], "1<=x<="),
    ],
)
def test_typing_errors_are_answered_with_a_sentence(args: list[str], said: str) -> None:
    """Nonsense ends with 2, names what is wrong, and leaves nothing behind."""
    env = {"ARCHIVER_ACCESS_TOKEN": CANARY}
    result = archiver(*args, env=env)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert CANARY not in result.output
    assert result.stdout == ""
    assert os.listdir() == []


def test_sources_come_from_files_and_standard_input_too() -> None:
    """``@FILE`` and ``-`` hold one source a line; a wrong one is named with its file."""
    Path("mine").write_text("# nothing yet\n")
    env = {"ARCHIVER_ACCESS_TOKEN": CANARY}
    empty = archiver("run", "@mine", "--to", "x", env=env)
    assert (empty.exit_code, "no source" in empty.stderr) == (2, True)
    wrong = archiver("run", "-", "--to", "x", env=env, text="account\nwrong\n")
    assert (wrong.exit_code, "standard input: 'wrong' is no" in wrong.stderr) == (2, True)
    Path("mine").write_bytes(b"\xff\xfe")
    binary = archiver("run", "@mine", "--to", "x", env=env)
    assert (binary.exit_code, "no UTF-8" in binary.stderr) == (2, True)


@pytest.mark.parametrize("name", ["run", "plan"])
def test_no_credentials_is_3_before_anything_is_touched(name: str) -> None:
    """The sentence says what to set; the folder is not even made."""
    result = archiver(name, "account", "--to", "here")
    assert result.exit_code == 3
    assert result.stderr.startswith("archiver: There are no credentials.")
    assert "ARCHIVER_CLIENT_ID" in result.stderr
    assert os.listdir() == []


@pytest.mark.parametrize(
    "args", [["status"], ["list"], ["verify"], ["plan", "account", "--to"], ["doctor", "--to"]]
)
def test_a_folder_that_may_not_be_looked_into_is_4(args: list[str]) -> None:
    """Another user's archive, or a name that no disk takes, is a sentence and not a bug."""
    Path("theirs/.archiver").mkdir(parents=True)
    Path("theirs/.archiver").chmod(0)
    for dest in ["n" * 300, *(["theirs"] if os.getuid() else [])]:  # root may look anywhere
        env = {} if args[0] == "doctor" else {"ARCHIVER_ACCESS_TOKEN": CANARY}
        result = archiver(*args, dest, env=env)
        assert result.exit_code == (3 if args[0] == "doctor" else 4), result.stderr
        assert f"looking into {dest[:50]}" in result.output


def test_a_report_that_cannot_be_written_is_known_before_the_run() -> None:
    """Six hours later would be too late."""
    env = {"ARCHIVER_ACCESS_TOKEN": CANARY, "ARCHIVER_API_URL": "http://127.0.0.1:9"}
    result = archiver("run", "account", "--to", "here", "--report", "no/such/file", env=env)
    assert (result.exit_code, "no/such/file" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "args",
    [
        ["run", "account", "--to", "kept", "--report"], ["events", "kept", "--premis"],
        ["run", "account", "--to", "kept", "--log-file"],
        ["run", "account", "--to", "elsewhere", "--metrics-file"],
    ],
)  # fmt: skip
def test_no_file_is_written_into_an_archive(tmp_path: Path, args: list[str]) -> None:
    """A name that was completed once too far would be the end of a video."""
    video = tmp_path / "kept" / "data" / "a" / "video.mp4"
    for path in (video, tmp_path / "kept" / ".archiver" / "archive-id"):
        path.parent.mkdir(parents=True)
        path.write_text("as it was\n")
    args = [str(tmp_path / word) if word in ("kept", "elsewhere") else word for word in args]
    result = archiver(*args, str(video))
    assert (result.exit_code, "lies in the archive" in result.output) == (2, True)
    assert video.read_text() == "as it was\n"


def test_plain_http_is_refused() -> None:
    """Credentials never travel in the clear, unless to this machine."""
    env = {"ARCHIVER_ACCESS_TOKEN": CANARY, "ARCHIVER_API_URL": "http://api.example"}
    result = archiver("run", "account", "--to", "here", env=env)
    assert (result.exit_code, "plain http" in result.stderr) == (2, True)


class Stand:
    """A command that ends in a given way."""

    def __init__(self, ending: BaseException | None) -> None:
        self.ending = ending

    def __call__(self) -> None:
        if self.ending is not None:
            raise self.ending


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        (None, 0, ""),
        (SettingsError("Wrong.", "Do this."), 2, "archiver: Wrong.\n  Do this.\n"),
        (ExceptionGroup("two", [ExceptionGroup("", [AuthError("No.", "H.")])]), 3, "archiver: No."),
        (KeyboardInterrupt(), 5, "Nothing is lost"),
        (click.Abort(), 5, "Nothing is lost"),
        (BrokenPipeError(), 0, ""),
        (click.UsageError("Not so."), 2, "Error: Not so."),
        (click.exceptions.Exit(7), 7, ""),
        (ValueError("at https://cdn.example/f.mp4?sig=canary-3f9a"), 70, "this is a bug"),
        (ExceptionGroup("", [AuthError("No."), ValueError("b")]), 70, "Traceback"),
    ],
)
def test_every_ending_has_its_code(
    ending: BaseException | None, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a bug shows a traceback, and even that one no signature."""
    stand = click.Command("status", callback=Stand(ending))
    monkeypatch.setattr(import_module("archiver.commands.status"), "command", stand)
    result = archiver("status")
    assert result.exit_code == code
    assert said in result.stderr
    assert ("Traceback" in result.stderr) == (code == 70)
    assert CANARY not in result.output


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_titles_that_the_terminal_cannot_show_are_no_error(encoding: str) -> None:
    """A C locale or an old code page never fails, never steers, and never spoils JSON."""
    done = python(
        "from archiver.cli import _forgive_encodings; _forgive_encodings()\n"
        "from archiver.commands import output\n"
        r"output.line('\u20ac \ud800'); output.as_json({'t': '\u20ac \ud800 \x9b \u202e\u2028'})",
        PYTHONIOENCODING=encoding, PYTHONUTF8="0", LC_ALL="C",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    answer = done.stdout.splitlines()[1]
    assert json.loads(answer) == {"t": "\u20ac \ud800 \x9b \u202e\u2028"}
    assert answer.isprintable()


def test_a_reader_that_goes_away_is_no_error() -> None:
    """``archiver … | head`` ends quietly."""
    code = (
        "import os, sys\n"
        "from archiver.commands import output\n"
        "from archiver.cli import _flush\n"
        "told = [output.line('x' * 9000) for _ in range(50)]\n"
        "_flush(); sys.exit(0 if False in told else 9)"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, timeout=30, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_outside_a_run_is_a_stop_too(number: str) -> None:
    """Even before there is anything to stop: code 5 and a sentence, no traceback."""
    done = python(
        "import os, signal, click\n"
        "from archiver.cli import main\n"
        "from archiver.commands import status\n"
        f"kill = lambda: os.kill(os.getpid(), signal.{number})\n"
        "status.command = click.Command('status', callback=kill)\n"
        "import sys; sys.argv = ['archiver', 'status']; main()"
    )
    assert (done.returncode, "run it again" in done.stderr) == (5, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "slip",
    ["--port 65536", "--download-port -1", "--videos -1", "--channels 0", "--private-share 2"],
)
def test_the_emulator_refuses_what_no_vendor_could_be(slip: str) -> None:
    """It is a slip of the pen and no bug of ours."""
    told = CliRunner().invoke(app, ["emulator", *slip.split()])
    assert (told.exit_code, f"Invalid value for '{slip.split()[0]}'" in told.output) == (2, True)
