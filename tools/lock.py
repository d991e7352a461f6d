"""Write ``requirements/*.txt``: every package that a set-up installs, by version and hash.

Three files, each a part of the next: ``run`` (the program, and what builds it), ``dev`` (checks and
tests), ``gates`` (what only ``make mutants``, ``audit`` and ``lock`` need).  They hold for each
Python and system that pyproject.toml names, and no address: any index will do, the hashes decide.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = ("run", "dev", "gates")


def wanted(lock: str) -> list[str]:
    """What pyproject.toml asks for, as far as the set-up called *lock* goes."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*told["build-system"]["requires"], *told["project"]["dependencies"]]
    for name in LOCKS[1 : LOCKS.index(lock) + 1]:
        asked += told["project"]["optional-dependencies"][name]
    return asked


def write(lock: str, agreeing_with: str | None) -> None:
    """Resolve anew; versions that *agreeing_with* has already decided stay."""
    path = f"requirements/{lock}.txt"
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    told = subprocess.run(
        [
            sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--upgrade",
            "--universal", "--python-version", oldest.removeprefix(">="), "--generate-hashes",
            "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
            *(["--constraints", f"requirements/{agreeing_with}.txt"] if agreeing_with else []),
            "-",
        ],
        input="\n".join(wanted(lock)), text=True, cwd=ROOT, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    (ROOT / path).write_text(f"# Written by `make lock` from pyproject.toml.\n{told.stdout}")


def main() -> None:
    """Write all of them."""
    for lock, before in zip(LOCKS, (None, *LOCKS), strict=False):
        write(lock, before)


if __name__ == "__main__":
    main()
