"""What to do next, and when: a pure function of (jobs, busy, now, budget, policy).

Two questions, two functions.  ``next_step`` looks at one job; ``plan`` looks at all of them and
only chooses among the answers of ``next_step``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from archiver.core.admission import Spender, deadline
from archiver.core.gathers import Gathers
from archiver.core.model import EXTRAS, NEVER, Instant, Job, JobKey, JobState
from archiver.core.steps import (
    Budget,
    Expire,
    Fetch,
    Gather,
    GiveUp,
    Plan,
    Policy,
    Poll,
    Publish,
    Request,
    Step,
)


def margin_s(
    expires_at: Instant, asked_at: Instant | None, window_s: float, policy: Policy
) -> float:
    """How close to its end an address counts as dead: it scales with the window.

    An address cannot have lived longer than since it was asked for, so a short window shows in
    the very first address, before any was learnt.
    """
    life_s = window_s if asked_at is None else min(window_s, max(0.0, expires_at - asked_at))
    return min(policy.margin_most_s, policy.margin_share * life_s)


def next_step(job: Job, now: Instant, window_s: float, policy: Policy) -> Step | None:
    """Return the step *job* needs at *now*, or None if it is final or not yet due."""
    if job.state.is_final or not is_due(job, now, policy):
        return None
    if _is_hopeless(job, now, policy):
        return GiveUp(job.key, job.reason or "too many failures")
    if job.key.kind == EXTRAS:
        return Gather(job.key)
    match job.state:
        case JobState.FETCHED:
            return Publish(job.key)
        case JobState.AVAILABLE if job.link is not None:
            # Refusing uses only what the server said: NEVER is never near.
            expires_at = job.link.expires_at
            alive = expires_at - now > margin_s(expires_at, job.asked_at, window_s, policy)
            return Fetch(job.key) if alive else Expire(job.key)
        case JobState.DISCOVERED if job.asked_at is None:
            return Request(job.key)
        case _:
            # Requested, or asked for with the answer lost: a GET tells, and asks for nothing.
            return Poll(job.key)


def is_due(job: Job, now: Instant, policy: Policy) -> bool:
    """The job's time has come, or was set so far off that a wrong clock must have set it."""
    wait_s = job.due_at - now
    return wait_s <= 0 or wait_s > policy.longest_wait_s


def _is_hopeless(job: Job, now: Instant, policy: Policy) -> bool:
    if job.failures < policy.failures_most or job.failing_since is None:
        return False
    return now - job.failing_since >= policy.failing_least_s


def plan(
    jobs: Iterable[Job], busy: AbstractSet[JobKey], now: Instant, budget: Budget, policy: Policy
) -> Plan:
    """Choose the steps to start at *now*.

    Args:
        jobs: the live window, in any order; final ones are passed over.
        busy: keys a hand already holds; they get no second step.
        budget: what may be spent.

    Returns:
        Steps in order of urgency.  ``wake_at`` is later than *now* unless a step was chosen.
    """
    active = [job for job in jobs if not job.state.is_final]
    idle = [job for job in active if job.key not in busy]
    due = [
        (job, step)
        for job in idle
        if (step := next_step(job, now, budget.window_s, policy)) is not None
    ]
    due.sort(key=lambda pair: _urgency(pair[0]))
    spender = Spender(budget, active, now)
    gathers = Gathers(active, busy, spender, policy)
    picked: set[Step] = {
        step
        for job, step in due
        if not isinstance(step, Gather | Publish) and spender.affords(job, step)
    }
    picked |= gathers.chosen([step for _, step in due if isinstance(step, Gather)])
    picked |= gathers.released([step for _, step in due if isinstance(step, Publish)])
    chosen = tuple(step for _, step in due if step in picked)
    if spender.late is not None and spender.line_is_idle:
        # What was measured may be long past: on an idle line, trying is how to find out.
        chosen = (*chosen, spender.late)
    later = [job.due_at for job in idle if not is_due(job, now, policy)]
    wakes = [at for at in (*later, *spender.wakes) if at > now]
    starved = len(wakes) < len(later) + len(spender.wakes)
    wake_at = min(wakes, default=NEVER)
    if starved:  # a wake in the past: whoever set it is late; look again soon
        wake_at = min(wake_at, Instant(now + 1.0))
    return Plan(chosen, wake_at, spender.short_of_disk, gathers.give_way)


_STAGES = (
    JobState.DISCOVERED, JobState.REQUESTED, JobState.AVAILABLE, JobState.FETCHED,
    JobState.ARCHIVED,
)  # fmt: skip


def is_progress(before: Job, after: Job) -> bool:
    """The job came nearer to its end: a run that sees none for long enough stops waiting.

    Asking again and again for what is not given is none.
    """
    if after.state.is_final or after.most_bytes > before.most_bytes:
        return True
    return _STAGES.index(after.state) > _STAGES.index(before.state)


_RANK = {
    JobState.FETCHED: 0,  # frees disk and finishes a file
    JobState.AVAILABLE: 1,  # the address is dying; earliest deadline first
    JobState.REQUESTED: 2,
    JobState.DISCOVERED: 3,  # and 4, where it may still be recorded
}
_LAST_RANK = 5


def _urgency(job: Job) -> tuple[int, float, float, JobKey]:
    if job.key.kind == EXTRAS:
        return (_LAST_RANK, NEVER, job.due_at, job.key)  # ``core.gathers`` knows whose come first
    # A version whose answer was lost may be available already: with the requested ones.
    asked = job.state is JobState.DISCOVERED and job.asked_at is not None
    rank = 2 if asked else _RANK[job.state]
    if rank < 3:
        return (rank, deadline(job), job.due_at, job.key)
    # What may still be recorded goes last: the later it is asked for, the surer it is whole.
    return (rank if job.fresh_at is None else rank + 1, deadline(job), job.delete_at, job.key)


def poll_at(
    job: Job, now: Instant, generation_s: float | None, window_s: float, policy: Policy
) -> Instant:
    """When to ask again about a file that is being prepared.

    The first time when most files are ready (*generation_s* after the POST, if that is known,
    else after a second), then when 1.6 times as long has passed, at most five minutes, and never
    more than a tenth of the window: waiting is time the address loses.

    After each failure the first look comes in half the time: a file that is made sooner than most
    and does not live long would never be seen.
    """
    first_s = policy.poll_first_s
    if generation_s is not None:
        first_s = max(0.05, generation_s * 0.5 ** min(job.failures, 5))
    passed_s = 0.0 if job.asked_at is None else now - job.asked_at
    if passed_s < 0:
        # Asked in the future: by a clock that was wrong.  How often we polled tells the time.
        passed_s = first_s * policy.poll_factor ** min(job.polls, 30) if job.polls else 0.0
    if passed_s < first_s * 0.9:
        return Instant(now - passed_s + first_s * _jitter(job, "first"))
    wait_s = max(policy.poll_factor * policy.poll_first_s, (policy.poll_factor - 1) * passed_s)
    most_s = min(policy.poll_most_s, max(0.2, 0.1 * window_s))
    return Instant(now + min(most_s, wait_s) * _jitter(job, "poll"))


def retry_at(job: Job, now: Instant, policy: Policy) -> Instant:
    """When to try again after a failure: doubles each time, spread so retries do not march."""
    wait_s = min(policy.retry_most_s, policy.retry_first_s * 2.0 ** min(job.failures, 30))
    return Instant(now + wait_s * _jitter(job, "retry"))


def _jitter(job: Job, salt: str) -> float:
    """A factor in [0.95, 1.05) that depends only on the job, so a plan can be replayed."""
    seed = f"{salt}:{job.key}:{job.polls}:{job.failures}".encode()
    return 0.95 + int.from_bytes(hashlib.blake2s(seed, digest_size=4).digest()) / 2**32 / 10
