"""How many API calls the vendor's rate limit leaves: slow down before the 429, not after.

Rule 1: within one reset epoch ``remaining`` only goes down; calls in flight are already spent.
Rule 2: at 0 nobody sends before the reset and a small margin; then one probe tells the rest.
        One, not ``limit``: other programs may share the bucket and clocks differ; it costs one
        round trip a period and can be refused at most once.
Rule 3: nothing known is a slow start: one call more in flight for each answer without news.
Rule 4: a bare 429 slows the rate to 0.7 and backs off 1 to 60 s; answers bring it back.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from archiver.core.model import NOW, Instant
from archiver.met import met

LONGEST_WAIT_S = 900.0  # any wait that a header asks for; then one probe
SHORTEST_WAIT_S = 1.0  # where the reset lies in the past
SAME_EPOCH_S = 1.0  # resets sent as whole-second deltas wander by this much
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 60.0
SLOWER = 0.7  # a bare 429 (as CUBIC and the AWS SDKs have it)
FASTER = 0.05  # calls a second that an answer gives back
SLOWEST, FAST_ENOUGH = 0.05, 50.0  # calls a second: a call in 20 s at least; no spacing beyond 50
WATCH_S = 10.0  # the rate that met a bare 429 is measured over this long
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(
    r"[A-Za-z]{3,9},\s+([0-9]{1,2})[ -]([A-Za-z]{3})[ -]([0-9]{4})"
    r"\s+([0-9]{2}):([0-9]{2}):([0-9]{2})\s+(?:GMT|UTC|\+0000)"
)


def http_date(text: str) -> Instant | None:
    """The Instant of an HTTP date (RFC 9110, 5.6.7), or None for anything else."""
    found = _DATE.fullmatch(text.strip()[:64])
    if found is None or found[2].lower() not in _MONTHS:
        return None
    month = _MONTHS.index(found[2].lower()) + 1
    day, year, hour, minute, second = (int(found[at]) for at in (1, 3, 4, 5, 6))
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    return Instant(moment.timestamp())


def when(text: str | None, now: Instant) -> Instant | None:
    """Read ``X-RateLimit-Reset`` or ``Retry-After``, whatever unit the server speaks.

    Seconds, milliseconds or microseconds since 1970, a number of seconds from now, or an HTTP
    date; told apart by magnitude.

    Returns:
        At most 15 minutes from *now*; possibly in the past.  None for no sense at all.
    """
    if text is None:
        return None
    try:
        number = float(text.strip()[:400])
    except ValueError:
        at: float | None = http_date(text)
    else:
        at = _by_magnitude(number, now)
    return None if at is None else Instant(min(at, now + LONGEST_WAIT_S))


def _by_magnitude(number: float, now: Instant) -> float | None:
    if math.isnan(number):
        return None
    if 5e8 <= number <= 1e11:
        return number
    met("A13")
    if abs(number) < 5e8:  # nearly 16 years: a delta
        return now + number
    if number > 1e14:
        return number / 1e6
    return number / 1e3


def _count(text: str | None) -> int | None:
    found = re.fullmatch(r"\s*(-?[0-9]{1,18}(?:\.[0-9]{0,18})?)\s*", text or "")
    return max(0, int(float(found[1]))) if found else None  # float() knows less white space


@dataclass(frozen=True, slots=True)
class News:
    """What one answer says about the limit; None where it is silent."""

    limit: int | None = None
    remaining: int | None = None
    reset_at: Instant | None = None
    retry_at: Instant | None = None


def news(headers: Mapping[str, str], now: Instant) -> News:
    """Read the headers of an answer; *headers* must look names up without regard to case."""
    return News(
        limit=_count(headers.get("X-RateLimit-Limit")),
        remaining=_count(headers.get("X-RateLimit-Remaining")),
        reset_at=when(headers.get("X-RateLimit-Reset"), now),
        retry_at=when(headers.get("Retry-After"), now),
    )


@dataclass(frozen=True, slots=True)
class Rate:
    """What is known of the vendor's limit.

    Attributes:
        remaining: calls left in the epoch that ends at ``reset_at``; None: nothing known.
        answers: silent answers since anything was known: the slow start's room, less one.
        hold_until: nobody sends before.
        per_s: calls a second after a bare 429; None: no spacing.
        next_at: when the spacing allows the next call.
        backoff_s: the next bare 429 waits this long.
    """

    remaining: int | None = None
    reset_at: Instant = NOW
    answers: int = 0
    hold_until: Instant = NOW
    per_s: float | None = None
    next_at: Instant = NOW
    backoff_s: float = FIRST_BACKOFF_S
    salt: str = ""


def margin_s(at: Instant, salt: str) -> float:
    """A wait of 0.1 to 1 s after a reset, so that not everybody comes at the same instant."""
    digest = hashlib.blake2b(f"{salt}:{at:.3f}".encode(), digest_size=4).digest()
    return 0.1 + 0.9 * int.from_bytes(digest, "big") / 0xFFFFFFFF


def _current(rate: Rate, now: Instant) -> Rate:
    """Forget an epoch that is over: what is left in the new one is for a probe to find out."""
    if rate.remaining is None or now < rate.reset_at + margin_s(rate.reset_at, rate.salt):
        return rate
    return replace(rate, remaining=None, answers=0)


def may_send_at(rate: Rate, in_flight: int, now: Instant) -> Instant | None:
    """When the next call may go: *now* or earlier means at once.  None: after an answer."""
    rate = _current(rate, now)
    at = max(rate.hold_until, rate.next_at)
    if rate.remaining == 0:
        return Instant(max(at, rate.reset_at + margin_s(rate.reset_at, rate.salt)))
    return at if at > now or calls(rate, in_flight, now) else None


def calls(rate: Rate, in_flight: int, now: Instant) -> int:
    """How many calls may be sent at once."""
    rate = _current(rate, now)
    if now < max(rate.hold_until, rate.next_at):
        return 0
    room = 1 + rate.answers if rate.remaining is None else rate.remaining
    left = max(0, room - in_flight)
    return left if rate.per_s is None else min(left, 1)


def left(rate: Rate, now: Instant) -> float:
    """How many calls the epoch still has; infinity where nobody said, 0 after a bare 429."""
    rate = _current(rate, now)
    if rate.per_s is not None:
        return 0.0
    return math.inf if rate.remaining is None else float(rate.remaining)


def sent(rate: Rate, now: Instant) -> Rate:
    """A call takes its place."""
    rate = _current(rate, now)
    if rate.per_s is None:
        return rate
    return replace(rate, next_at=Instant(max(now, rate.next_at) + 1.0 / rate.per_s))


def lost(rate: Rate) -> Rate:
    """A call ended without news: the server may have counted it all the same."""
    return replace(rate, remaining=max(0, rate.remaining - 1)) if rate.remaining else rate


def answered(rate: Rate, said: News, now: Instant) -> Rate:
    """Any answer but a 429: take in what it says."""
    rate = replace(_current(rate, now), backoff_s=FIRST_BACKOFF_S)
    if rate.per_s is not None:
        faster = rate.per_s + FASTER
        rate = replace(rate, per_s=faster if faster < FAST_ENOUGH else None)
    return _learn(rate, said, now)


def _learn(rate: Rate, said: News, now: Instant) -> Rate:
    if said.remaining == 0:
        met("A14")
    if said.remaining is None:
        return replace(rate, answers=min(rate.answers + 1, 1_000))
    reset_at = said.reset_at
    if reset_at is None or reset_at <= now:
        reset_at = Instant(now + SHORTEST_WAIT_S)
    if rate.remaining is None or reset_at > rate.reset_at + SAME_EPOCH_S:
        return replace(rate, remaining=said.remaining, reset_at=reset_at)
    if reset_at < rate.reset_at - SAME_EPOCH_S:
        return rate  # a late answer of an epoch that is over
    left = min(rate.remaining, said.remaining)
    return replace(rate, remaining=left, reset_at=Instant(max(rate.reset_at, reset_at)))


def refused(rate: Rate, said: News, sent_at: Instant, now: Instant, observed_per_s: float) -> Rate:
    """A 429.

    Args:
        sent_at: when the refused call was sent: a burst of bare 429s slows down once.
        observed_per_s: calls a second over the last ``WATCH_S``.
    """
    rate = _current(rate, now)
    at = said.retry_at if said.retry_at is not None else said.reset_at
    if at is not None:
        met("A12" if at <= now else "A10")
        at = Instant(now + SHORTEST_WAIT_S if at <= now else at)
        hold = max(rate.hold_until, at + margin_s(at, rate.salt))
        return replace(rate, remaining=None, answers=0, hold_until=Instant(hold))
    if sent_at < rate.hold_until and rate.per_s is not None:
        return rate
    met("A11")
    hold_until = Instant(now + rate.backoff_s)
    slower = max(SLOWEST, SLOWER * (rate.per_s or min(observed_per_s, FAST_ENOUGH)))
    longer = min(2.0 * rate.backoff_s, LONGEST_BACKOFF_S)
    return replace(
        rate, remaining=None, answers=0, hold_until=hold_until, per_s=slower, backoff_s=longer
    )
