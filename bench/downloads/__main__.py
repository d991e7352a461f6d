"""Bulk downloads side by side with curl, aria2, wget2 and rclone, from nginx on loopback."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bench.downloads import table
from bench.downloads.corpus import CORPORA, Corpus, File, make
from bench.downloads.peers import NEEDED, OURS, PEERS, Task, missing
from bench.downloads.rounds import Outcome, play
from bench.downloads.server import Server, serving


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.downloads", description=__doc__)
    parser.add_argument("--corpora", default="S,M,L", help="of S, M and L (all)")
    parser.add_argument("--schemes", default="http,https", help="of http and https (both)")
    parser.add_argument("--rounds", type=int, default=5, help="of each table (5)")
    parser.add_argument("--tools", default="", help="only those whose names this pattern finds")
    parser.add_argument("--files", type=Path, help="where the corpora are kept (in memory)")
    parser.add_argument(
        "--out", type=Path, help="where downloads go for the bytes alone (in memory)"
    )
    parser.add_argument("--json", type=Path, help="add every run to this file, one object a line")
    return parser.parse_args()


def chosen(pattern: str) -> dict[str, str]:
    """The commands of all tools that are wanted and there; says which programs are missing."""
    tools = {name: command for name, command in (PEERS | OURS).items() if re.search(pattern, name)}
    absent = missing([*NEEDED, *tools.values()])
    if absent:
        print(f"not in PATH, so not measured: {', '.join(absent)}", file=sys.stderr)
    if set(absent) & set(NEEDED):
        raise SystemExit(f"there is no benchmark without {' and '.join(NEEDED)}")
    return {name: command for name, command in tools.items() if not missing([command])}


def main() -> int:
    """Make what is missing, measure, print one table for each corpus and scheme."""
    given = arguments()
    tools = chosen(given.tools)
    corpora = [CORPORA[name] for name in given.corpora.split(",")]
    memory = Path("/dev/shm") / f"archiver-bench-{os.getuid()}"
    files, out = given.files or memory / "files", given.out or memory / "out"
    made = {corpus.name: make(corpus, files) for corpus in corpora}
    failed = False
    with tempfile.TemporaryDirectory() as home, serving(files, Path(home)) as server:
        for corpus in corpora:
            for scheme in given.schemes.split(","):
                task = _task(corpus, made[corpus.name], scheme, server, out, Path(home) / "lists")
                outcome = play(task, tools, given.rounds, server)
                title = f"{corpus.name}, {scheme}: {corpus.count} files of {corpus.size:,} bytes"
                told(title, outcome, corpus.bytes, given.json)
                failed = failed or bool(outcome.failed)
    return int(failed)


def _task(
    corpus: Corpus, files: list[File], scheme: str, server: Server, out: Path, lists: Path
) -> Task:
    task = Task(tuple(files), server.url(scheme, corpus.name), server.ca_file, out, lists)
    task.write()
    return task


def told(title: str, outcome: Outcome, size: int, raw: Path | None) -> None:
    """Print one table; add its runs to *raw*."""
    found = table.rows((each for _, each in outcome.measured), size)
    print(table.shown(title, found, outcome.failed), flush=True)
    if raw is not None:
        with open(raw, "a") as file:
            for number, each in outcome.measured:
                run: Mapping[str, object] = {"table": title, "round": number, **asdict(each)}
                file.write(json.dumps(run) + "\n")


if __name__ == "__main__":
    sys.exit(main())
