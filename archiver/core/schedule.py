"""What to do next, and when: a pure function of (jobs, busy, now, budget, policy).

Two questions, two functions.  ``next_step`` looks at one job; ``plan`` looks at all of them and
only chooses among the answers of ``next_step``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from operator import itemgetter

from archiver.core.admission import Spender
from archiver.core.agenda import Agenda, Queue, Urgency, deadline, queue_of
from archiver.core.gathers import Gathers
from archiver.core.model import NEVER, Instant, Job, JobKey, JobState
from archiver.core.sharing import Sharing, margin_s
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


def next_step(job: Job, now: Instant, window_s: float, policy: Policy) -> Step:
    """Return the step that *job*, which is not final, needs once its time has come."""
    if _is_hopeless(job, now, policy):
        return GiveUp(job.key, job.reason or "too many failures")
    match queue_of(job):
        case Queue.EXTRAS:
            return Gather(job.key)
        case Queue.PUBLISH:
            return Publish(job.key)
        case Queue.REQUEST:
            return Request(job.key)
        case Queue.POLL:
            return Poll(job.key)
        case _:
            assert job.link is not None  # what ``Queue.FETCH`` is for
            # Refusing uses only what the server said: NEVER is never near.
            expires_at = job.link.expires_at
            alive = expires_at - now > margin_s(expires_at, job.asked_at, window_s, policy)
            return Fetch(job.key) if alive else Expire(job.key)


def _is_hopeless(job: Job, now: Instant, policy: Policy) -> bool:
    if job.failures < policy.failures_most or job.failing_since is None:
        return False
    return now - job.failing_since >= policy.failing_least_s


def plan(
    agenda: Agenda, busy: Collection[JobKey], now: Instant, budget: Budget, policy: Policy
) -> Plan:
    """Choose the steps to start at *now*.

    Args:
        agenda: the live window; only its order changes.
        busy: keys a hand already holds; they get no second step.
        budget: what may be spent.

    Returns:
        Steps in order of urgency.  ``wake_at`` is later than *now* unless a step was chosen.
    """
    agenda.settle(now, policy.longest_wait_s)
    sharing = Sharing(agenda, busy, now, budget, policy)
    spender = Spender(budget, agenda.outstanding, sharing, now)
    gathers = Gathers(agenda, busy, spender, policy)
    chosen = _affordable(agenda, busy, now, spender, policy)
    beside = {
        step: pair
        for queue in (Queue.PUBLISH, Queue.EXTRAS)
        for pair, job in agenda.due(queue, busy)
        for step in [next_step(job, now, budget.window_s, policy)]
    }
    picked: set[Step] = {step for step in beside if isinstance(step, GiveUp)}
    picked |= gathers.chosen([step for step in beside if isinstance(step, Gather)])
    picked |= gathers.released([step for step in beside if isinstance(step, Publish)])
    chosen += [(pair, step) for step, pair in beside.items() if step in picked]
    steps = tuple(step for _, step in sorted(chosen, key=itemgetter(0)))
    if spender.late is not None and spender.line_is_idle:
        # What was measured may be long past: on an idle line, trying is how to find out.
        steps = (*steps, spender.late)
    wakes = [at for at in spender.wakes if at > now]
    wake_at = min(agenda.next_due_at(busy), *wakes, NEVER)
    if len(wakes) < len(spender.wakes):  # whoever set it is late; look again soon
        wake_at = min(wake_at, Instant(now + 1.0))
    return Plan(steps, wake_at, spender.short_of_disk, gathers.give_way)


def _affordable(
    agenda: Agenda, busy: Collection[JobKey], now: Instant, spender: Spender, policy: Policy
) -> list[tuple[Urgency, Step]]:
    """What is done about videos: each queue as far as there is something left to spend."""
    chosen: list[tuple[Urgency, Step]] = []
    for queue in (Queue.FETCH, Queue.POLL, Queue.REQUEST):
        for pressing, job in agenda.due(queue, busy):
            step = next_step(job, now, spender.budget.window_s, policy)
            if spender.affords(job, step):
                chosen.append((pressing, step))
            elif spender.is_over(step) and deadline(job) > now + policy.margin_most_s:
                break  # and no address behind it is dead yet
    return chosen


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
