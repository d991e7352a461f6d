"""Whose extras are asked for now, and which files wait for them: a part of the plan.

Rule 1: extras come behind every POST, poll and fetch, and live on what those leave.
Rule 2: a fetched file gets its name when its extras were tried, so that its sidecar is complete
from the start; but it never waits for calls that are not to be had, nor for a crowd.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from archiver.core.admission import Spender
from archiver.core.agenda import Agenda
from archiver.core.model import EXTRAS, JobKey, JobState, VideoId
from archiver.core.steps import Gather, Policy, Publish

_NEXT_MOST = 8  # listed files that soon need calls of their own


class Gathers:
    """One planning: the extras among the jobs, beside what videos need."""

    def __init__(
        self, agenda: Agenda, busy: Collection[JobKey], spender: Spender, policy: Policy
    ) -> None:
        self._spender, self._policy = spender, policy
        self._stage = agenda.stages
        jobs = agenda.jobs
        self._placed_now = {
            key.video_id for key in busy
            if key.kind != EXTRAS and key in jobs and jobs[key].state is JobState.FETCHED
        }  # fmt: skip
        self._busy = {key.video_id for key in busy if key.kind == EXTRAS}
        listed = agenda.states[JobState.DISCOVERED]
        self._reserve = 2 * (agenda.outstanding.count + min(listed, _NEXT_MOST))
        self._waiting: set[VideoId] = set()  # for nothing but a hand

    def chosen(self, due: Sequence[Gather]) -> set[Gather]:
        """Which of *due* are begun now, those of fetched files first.

        To be called when the videos' steps have taken what they need.
        """
        spender, budget = self._spender, self._spender.budget
        chosen, room = set[Gather](), budget.gathers
        for step in sorted(filter(self._may_be_asked, due), key=self._rank):
            if room > 0 and spender.calls > 0:
                chosen.add(step)
                room, spender.calls = room - 1, spender.calls - 1
            else:
                self._waiting.add(step.key.video_id)
        if self._waiting and room > 0 and budget.more_at > spender.now:
            spender.wakes.append(budget.more_at)
        self._busy |= {step.key.video_id for step in chosen}
        return chosen

    def released(self, due: Sequence[Publish]) -> set[Publish]:
        """Which fetched files need not wait for their extras."""
        waiting = self._waiting if self._busy and self._is_soon else set[VideoId]()
        held = [step for step in due if step.key.video_id in self._busy | waiting]
        in_the_air = [step for step in held if step.key.video_id in self._busy]
        return set(due) - set(in_the_air) - set(held[: self._policy.held_most])

    @property
    def give_way(self) -> bool:
        """Videos need the calls: extras that are being asked for should stop."""
        return (self._spender.short_of_calls and not self._is_soon) or self._is_tight(0)

    @property
    def _is_soon(self) -> bool:
        """Calls that are not to be had now will be in a moment."""
        budget = self._spender.budget
        wait_s = budget.more_at - self._spender.now
        return budget.calls > 0 or wait_s <= self._policy.call_soon_s

    def _is_tight(self, more: int) -> bool:
        """What is left of the period's calls is the videos' own."""
        left = self._spender.budget.calls_left
        return self._reserve > 0 and left < self._reserve + more

    def _may_be_asked(self, step: Gather) -> bool:
        """Not before the video itself: it may be gone.  Not while its file gets its name."""
        number = step.key.video_id
        is_early = self._stage.get(number) is JobState.DISCOVERED
        return not (
            is_early or number in self._placed_now or self._is_tight(self._policy.gather_calls)
        )

    def _rank(self, step: Gather) -> tuple[int, JobKey]:
        stage = self._stage.get(step.key.video_id)
        return (0 if stage is JobState.FETCHED else 1 if stage else 2), step.key
