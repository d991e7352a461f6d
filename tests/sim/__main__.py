"""``python -m tests.sim``: a campaign of simulated worlds, or one of them again."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import deque

from tests.sim import campaign
from tests.sim.fate import story
from tests.sim.kinds import KINDS, kind_of


class _Listener(logging.Handler):
    """Keeps the last lines of a story."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=most)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def replay(seed: int, last: int) -> int:
    """One world again, with the end of its story."""
    listener = _Listener(last)
    story.addHandler(listener)
    story.setLevel(logging.INFO)
    story.propagate = False
    kind = kind_of(seed)
    outcome = kind.run(seed)
    for line in listener.lines:
        print(line)
    story.setLevel(logging.WARNING)
    print(f"{kind.name} world {seed}: {outcome.steps} steps, trace {outcome.trace}")
    print(f"misfortunes: {dict(sorted(outcome.fired.items()))}")
    if outcome.failure:
        print(campaign.told(seed, outcome))
    return 1 if outcome.failure else 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="live just this one again")
    parser.add_argument("--last", type=int, default=50, help="lines of its story")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS], help="live no other")
    parser.add_argument("--traces", type=int, nargs="+", help="print the traces of these seeds")
    wanted = parser.parse_args()
    if wanted.traces:
        for seed in wanted.traces:
            print(seed, kind_of(seed).run(seed).trace)
        return 0
    if wanted.seed is not None:
        return replay(wanted.seed, wanted.last)
    every = range(wanted.first, wanted.first + wanted.seeds)
    seeds = [seed for seed in every if kind_of(seed).name in wanted.kinds]
    return campaign.report(seeds, sys.stderr, [KINDS[name] for name in wanted.kinds])


if __name__ == "__main__":
    sys.exit(main())
