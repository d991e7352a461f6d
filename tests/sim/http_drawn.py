"""What kind of world a seed draws: the account, the line, the limits, and which misfortunes exist.

Rule: each thing is drawn from dice of its own, so that a change in one does not reshuffle all, and
a world with fewer misfortunes is otherwise the same world.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from archiver.core.steps import Policy
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.faults import FAULTS as EVERY_FAULT
from tests.sim import network
from tests.sim.transport import Way

CRASH, INTERRUPT = "crash", "interrupt"
STEP, SKEW = "stepped-clock", "skewed-clock"
OWNER_FAULTS = frozenset({"replaced-video", "deleted-video", "renamed-video", "new-video"})
# A night sees no page of consent.
VENDOR_FAULTS = {name: fault for name, fault in EVERY_FAULT.items() if fault.where != "consent"}
OF_VIDEOS = frozenset(name for name, fault in VENDOR_FAULTS.items() if fault.where != "extras")
OF_EXTRAS = frozenset(VENDOR_FAULTS) - OF_VIDEOS
COMMON = OF_VIDEOS | network.FAULTS | OWNER_FAULTS | {CRASH, INTERRUPT, STEP, SKEW}
FAULTS = COMMON | OF_EXTRAS
# These need a listing of several pages; the others a file of which some is saved.
PAGED = frozenset({"repeat-page", "empty-page", "moving-page", "shrinking-page", "next-loop"})
RANGED = frozenset({"range-416", "wrong-range", "multipart-range", "ignore-range", "wrong-bytes"})
CUTTING = frozenset({"cut-with-length", "reset-mid-body"})
# Answers of 20 MB, or of 100,000 lists: a few of them are enough.
HEAVY = frozenset({"huge-json", "deep-json"})
# Under these a right client may come late, or too early, by the vendor's clock.
UNPUNCTUAL = frozenset({
    "date-skew", "slow-answer", "slow", "stall", "expires-null", "expires-past", "expires-string",
    "expires-ms", "expires-missing", STEP, SKEW, "throttle-odd",
}) | network.FAULTS  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """One world, before anything happens in it.

    Attributes:
        specs: the vendor's misfortunes, as its settings have them.
        chances: the network's.
        nights: with misfortune; the calm ones come after.
        is_feasible: all that the vendor has can be archived in calm nights.
        is_punctual: nothing stands between the client and the vendor's clock.
        dice: for what is drawn on the way.
        extras: what belongs to videos is asked for, too; with so many calls a night.
    """

    seed: int
    faults: frozenset[str]
    config: EmulatorConfig
    sizes: tuple[int, ...]
    way: Way
    specs: tuple[str, ...]
    chances: Mapping[str, float]
    crashes: int
    nights: int
    downloads: int
    requests: int
    limit_rate: float | None
    max_wait_s: float
    is_feasible: bool
    is_punctual: bool
    dice: random.Random
    extras: bool = False
    extras_calls: int | None = None

    @property
    def is_near(self) -> bool:
        """A request is under way for less than the client's margin before an expiry.

        It may need a name, a connection and the call itself, and all of that again for a redirect.
        """
        margin_s = min(Policy().margin_most_s, Policy().margin_share * self.config.window_s)
        return margin_s >= 6 * self.way.latency_s[1]


def draw(seed: int, faults: frozenset[str] | None) -> Drawn:
    """Draw the world of a seed; with *faults* in place of those that it would draw."""
    if faults is None:
        faults = _some_faults(seed)
    dice = random.Random(f"world {seed}")
    config, sizes = _vendor(seed, dice, skewed=SKEW in faults)
    # Less than a period of the limit, or than one file takes, would be less than is promised.
    patience_s = 2.0 * (config.rate_period_s + config.generation_s[1])
    limit_rate = dice.choice([None, None, None, 1e5, 1e6])
    beside = random.Random(f"extras {seed}")
    extras = beside.random() < 0.5
    rate = min(config.line_bytes_s or 1e9, limit_rate or 1e9, 5e6)
    return Drawn(
        seed=seed, faults=faults, config=config, sizes=sizes,
        way=Way(latency_s=dice.choice([(0.001, 0.01), (0.005, 0.08), (0.1, 0.6)])),
        specs=tuple(_spec(seed, name) for name in sorted(faults & set(VENDOR_FAULTS))),
        chances={name: _chance(seed, name) for name in sorted(faults & network.FAULTS)},
        crashes=dice.randint(1, 5), nights=dice.randint(2, 4) if faults else 1,
        downloads=dice.randint(1, 8), requests=dice.randint(1, 8), limit_rate=limit_rate,
        max_wait_s=patience_s + dice.choice([1200.0, 1200.0, 3600.0, 6 * 3600.0]),
        is_feasible=sum(sizes) <= 0.2 * rate * config.window_s and _is_seen(config),
        is_punctual=config.rate_headers and not faults & UNPUNCTUAL,
        dice=random.Random(f"way {seed}"), extras=extras,
        extras_calls=beside.choice([None, None, None, beside.randint(0, 60)]),
    )  # fmt: skip


def _is_seen(config: EmulatorConfig) -> bool:
    """An address lives longer than the gap between two polls for a file that took so long.

    Without any sign of a short window, a slow file is polled every five minutes.
    """
    return config.window_s >= min(600.0, config.generation_s[1])


def featured(seed: int) -> str:
    """The misfortune whose turn it is: over some hundred worlds each one is, and can strike."""
    names = sorted(COMMON)
    return names[seed // 10 % len(names)]


def _some_faults(seed: int) -> frozenset[str]:
    """A tenth of the worlds has none; of the others, each has a part of them, and its own."""
    dice = random.Random(f"which {seed}")
    if dice.random() < 0.1:
        return frozenset()
    share = dice.choice([0.03, 0.1, 0.25])
    chosen = {name for name in sorted(COMMON - {CRASH}) if dice.random() < share}
    beside = random.Random(f"which extras {seed}")
    chosen |= {name for name in sorted(OF_EXTRAS) if beside.random() < share}
    own = featured(seed)
    chosen |= {own} | (CUTTING if own in RANGED else frozenset())
    return frozenset(chosen | ({CRASH} if dice.random() < 0.3 else set()))


def _vendor(
    seed: int, dice: random.Random, *, skewed: bool
) -> tuple[EmulatorConfig, tuple[int, ...]]:
    window_s = dice.choice([86_400.0, 86_400.0, 3600.0, 365 * 86_400.0, float("inf"), 60.0, 20.0])
    if featured(seed) in PAGED:  # many videos, each of which a short window would cost many calls
        window_s = max(window_s, 3600.0)
    # Where addresses live for seconds, each video costs many calls: a few are enough.
    count = int(10 ** dice.uniform(0, 1.48 if window_s > 60.0 else 0.8))
    if featured(seed) in PAGED:
        count = dice.randint(51, 60)
    if featured(seed) in RANGED:
        count = dice.randint(6, 12)
    limit, period_s = None, 60.0
    if dice.random() < 0.4:
        # With a few calls an hour, an address that lives for minutes is never seen in time.
        least = 1.0 if window_s >= 86_400.0 else 2.5
        limit, period_s = int(10 ** dice.uniform(least, 3.7)), dice.choice([60.0, 3600.0])
    longest = dice.choice([0.0, 2.0, 60.0, 1800.0])
    config = EmulatorConfig(
        seed=seed,
        videos=count,
        channels=1 if featured(seed) in PAGED else dice.randint(1, 2),
        playlists=dice.randint(0, 2),
        generation_s=(longest / 10, longest),
        window_s=window_s,
        line_bytes_s=dice.choice([None, 10 ** dice.uniform(4, 9)]),
        rate_limit=limit,
        rate_period_s=period_s,
        rate_headers=dice.random() < 0.8,
        token_life_s=dice.choice([86_400.0, 900.0, 60.0]),
        secret_style=dice.choice(["body", "raw-basic", "basic"]),
        clock_skew_s=dice.uniform(-7200.0, 7200.0) if skewed else 0.0,
        slow_answer_s=dice.choice([1.0, 15.0, 45.0]),
    )
    least = 5.3 if featured(seed) in RANGED else 4.18
    most = 4.7 if count > 30 else 6.3
    return config, tuple(int(10 ** dice.uniform(least, most)) for _ in range(count))


def _spec(seed: int, name: str) -> str:
    dice = random.Random(f"rate {seed} {name}")
    if name in HEAVY:
        return f"{name}*{dice.randint(1, 2)}"
    if VENDOR_FAULTS[name].endless:
        # A world in which no file ever gets ready is one long night of polls.
        return f"{name}:{10 ** dice.uniform(-1, -0.3):.4f}"
    own = featured(seed)
    if name in CUTTING and own in RANGED:
        return f"{name}:0.4"
    if name == own and own in RANGED:
        return f"{name}:0.7"
    least = -0.7 if name == own else -2.0
    return f"{name}:{10 ** dice.uniform(least, -0.4):.4f}"


def _chance(seed: int, name: str) -> float:
    dice = random.Random(f"rate {seed} {name}")
    if name == "outage" and name != featured(seed):
        return 10 ** dice.uniform(-3, -2)
    return 10 ** (dice.uniform(-0.5, -0.1) if name == featured(seed) else dice.uniform(-2, -0.7))
