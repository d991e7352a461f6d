"""The rules of the house, checked by machine so that no reviewer has to remember them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "archiver").rglob("*.py"))
SIZED = MODULES + sorted((ROOT / "bench").rglob("*.py"))  # measurements are read as well
LINES_MOST = 300
FUNCTION_LINES_MOST = 40  # without its docstring
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "manager", "misc"}
RENAMES = re.compile(r"\b(os\.(rename|replace|renames|link)|shutil\.move|\.rename\(|renameat2?\()")
CLOCKS = re.compile(
    r"\b(time\.(time|monotonic|sleep)|datetime\.now|datetime\.utcnow|asyncio\.sleep|uuid4"
    r"|random\.(random|randint|choice|uniform|shuffle))\b"
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SIZED, ids=relative)
def test_a_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    """A room is read in one sitting."""
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "the first line of a module is its promise"
    assert text.count("\n") <= LINES_MOST
    assert path.stem not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", SIZED, ids=relative)
def test_functions_are_short_and_public_classes_are_explained(path: Path) -> None:
    """A function fits on a screen."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        words = ast.get_docstring(node, clean=False) or ""
        if isinstance(node, ast.ClassDef):
            assert words or node.name.startswith("_"), f"{node.name} has no docstring"
            continue
        assert node.end_lineno is not None
        length = node.end_lineno - node.lineno + 1 - len(words.splitlines())
        limit = 60 if node.name == "apply" else FUNCTION_LINES_MOST  # one arm an event
        assert length <= limit, f"{node.name} is {length} lines"


def test_a_name_is_given_in_one_place_only() -> None:
    """Whoever renames outside the publish protocol can lose a file."""
    names = [relative(path) for path in MODULES if RENAMES.search(path.read_text())]
    assert len(names) <= 1, names


OUTSIDE = {"adapters", "emulator"}  # the rooms that may ask a clock and throw dice
INSIDE = [path for path in MODULES if path.relative_to(ROOT / "archiver").parts[0] not in OUTSIDE]


@pytest.mark.parametrize("path", INSIDE, ids=relative)
def test_time_and_chance_come_from_outside(path: Path) -> None:
    """Whoever asks a clock by himself cannot be simulated."""
    assert not CLOCKS.search(path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_is_swallowed(path: Path) -> None:
    """A failure that nobody foresaw is a bug, and has to be seen."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            names = ast.unparse(node.type) if node.type else ""
            assert names, "a bare except"
            swallows = "Exception" in re.split(r"\W+", names)
            assert not swallows, f"line {node.lineno}: except {names}"
