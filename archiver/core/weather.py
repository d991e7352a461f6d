"""The weather of a host: when to leave it alone, and how to find out that it is over.

Rule 1: weather is nobody's fault; it only says when a host may be tried again.
Rule 2: after the first wait exactly one probe goes out at a time; any success opens the gate.
Rule 3: a storm counts once: failures of calls that were under way do not lengthen the wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from archiver.core.model import NOW, Instant

FIRST_WAIT_S = 1.0  # one failed call among successes must not stop the world for long
LONGEST_WAIT_S = 30.0  # an outage is probed twice a minute: back within a minute of its end
LONGEST_ORDER_S = 900.0  # a host that says "come back tomorrow" is asked again in 15 minutes
PROBE_LIFE_S = 90.0  # a probe that says nothing for longer was lost; no call may last 60 s


@dataclass(frozen=True, slots=True)
class Gate:
    """What is known of one host.

    Attributes:
        failures: bouts of failure in a row; 0 is an open gate.
        closed_until: nobody tries before this Instant.
        probing_at: when the one probe went out, None while there is none.
        reason: what the last bout of failures looked like, for people.
    """

    failures: int = 0
    closed_until: Instant = NOW
    probing_at: Instant | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Everybody may pass."""
        return self.failures == 0


OPEN = Gate()


def may_try(gate: Gate, now: Instant) -> bool:
    """Whether one more call may go out; in bad weather that call is the probe."""
    if gate.is_open:
        return True
    if now < gate.closed_until:
        return False
    return gate.probing_at is None or now >= gate.probing_at + PROBE_LIFE_S


def tried(gate: Gate, now: Instant) -> Gate:
    """A call goes out: in bad weather it takes the probe's place."""
    return gate if gate.is_open else replace(gate, probing_at=now)


def let_go(gate: Gate) -> Gate:
    """The call said nothing about the host (it was cancelled): the next one may probe."""
    return replace(gate, probing_at=None)


def failed(gate: Gate, now: Instant, retry_at: Instant | None = None, reason: str = "") -> Gate:
    """A call failed by the weather.

    Args:
        retry_at: when the host said to come back; kept within 15 minutes.
        reason: how it failed.
    """
    ordered = Instant(min(retry_at or NOW, now + LONGEST_ORDER_S))
    if now < gate.closed_until and not gate.is_open:
        return replace(gate, closed_until=Instant(max(gate.closed_until, ordered)))
    wait_s = min(FIRST_WAIT_S * 2.0 ** min(gate.failures, 10), LONGEST_WAIT_S)
    return Gate(gate.failures + 1, Instant(max(now + wait_s, ordered)), reason=reason)


def next_try_at(gate: Gate, now: Instant) -> Instant:
    """When the next call may go out: *now* where it may at once."""
    if may_try(gate, now):
        return now
    if now < gate.closed_until or gate.probing_at is None:
        return gate.closed_until
    # A probe is out: it will tell long before its life ends; look again in a second.
    return Instant(min(now + FIRST_WAIT_S, gate.probing_at + PROBE_LIFE_S))


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a run waits for, in words for people.

    Attributes:
        place: the host, or what else is short.
        reason: "" where *place* says it all.
        until: when it is tried again.
        calm_s: how long it has to be quiet before it counts as over.
    """

    place: str
    reason: str
    until: Instant
    calm_s: float = 5.0


@dataclass(slots=True)
class Weather:
    """The gates of all hosts of a run, by origin (``https://api.video.ibm.com``)."""

    gates: dict[str, Gate] = field(default_factory=dict)

    def may_try(self, host: str, now: Instant) -> bool:
        """Take a call's place; after True say ``succeeded``, ``failed`` or ``let_go``."""
        gate = self.gates.get(host, OPEN)
        if not may_try(gate, now):
            return False
        self.gates[host] = tried(gate, now)
        return True

    def failed(
        self, host: str, now: Instant, retry_at: Instant | None = None, reason: str = ""
    ) -> None:
        """A call to *host* failed by the weather."""
        self.gates[host] = failed(self.gates.get(host, OPEN), now, retry_at, reason)

    def succeeded(self, host: str) -> None:
        """*host* answered: whatever it said, it is there."""
        self.gates[host] = OPEN

    def let_go(self, host: str) -> None:
        """A call to *host* ended without news of the weather."""
        self.gates[host] = let_go(self.gates.get(host, OPEN))

    def is_open(self, host: str) -> bool:
        """Nothing is known against *host*."""
        return self.gates.get(host, OPEN).is_open

    def closed_until(self, host: str, now: Instant) -> Instant:
        """When *host* may be tried next; *now* where it may at once.  Takes no place."""
        return next_try_at(self.gates.get(host, OPEN), now)

    def closed(self, now: Instant) -> dict[str, Instant]:
        """The hosts that nobody may try yet, and until when."""
        untils = ((host, next_try_at(gate, now)) for host, gate in self.gates.items())
        return {host: until for host, until in untils if until > now}

    def reason(self, host: str) -> str:
        """How *host* failed last; a word for it where nobody said."""
        return self.gates.get(host, OPEN).reason or "it is in trouble"

    def troubles(self, now: Instant) -> list[Trouble]:
        """The hosts that failed more than once in a row, or are closed for more than a moment."""
        return [
            Trouble(host, gate.reason, next_try_at(gate, now))
            for host, gate in self.gates.items()
            if gate.failures > 1 or gate.closed_until > now + FIRST_WAIT_S
        ]
