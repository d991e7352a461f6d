"""Bulk downloads side by side with curl, aria2, wget2 and rclone, from nginx on loopback."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.downloads import memory, peers, table
from bench.downloads.corpus import CORPORA, Corpus, File, make
from bench.downloads.peers import Task, Tool
from bench.downloads.places import Places, places
from bench.downloads.rounds import Outcome, play, start_s
from bench.downloads.server import Server, serving
from bench.downloads.warm import warm

WORKS = ("bytes", "run", "memory")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.downloads", description=__doc__)
    add = parser.add_argument
    add("--work", default=",".join(WORKS), help="of bytes, run and memory (all)")
    add("--corpora", default=",".join(CORPORA), help="of S, M and L (all)")
    add("--schemes", default="http,https", help="of http and https (both)")
    add("--rounds", type=int, default=5, help="of each table (5)")
    add("--tools", default="", help="only those peers whose names this pattern finds")
    add("--files", type=Path, help="where the corpora are kept (in memory)")
    add("--out", type=Path, help="where downloads go for the bytes alone (in memory)")
    add("--disk", type=Path, default=Path(".bench"), help="where they go as in a run (.bench)")
    add("--cold", action="store_true", help="leave memory to the machine's host")
    add("--json", type=Path, help="add every run to this file, one object a line")
    return parser.parse_args()


def available(pattern: str) -> list[Tool]:
    """The peers that are wanted and there; says which programs are missing."""
    tools = peers.wanted(pattern)
    absent = peers.missing([*peers.NEEDED, *map(peers.program, tools)])
    if absent:
        print(f"not in PATH, so not measured: {', '.join(absent)}", file=sys.stderr)
    if set(absent) & set(peers.NEEDED):
        raise SystemExit(f"there is no benchmark without {' and '.join(peers.NEEDED)}")
    return [tool for tool in tools if peers.program(tool) not in absent]


@dataclass
class Bench:
    """One call of the program."""

    given: argparse.Namespace
    where: Places
    tools: Sequence[Tool]
    server: Server
    lists: Path
    failed: bool = False

    def starts(self, corpus: Corpus) -> None:
        """What is in each of our rows before the first byte and after the last one."""
        task, rounds = self.task(corpus, "http", (), self.where.disk), self.given.rounds
        for kind in peers.OURS:
            tool = peers.ours(kind)
            wall_s, cpu_s = start_s(task, tool, rounds)
            print(
                f"{tool.name}, nothing to download: {wall_s:.2f} s, CPU {cpu_s:.2f} s", flush=True
            )
        print()

    def compare(self, corpus: Corpus, scheme: str, files: Sequence[File]) -> None:
        """The tables of one corpus by one scheme."""
        works, fastest = self.given.work.split(","), [tool.name for tool in self.tools]
        title = f"{corpus.name} by {scheme}, {corpus.count:,} files of {corpus.size:,} bytes"
        if "bytes" in works:
            task = self.task(corpus, scheme, files, self.where.out)
            outcome = play(
                task, [*self.tools, peers.ours("bytes_only")], self.given.rounds, self.server
            )
            found = self.tell(f"{title}: bytes only", outcome, corpus.bytes)
            fastest = [row.tool for row in found]
        if "run" in works:
            task = self.task(corpus, scheme, files, self.where.disk)
            best = peers.best_settings(self.tools, fastest)
            rows = [*(peers.durable(each, corpus.count) for each in best), peers.ours("as_in_run")]
            outcome = play(task, rows, self.given.rounds, self.server)
            self.tell(f"{title}: as in a run, on a disk", outcome, corpus.bytes)

    def task(self, corpus: Corpus, scheme: str, files: Sequence[File], out: Path) -> Task:
        """What the tools are told; written down."""
        base = self.server.url(scheme, corpus.name)
        task = Task(tuple(files), base, self.server.ca_file, out, self.lists)
        task.write()
        return task

    def tell(self, title: str, outcome: Outcome, size: int) -> list[table.Row]:
        """Print one table; add its runs to the file of all runs."""
        found = table.rows((each for _, each in outcome.measured), size)
        print(table.shown(title, found, outcome.failed), flush=True)
        self.failed = self.failed or bool(outcome.failed)
        if self.given.json is not None:
            with open(self.given.json, "a") as raw:
                for number, each in outcome.measured:
                    run = {"table": title, "round": number, **asdict(each)}
                    raw.write(json.dumps(run) + "\n")
        return found


def main() -> int:
    """Make what is missing, measure, and print tables; 1 where a tool failed."""
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything begun is ended
    tools = available(given.tools)
    corpora = [CORPORA[name] for name in given.corpora.split(",")]
    is_memory = "memory" in given.work.split(",")
    made_of = {each.name: each for each in corpora}
    if is_memory:
        made_of |= {name: CORPORA[name] for name in ("S", "M")}
    where = places(given, made_of.values())
    files = {name: make(corpus, where.files) for name, corpus in made_of.items()}
    largest = max(each.bytes for each in made_of.values())
    with (
        tempfile.TemporaryDirectory() as home,
        serving(where.files, Path(home)) as server,
        warm(0 if given.cold else largest + largest // 4),
    ):
        bench = Bench(given, where, tools, server, Path(home) / "lists")
        if set(given.work.split(",")) - {"memory"}:
            bench.starts(corpora[0])
            for corpus in corpora:
                for scheme in given.schemes.split(","):
                    bench.compare(corpus, scheme, files[corpus.name])
        if is_memory:
            small, middle = (
                bench.task(CORPORA[name], "https", files[name], where.disk) for name in ("S", "M")
            )
            print(memory.report(small, middle), flush=True)
    print(f"the corpora stay for the next time: rm -r {where.files}", file=sys.stderr)
    return int(bench.failed)


if __name__ == "__main__":
    sys.exit(main())
