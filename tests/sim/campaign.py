"""Thousands of worlds, and what they say together.

A seed's kind follows from the seed alone, so one number is enough to live a world again.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from tests.sim.kinds import Kind, kind_of
from tests.sim.outcome import Outcome

AGAIN_EVERY = 20  # a seed of so many is lived again elsewhere: the same trace, or it is no replay
SEEDS_THAT_MEET_ALL = 2000  # so many must meet each misfortune; of fewer, no share can be judged
TWINS_EVERY = 4  # a ten of seeds of so many is compared with the same worlds without misfortune
BATCH = 40
SAID_EVERY = 100  # worlds
SHRUNK_MOST = 10  # failures: who has more begins with the first
BOUNDS = (  # over a campaign: this figure is at most so many times that one
    ("calls compared", 1.10, "calls needed"),
    ("seconds to the end", 1.10, "seconds at best"),
)
ROOT = Path(__file__).parent.parent.parent


@dataclass(slots=True)
class Sums:
    """What the worlds of one kind add up to."""

    worlds: int = 0
    steps: int = 0
    simulated_s: float = 0.0
    cpu_s: float = 0.0
    strikes: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)  # worlds
    survived: Counter[str] = field(default_factory=Counter)  # worlds
    figures: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome, cpu_s: float) -> None:
        """One more world."""
        self.worlds += 1
        self.steps += outcome.steps
        self.simulated_s += outcome.simulated_s
        self.cpu_s += cpu_s
        self.figures.update(outcome.figures)
        for name, count in outcome.fired.items():
            self.strikes[name] += count
            self.struck[name] += 1
            self.survived[name] += not outcome.failure


@dataclass(frozen=True, slots=True)
class Lived:
    """One world, and what it cost."""

    seed: int
    outcome: Outcome
    cpu_s: float


def lived(seed: int) -> Lived:
    """Live the world of *seed* through."""
    began_s = time.process_time()
    outcome = kind_of(seed).run(seed)
    cpu_s = time.process_time() - began_s
    if seed // 10 % TWINS_EVERY == 0:
        outcome = replace(outcome, figures={**outcome.figures, **calls_of(seed, outcome)})
    return Lived(seed, outcome, cpu_s)


def calls_of(seed: int, outcome: Outcome) -> dict[str, float]:
    """The API calls of a world under misfortune, and those that were necessary.

    Necessary is what the same world without misfortune needs, and beside that:
    each call that was refused or whose answer was lost, again (a POST of which nobody knows
    whether it took effect: a GET more); the looks at a file that is late, and the probes of an
    outage, at the pace that is promised for them; and for each version that ran out, or was
    forgotten or spoilt, by a misfortune of its video what a version costs without misfortune.
    """
    figures = outcome.figures
    if outcome.failure or not outcome.fired or "owed calls" not in figures:
        return {}
    calm = kind_of(seed).run(seed, frozenset()).figures
    if "videos" not in calm:
        return {}
    version = calm["api calls"] / calm["videos"]
    needed = calm["api calls"] + figures["owed calls"] + version * figures["owed versions"]
    return {"calls compared": figures["api calls"], "calls needed": round(needed)}


def run(
    seeds: Sequence[int], say: TextIO, *, processes: int = 2
) -> tuple[dict[str, Sums], list[str]]:
    """Live *seeds* through.

    Returns:
        The sums of each kind, and what failed, in words with the way to see it again.
    """
    sums: dict[str, Sums] = {}
    failures: list[str] = []
    traces: dict[int, str] = {}
    began_s = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, one in enumerate(pool.imap(lived, seeds, chunksize=BATCH), 1):
            sums.setdefault(kind_of(one.seed).name, Sums()).add(one.outcome, one.cpu_s)
            if one.seed % AGAIN_EVERY == 0:
                traces[one.seed] = one.outcome.trace
            if one.outcome.failure:
                failures.append(told(one.seed, one.outcome, shrink=len(failures) < SHRUNK_MOST))
                print(failures[-1], file=say, flush=True)
            if done % SAID_EVERY == 0:
                print(f"{done} worlds, {time.monotonic() - began_s:.0f} s", file=say, flush=True)
    failures += again(traces)
    return sums, failures


def again(traces: dict[int, str]) -> list[str]:
    """Live the same seeds in another process, which hashes otherwise: the traces must be equal."""
    if not traces:
        return []
    numbers = [str(seed) for seed in traces]
    env = {**os.environ, "PYTHONHASHSEED": "4711"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim", "--traces", *numbers],
        cwd=ROOT, env=env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = dict(line.split() for line in done.stdout.splitlines())
    return [
        f"seed {seed} is not the same in another process: make sim SEED={seed}"
        for seed, trace in traces.items()
        if found.get(str(seed)) != trace
    ]


def told(seed: int, outcome: Outcome, *, shrink: bool = True) -> str:
    """A failure, and how to see it again."""
    kind = kind_of(seed)
    fewest = shrunk(kind, seed, outcome) if shrink else frozenset(outcome.fired)
    return (
        f"FAILED {kind.name} world {seed} at {_commit()}: {outcome.failure[:400]}\n"
        f"  with no more than: {', '.join(sorted(fewest)) or 'no misfortune at all'}\n"
        f"  again: make sim SEED={seed}"
    )


def shrunk(kind: Kind, seed: int, outcome: Outcome) -> frozenset[str]:
    """The fewest misfortunes, by leaving out one after the other, that break the same promise."""
    fewest = frozenset(outcome.fired)
    if not _breaks_the_same(kind, seed, fewest, outcome):
        return outcome.faults
    for name in sorted(fewest):
        if _breaks_the_same(kind, seed, fewest - {name}, outcome):
            fewest -= {name}
    return fewest


def _breaks_the_same(kind: Kind, seed: int, faults: frozenset[str], outcome: Outcome) -> bool:
    return _promise(kind.run(seed, faults).failure) == _promise(outcome.failure)


def _promise(failure: str) -> str:
    """A failure without its numbers, as far as its first colon."""
    return re.sub(r"[0-9][0-9.]*", "#", failure).partition(":")[0]


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False, capture_output=True,
        text=True,
    )  # fmt: skip
    return done.stdout.strip() or "an unknown commit"


def summary(sums: dict[str, Sums]) -> Iterator[str]:
    """The campaign in lines for people."""
    for name, each in sorted(sums.items()):
        yield (
            f"{name}: {each.worlds} worlds, {each.steps} steps, "
            f"{each.simulated_s / 86_400:.0f} simulated days, "
            f"{1000 * each.cpu_s / max(1, each.worlds):.1f} ms of CPU a world"
        )
        figures = (f"{key} {value:g}" for key, value in sorted(each.figures.items()))
        yield "  " + ", ".join(figures)
        for what, most, of in BOUNDS:
            if each.figures[of]:
                share = each.figures[what] / each.figures[of]
                yield f"  {what}: {share:.3f} times the {of} (at most {most:.2f})"
        for fault, strikes in sorted(each.strikes.items()):
            worlds, survived = each.struck[fault], each.survived[fault]
            yield f"  {fault:<22} {strikes:>7} strikes in {worlds:>5} worlds, {survived} survived"


def shortcomings(sums: dict[str, Sums], kinds: Iterable[Kind], worlds: int) -> list[str]:
    """What a campaign of so many worlds should have met and kept, and did not."""
    found: list[str] = []
    if worlds < SEEDS_THAT_MEET_ALL:
        return found
    for kind in kinds:
        each = sums.get(kind.name, Sums())
        never = sorted(kind.FAULTS - each.strikes.keys())
        found += [f"{kind.name}: {name} never struck" for name in never]
        for what, most, of in BOUNDS:
            had, base = each.figures[what], each.figures[of]
            if had > most * base:
                found.append(f"{kind.name}: {had / max(1, base):.3f} times the {of}")
    return found


def report(seeds: Sequence[int], say: TextIO, kinds: Sequence[Kind]) -> int:
    """A whole campaign; returns the exit code."""
    sums, failures = run(seeds, say)
    failures += shortcomings(sums, kinds, len(seeds))
    for line in summary(sums):
        print(line)
    for failure in failures:
        print(failure)
    print(f"{len(seeds)} worlds, {len(failures)} failures")
    return 1 if failures else 0
