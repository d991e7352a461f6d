"""``make kill``: real processes killed in every phase; what they acknowledged is held against them.

An archive lives through ``KILLS_EACH`` kills and is then completed.  Most kills come before
a chosen call of a chosen phase, the others after a time; every fourth is followed by one of the
next process while it recovers.  Everything is seen from outside: the files, the exit codes, what
was said, and what the vendor counted.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.points import MEMORY
from tests.crash.program import (
    Place,
    Result,
    Vendor,
    Warm,
    is_alone,
    is_complete,
    nothing_is_lost,
    vendor,
)
from tests.crash.test_kill import after_a_kill, catalogue

KILLS_EACH = 50
CHECKED_EACH = 10  # kills between two looks at everything
WRONG_MOST = 10  # violations after which it is enough
NIGHTS_MOST = 5  # runs to completion, in bad weather
PHASES = {  # the call that is killed before, and up to which number of it in a run
    "making folders": ("mkdir", 6), "making files": ("create", 6), "listing": ("account_videos", 1),
    "request": ("request", 12), "poll": ("status", 12), "download begins": ("fetch", 8),
    "download": ("pwrite", 30), "download synced": ("fdatasync", 8),
    "whole": ("chmod", 8), "sealing": ("fsync", 20),
    "publication": ("rename_noreplace", 6), "commit": ("commit", 40), "bag": ("replace", 3),
    "clearing up": ("unlink", 8),
}  # fmt: skip
WEATHER = (
    (), ("reset-mid-body:0.3", "cdn-503:0.1"), ("error-503:0.05", "slow-answer:0.05"),
    ("cut-with-length:0.3", "ignore-range:0.3", "list-503:0.2"), ("lost-answer:0.1",),
)  # fmt: skip


@dataclass
class Life:
    """What came of the kills."""

    kills: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    archives: int = 0

    def add(self, other: Life) -> None:
        """Take in another's."""
        self.kills += other.kills
        self.archives += other.archives
        self.phases += other.phases
        self.wrong += other.wrong


def options(seed: int) -> list[str]:
    """A vendor for some seconds of work, in one weather of several."""
    faults = [word for fault in WEATHER[seed % len(WEATHER)] for word in ("--fault", fault)]
    return [
        "--seed", str(seed), "--videos", "40", "--size", "15k-150k", "--generation", "0-0.4",
        "--window", "1h", *faults,
    ]  # fmt: skip


def lives(seed: int, kills: int) -> Life:
    """Archives, one after the other, until *kills* kills have landed."""
    total = Life()
    with tempfile.TemporaryDirectory(prefix="archiver-kill-", dir=MEMORY) as base:
        program = Warm(Place(Path(base) / "none"))
        while total.kills < kills and len(total.wrong) < WRONG_MOST:
            root, one = Path(base) / str(seed), Life(archives=1)
            try:
                with vendor(*options(seed)) as them:
                    program.place = Place(root, them.env)
                    _live(program, them, seed, min(KILLS_EACH, kills - total.kills), one)
            except AssertionError:
                one.wrong.append(f"archive {seed}: {traceback.format_exc(limit=-2)}")
            total.add(one)
            shutil.rmtree(root, ignore_errors=True)
            seed += 2
    return total


def _live(program: Warm, them: Vendor, seed: int, kills: int, life: Life) -> None:
    chance, place = random.Random(seed), program.place
    for _ in range(3 * kills):
        if life.kills >= kills:
            break
        _kill(program, chance, life)
        nothing_is_lost(place)
        if place.is_made and chance.random() < 0.25:
            _kill_recovery(program, chance, life)
            nothing_is_lost(place)
        if life.kills % CHECKED_EACH == 0:
            after_a_kill(place, program)
    _complete(program, them)
    _is_polite(them)


def _kill(program: Warm, chance: random.Random, life: Life) -> None:
    args = program.place.run_args("--max-wait", "20s")
    if chance.random() < 0.7:
        phase = chance.choice(list(PHASES))
        on, most = PHASES[phase]
        result = program.run(*args, fuse=chance.randint(1, most), on=on)
    else:
        result = program.run(*args, kill_after_s=chance.uniform(0.0, 0.6))
        phase = f"after {_last_event(result)}"
    assert result.code in (-signal.SIGKILL, 0, 1), result.err
    if result.code == -signal.SIGKILL:
        life.kills += 1
        life.phases[phase] += 1


def _kill_recovery(program: Warm, chance: random.Random, life: Life) -> None:
    result = program.run("retry", str(program.place.dest), fuse=chance.randint(1, 30))
    assert result.code in (-signal.SIGKILL, 0), result.err
    if result.code == -signal.SIGKILL:
        life.kills += 1
        life.phases["recovery"] += 1


def _last_event(result: Result) -> str:
    events = result.events
    return f"the word {events[-1]['event']!r}" if events else "nothing was said"


def _complete(program: Warm, them: Vendor) -> None:
    place = program.place
    last = program.run(*place.run_args())
    for _ in range(NIGHTS_MOST):
        assert last.code in (0, 1), last.err
        if last.code == 0:
            break
        last = program.run(*place.run_args())
    assert last.summary["outcome"] == "complete", last.summary
    is_complete(place, them, catalogue(place, program))
    is_alone(place)
    assert {path.name for path in place.root.iterdir()} == {"home", "tmp", "cwd", "said", "archive"}


def _is_polite(them: Vendor) -> None:
    """No POST was repeated: the intent stands before each; but the vendor's own faults may ask."""
    stats = them.get("stats")
    asked = stats["faults"]
    most = 1 + sum(asked.get(name, 0) for name in ("error-503", "lost-answer", "slow-answer"))
    repeated = {v: n for v, n in stats["posts_by_video"].items() if n > most}
    assert repeated == {}, (repeated, asked)
    assert stats["credential_leaks"] == 0
