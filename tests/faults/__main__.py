"""``make faults``: fires every row of the catalogue and prints how often the program met it.

Ends with 1 while a row is neither met by a passing test nor explained, or too many are explained.
Arguments: rows or families to look at (``D08``, ``L``); none for all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.catalogue import EXPLAINED_MOST, Row, identifiers, rows

SIDE_BY_SIDE = 2


@dataclass
class Fired:
    """What a run of the tests has shown."""

    met: dict[str, Counter[str]] = field(default_factory=dict)  # by test
    bad: set[str] = field(default_factory=set)

    def of(self, row: Row) -> int:
        """How often the program met the row in its own tests."""
        return sum(
            met[row.id] for test, met in self.met.items() if any(_names(t, test) for t in row.tests)
        )

    def trouble(self, row: Row) -> str:
        """Why the row does not count as covered; "" where it does."""
        for name in row.tests:
            ran = [test for test in self.met if _names(name, test)]
            if not ran:
                return f"{name} did not run"
            if self.bad.intersection(ran):
                return f"{name} did not pass"
        return "" if self.of(row) else "the program never met it"


def _names(name: str, test: str) -> bool:
    """*test* is the one that is named, or one of its parametrized children."""
    return test == name or test.startswith(f"{name}[")


def fire(wanted: list[Row]) -> Fired:
    """Run the tests of *wanted*."""
    names = sorted({test for row in wanted for test in row.tests})
    fired = Fired()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "pytest", "-p", "tests.faults.plugin", "--met", folder,
            "--seeds", "2", "-n", str(SIDE_BY_SIDE), "--dist", "worksteal", "-m", "", *names,
        ]  # fmt: skip
        subprocess.run(command, check=False, stdout=sys.stderr)
        for path in Path(folder).glob("*.jsonl"):
            for line in map(json.loads, path.read_text().splitlines()):
                if line.get("bad"):
                    fired.bad.add(line["test"])
                else:
                    fired.met.setdefault(line["test"], Counter()).update(line["met"])
    return fired


def main(wanted: list[str]) -> int:
    every = rows()
    chosen = [
        name for name in identifiers() if not wanted or any(name.startswith(w) for w in wanted)
    ]
    fired = fire([every[name] for name in chosen if name in every])
    open_rows, explained = 0, 0
    for name in chosen:
        row = every.get(name)
        if row is None:
            open_rows += 1
            print(f"{name}  OPEN       nobody has written it down")
        elif row.explained or row.later:
            explained += bool(row.explained)
            word = "explained" if row.explained else "later"
            print(f"{name}  {word:<9}  {row.fault}: {row.explained or row.later}")
        else:
            trouble = fired.trouble(row)
            open_rows += bool(trouble)
            count = f"OPEN ({trouble})" if trouble else f"{fired.of(row):>6} x"
            print(f"{name}  {count:<9}  {row.fault}  <- {', '.join(row.tests)}")
    print(f"{len(chosen)} rows, {open_rows} open, {explained} explained")
    return int(open_rows > 0 or explained > EXPLAINED_MOST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
