"""The documentation and the program say the same."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree as ET

import click
import pytest

import archiver
from archiver import cli, errors, settings
from archiver.archive import PlanReport, StatusReport
from archiver.care.verify import Verdict
from archiver.care.witness import Finding
from archiver.core.events import Event
from archiver.core.model import NEVER, Instant, JobState, VideoId
from archiver.core.summary import Failure, Summary
from archiver.emulator.faults import FAULTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = {name: import_module(f"archiver.commands.{name}").command for name in cli.COMMANDS}
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def section(text: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"there is no section {heading!r}"
    return found[1]


def shell_lines(text: str) -> Iterator[str]:
    """The lines of every block of code that is for a shell, or names no language."""
    inside: str | None = None
    for line in text.splitlines():
        if line.startswith("```"):
            inside = line.removeprefix("```") if inside is None else None
        elif inside in ("", "sh"):
            yield line.strip()


def typed(text: str) -> Iterator[list[str]]:
    """The words after `archiver` of every command in a block of code, or between backticks."""
    for line in [*shell_lines(text), *re.findall(r"`(archiver [^`\n]+)`", text)]:
        if re.match(r"(\S*/)?archiver ", line):
            words = shlex.split(line, comments=True)[1:]
            yield list(
                itertools.takewhile(lambda word: word not in (">", "|", "||", "&&", ";"), words)
            )


def names(command: click.Command) -> list[str]:
    return [
        name
        for param in command.params
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_is_documented(name: str) -> None:
    """What nobody wrote down, nobody finds."""
    text = page("emulator.md") if name == "emulator" else page("commands.md")
    mine = text if name == "emulator" else section(text, f"archiver {name}")
    common = text.split("\n## ")[0]
    missing = [o for o in names(COMMANDS[name]) if f"`{o}`" not in mine and f"`{o}`" not in common]
    assert not missing
    assert f"## archiver {name}\n" in page("commands.md")


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_documented_that_is_not_there(name: str) -> None:
    """A promise that a table makes is kept by the command beside it."""
    text = page("emulator.md") if name == "emulator" else page("commands.md")
    mine = section(text, "Options" if name == "emulator" else f"archiver {name}")
    cells = [line.split(" | ")[0] for line in mine.splitlines() if line.startswith("| `")]
    told = {each for cell in cells for each in re.findall(r"`(--?[a-z-]+)`", cell)}
    assert told <= {*names(COMMANDS[name])}


def test_every_setting_is_documented() -> None:
    """The table of settings is whole, and holds nothing else."""
    told = set(re.findall(r"`(ARCHIVER_[A-Z_]+)`", section(page("operations.md"), "Settings")))
    assert told == {f"{settings.PREFIX}{key.upper()}" for key in (*settings.KEYS, "config")}


def test_every_exit_code_is_documented() -> None:
    """Whoever writes a timer reads this table."""

    def codes(kind: type[errors.ArchiverError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(each) for each in kind.__subclasses__()))

    text = section(page("operations.md"), "Exit codes")
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert told == {0, cli.USAGE, cli.STOPPED, cli.BUG} | codes(errors.ArchiverError)


def keys(answer: object) -> Iterator[str]:
    """Every key of an answer, those of inner objects too; states are no keys of ours."""
    if isinstance(answer, dict):
        for key, inner in answer.items():
            yield str(key)
            yield from keys(inner)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("run", Summary(Instant(0.0), message="why").as_json()),
        ("run", Failure(VideoId(1), "", "", "", 0).as_json()),
        ("plan", PlanReport().as_json()),
        ("status", StatusReport({}, 0, NEVER, None, [], []).as_json()),
        ("verify", Verdict().as_json()),
        ("verify", Finding("", "", "").as_json()),
    ],
)
def test_every_key_of_an_answer_is_documented(name: str, answer: dict[str, Any]) -> None:
    """Whoever reads JSON by program need not read ours."""
    text = section(page("commands.md"), f"archiver {name}")
    told = set(re.findall(r"[`\"]([a-z0-9_]+)[`\"]", text))
    assert set(keys(answer)) - {"schema"} <= told


def test_every_fault_is_documented() -> None:
    """The table of faults is the emulator's own."""
    rows = {
        f"| `{fault.name}` | {fault.where} | {fault.what}{' (endless)' if fault.endless else ''} |"
        for fault in FAULTS.values()
    }
    text = section(page("emulator.md"), "Faults")
    told = {line for line in text.splitlines() if line.startswith("| `")}
    assert told == rows


def test_every_state_and_the_drawn_life_cycle_are_documented() -> None:
    """The drawing in the page is the one that is made from the table: `make docs`."""
    text = page("architecture.md")
    assert f"```mermaid\n{page('lifecycle.mmd')}```" in text
    told = set(re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE))
    assert told == {str(state) for state in JobState}
    drawn = {kind.__name__ for kind in Event.__args__ if kind.__name__ in text}
    assert drawn == {kind.__name__ for kind in Event.__args__}


def test_every_public_name_and_event_is_documented() -> None:
    """Whoever writes a program need not read ours."""
    told = set(re.findall(r"`([A-Za-z_]+)`", page("library.md")))
    assert {*archiver.__all__} - {"__version__"} <= told
    assert {kind.__name__ for kind in get_args(archiver.RunEvent)} <= told
    assert {field.name for field in dataclasses.fields(archiver.RunOptions)} <= told
    methods = {name for name in vars(archiver.Archive) if not name.startswith("_")} - {"open"}
    for name in methods:
        assert re.search(rf"^\| `(await )?{name}\(", page("library.md"), re.MULTILINE), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_python_can_be_run_as_printed(path: Path) -> None:
    """A block of Python is a program, or the inside of one, and imports what is there."""
    for block in re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
        tree = compile(block, path.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for each in node.names:
                    assert hasattr(import_module(str(node.module)), each.name), each.name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """A link is to a file that is there, and to a heading that is in it."""
    for one, other in LINK.findall(path.read_text()):
        target, _, anchor = (one or other).partition("#")
        if target.startswith(("http://", "https://")):
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{target}#{anchor}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_can_be_typed_as_printed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies a line gets what it says, and no complaint about its options."""
    monkeypatch.setenv("ARCHIVER_CONFIG", "/dev/null")
    above = cli.app.make_context("archiver", ["doctor"], resilient_parsing=True)
    for words in typed(path.read_text()):
        if words[0] in COMMANDS:
            bare = len(words) == 1 or words[1:] == ["--json"]  # names a command, is none
            try:
                COMMANDS[words[0]].make_context(words[0], words[1:], parent=above).close()
            except click.MissingParameter:
                assert bare, words
            except click.exceptions.Exit:
                continue  # --help, --faults
        else:
            assert words[0] in ("--help", "-h", "--version", "-V"), words


def test_the_pages_hold_commands_to_copy() -> None:
    """The test above has something to look at."""
    first = {words[0] for path in PAGES for words in typed(path.read_text()) if words}
    assert first >= set(COMMANDS)


def test_the_picture_is_whole() -> None:
    """A page is read offline, too: nothing in its picture comes from elsewhere."""
    text = (ROOT / "docs" / "run.svg").read_text()
    ET.fromstring(text)
    assert "listed&#160;videos&#160;are&#160;selected" in text
    assert "url(http" not in text


def test_nothing_tells_of_the_machine_it_was_written_on() -> None:
    """A reader elsewhere has other folders."""
    for path in [*PAGES, *(ROOT / "examples").iterdir(), *(ROOT / "docs").iterdir()]:
        if path.is_file():
            assert not re.search(r"/(root|work|tmp/fresh)\b", path.read_text()), path
