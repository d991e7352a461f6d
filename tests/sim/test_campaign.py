"""What a campaign does with its worlds: it counts, compares, shrinks and tells."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.sim import __main__ as story
from tests.sim import campaign, core_world
from tests.sim.kinds import KINDS, Kind, kind_of
from tests.sim.line import Line
from tests.sim.optimum import Load, optimum
from tests.sim.outcome import Outcome


def test_a_seed_is_the_same_world_in_another_process() -> None:
    """Whatever the process hashes: else a failure could not be lived again."""
    traces = {seed: kind_of(seed).run(seed).trace for seed in (1, 2, 4, 5, 6)}
    told = campaign.again({**traces, 7: "another"})
    assert told == ["seed 7 is not the same in another process: make sim SEED=7"]


def test_a_failure_is_shrunk_to_the_misfortunes_that_it_needs() -> None:
    """Who reads it begins with the fewest."""
    real = core_world.run
    kind = Kind("core", core_world.FAULTS, real)

    def breaks(seed: int, faults: frozenset[str] | None = None) -> Outcome:
        outcome = real(seed, faults)
        if {"answer lost", "nonsense"} <= outcome.fired.keys():
            return replace(outcome, failure="7 things went wrong: in detail")
        return replace(outcome, failure="")

    broken = replace(kind, run=breaks)
    seed = next(n for n in range(4, 400) if broken.run(n).failure)
    outcome = broken.run(seed)
    assert campaign.shrunk(broken, seed, outcome) == {"answer lost", "nonsense"}


def test_the_sums_tell_what_never_struck_and_what_cost_too_much() -> None:
    """A campaign that is large enough fails where a misfortune never came."""
    kind = KINDS["core"]
    sums = campaign.Sums()
    sums.figures.update({"calls compared": 112, "calls needed": 100})
    sums.strikes.update(dict.fromkeys(kind.FAULTS - {"crash"}, 1))
    found = campaign.shortcomings({"core": sums}, [kind], campaign.SEEDS_THAT_MEET_ALL)
    assert found == ["core: crash never struck", "core: 1.120 times the calls needed"]
    assert campaign.shortcomings({"core": sums}, [kind], 100) == []
    assert any("112" in line for line in campaign.summary({"core": sums}))


def test_nobody_does_better_than_the_optimum() -> None:
    """No order of whole files meets more deadlines or ends sooner; what can be met, is."""
    dice = random.Random(4)
    for _ in range(200):
        loads = []
        for _ in range(dice.randint(1, 7)):
            ready_at = dice.randint(0, 20)
            loads.append(Load(dice.randint(1, 9), ready_at, ready_at + dice.randint(5, 40)))
        best = optimum(loads, 1.0)
        for _ in range(20):
            dice.shuffle(loads)
            now, missed = 0.0, 0
            for load in loads:
                now = max(now, load.ready_at) + load.bytes
                missed += now > load.ends_at
            assert best.finished_at <= now
            assert missed > 0 or best.missed == 0


def test_a_line_carries_no_more_than_its_rate_and_shares_it() -> None:
    """Two loads of ten at ten a second: both are through after two seconds."""
    line: Line[str] = Line(10.0)
    line.load("one", 10.0, 0.0)
    line.load("two", 10.0, 0.0)
    assert line.next() == (2.0, "one")
    line.set_rate(20.0, 1.0)
    assert line.arrived(1.5) == ["one", "two"]
    assert line.carried_bytes == 20.0
    assert line.next() is None


def test_a_replay_tells_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    """The last lines of what happened, and how it came out."""
    assert story.replay(4, last=3) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 5
    assert told[3].startswith("core world 4: ")
