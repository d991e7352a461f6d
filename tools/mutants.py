"""Break the core in every small way, and see whether a test says so: mutmut's run, and its score.

    python -m tools.mutants [MODULE ...]

Prints each break that no test of the core noticed, then the score of every module; fails below
90 % in all or 80 % in one.  A break that nobody can notice is listed in ``mutants.toml`` with the
reason; it counts for nothing, and an entry that fits no survivor is a failure too.  mutmut breaks
functions and methods; it leaves alone what is decorated (properties) and what stands on the
module's own level (constants, the fields of classes).
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import ndiff
from itertools import dropwhile
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / "mutants"
CORE = "archiver/core"
SCORE_LEAST, MODULE_LEAST = 0.90, 0.80
NOT_NOTICED = {0, 5, 33, 34, None}  # survived, no test ran, no test reaches it, left out, not run


@dataclass(frozen=True, slots=True)
class Survivor:
    """A break that no test noticed: ``was`` and ``now`` are the lines that differ, bare."""

    module: str
    line: int
    was: str
    now: str
    name: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by in the list of those that cannot be noticed."""
        return self.module, self.was, self.now


def excused() -> dict[tuple[str, str, str], str]:
    """The breaks that nobody can notice, each with the reason."""
    told = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    return {
        (module, entry["was"], entry["now"]): entry["why"]
        for module, entries in told.items()
        for entry in entries
    }


def verdicts(module: str) -> dict[str, int | None]:
    """What mutmut saw: the exit code of the tests, by the name of the mutant."""
    told = json.loads((WORK / CORE / f"{module}.py.meta").read_text())
    found: dict[str, int | None] = told["exit_code_by_key"]
    return found


def survivors(module: str) -> Iterator[Survivor]:
    """The mutants of *module* that no test noticed."""
    spans = json.loads((WORK / CORE / f"{module}.py.spans").read_text())["spans"]
    lines = (WORK / CORE / f"{module}.py").read_text().splitlines()
    starts = _starts(ROOT / CORE / f"{module}.py")
    for name, code in verdicts(module).items():
        if code not in NOT_NOTICED:
            continue
        short = name.removeprefix(f"{CORE.replace('/', '.')}.{module}.")
        function = short.rpartition("__mutmut_")[0]
        before, after = (
            _function(lines[first - 1 : last], called)
            for called, (first, last) in (
                (called, spans[called]) for called in (f"{function}__mutmut_orig", short)
            )
        )
        place, was, now = _difference(before, after)
        plain = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        yield Survivor(module, starts[plain] + place, was, now, short)


def _function(lines: list[str], called: str) -> list[str]:
    """The lines of one function from its ``def`` on, without the name that mutmut gave it."""
    bare = [line.replace(called, "it") for line in lines]
    return list(dropwhile(lambda line: not line.lstrip().startswith("def "), bare))


def _difference(before: list[str], after: list[str]) -> tuple[int, str, str]:
    """The place of the first line that differs, and the lines of either side."""
    place, first = -1, -1
    was: list[str] = []
    now: list[str] = []
    for line in ndiff(before, after):
        if line.startswith(("  ", "- ")):
            place += 1
        if line.startswith(("- ", "+ ")):
            first = place if first < 0 else first
            (was if line[0] == "-" else now).append(line[2:].strip())
    return first, " ".join(was), " ".join(now)


def _starts(path: Path) -> dict[str, int]:
    """The line of each function's ``def``, by its dotted name."""
    found: dict[str, int] = {}

    def note(node: ast.AST, within: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                found[within + child.name] = child.lineno
                note(child, f"{within}{child.name}.")

    note(ast.parse(path.read_text()), "")
    return found


def run(modules: list[str]) -> None:
    """Let mutmut do the work, from the beginning: what an earlier run saw may be old."""
    shutil.rmtree(WORK, ignore_errors=True)
    workers = str(max(2, os.cpu_count() or 2))
    names = [f"archiver.core.{module}.*" for module in modules]
    subprocess.run(
        [sys.executable, "-m", "mutmut", "run", "--max-children", workers, *names],
        cwd=ROOT, check=True, stdout=None if sys.stdout.isatty() else subprocess.DEVNULL,
    )  # fmt: skip


def report(modules: list[str]) -> bool:
    """Print survivors and scores; False where they are too many."""
    reasons, used, good = excused(), set(), True
    counts: dict[str, tuple[int, int]] = {}
    for module in modules:
        left = [one for one in survivors(module) if one.key not in reasons]
        used |= {one.key for one in survivors(module)} & reasons.keys()
        for one in left:
            print(f"{CORE}/{module}.py:{one.line} ({one.name})\n  - {one.was}\n  + {one.now}")
        excuses = sum(one.key in reasons for one in survivors(module))
        counts[module] = len(left), len(verdicts(module)) - excuses
    print(f"{'module':12} {'breaks':>6} {'noticed':>8}")
    for module, (missed, count) in counts.items():
        if count:
            score = 1 - missed / count
            good &= score >= MODULE_LEAST
            print(f"{module:12} {count:6} {score:8.1%}")
    score = 1 - sum(missed for missed, _ in counts.values()) / sum(n for _, n in counts.values())
    print(f"{'all':12} {sum(n for _, n in counts.values()):6} {score:8.1%}")
    print(f"and {len(used)} that cannot be noticed (tools/mutants.toml)")
    stale = [key for key in reasons if key[0] in modules and key not in used]
    for key in stale:
        print(f"tools/mutants.toml: no such survivor any more: {key}")
    return good and score >= SCORE_LEAST and not stale


def main() -> None:
    """Run, report, and fail where the tests notice too little."""
    modules = sys.argv[1:]
    run(modules)
    every = sorted(path.name.removesuffix(".py.meta") for path in (WORK / CORE).glob("*.meta"))
    sys.exit(not report(modules or every))


if __name__ == "__main__":
    main()
