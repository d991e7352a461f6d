"""What a run did, counted from the facts as they are recorded."""

from __future__ import annotations

from collections.abc import Mapping

from archiver.core.events import Event, Gathered, NotFound, Stored, Superseded
from archiver.core.model import Instant, Job, JobState
from archiver.core.summary import ApiCalls, Failure, Summary
from archiver.engine import Ending
from archiver.errors import ArchiverError
from archiver.observing import Expects, Hook, Observer, Troubles, Watches

_NOT_YET = {
    JobState.DISCOVERED: "not asked for yet",
    JobState.REQUESTED: "still being prepared by the vendor",
    JobState.AVAILABLE: "not downloaded yet",
    JobState.FETCHED: "downloaded, not yet stored",
    JobState.GONE: "the vendor no longer has it, and it was never archived",
}


class Tally:
    """Counts, and passes everything on to whoever watches."""

    def __init__(self, observer: Observer) -> None:
        self._hook = Hook(observer)
        self.downloaded_bytes = 0
        self.archived_bytes = 0
        self.archived = 0
        self.ran_out = 0
        self.extras = 0

    def expect(self, counts: Mapping[JobState, int], wanted_bytes: int | None = None) -> None:
        """See ``observing.Expects``."""
        self._hook.tell(
            lambda to: to.expect(counts, wanted_bytes) if isinstance(to, Expects) else None
        )

    def watch(self, troubles: Troubles) -> None:
        """See ``observing.Watches``."""
        self._hook.tell(lambda to: to.watch(troubles) if isinstance(to, Watches) else None)

    def began(self, step: str, job: Job, title: str = "") -> None:
        """See ``ports.Observer``."""
        self._hook.tell(lambda to: to.began(step, job, title))

    def received(self, job: Job, count: int) -> None:
        """See ``ports.Observer``."""
        self.downloaded_bytes += count
        self._hook.tell(lambda to: to.received(job, count))

    def recorded(self, before: Job, event: Event, after: Job) -> None:
        """See ``ports.Observer``."""
        self.ran_out += after.ran_out - before.ran_out
        if isinstance(event, Stored | Superseded):
            self.archived += 1
            self.archived_bytes += event.holdings[0].bytes
        self.extras += isinstance(event, Gathered)
        if isinstance(event, NotFound):
            self.said(f"video {after.key.video_id}: the vendor no longer has it", warning=True)
        self._hook.tell(lambda to: to.recorded(before, event, after))

    def said(self, text: str, *, warning: bool = False) -> None:
        """See ``ports.Observer``."""
        self._hook.tell(lambda to: to.said(text, warning=warning))

    def summary(
        self,
        started_at: Instant,
        now: Instant,
        calls: ApiCalls,
        selected: int,
        counts: dict[JobState, int],
        failures: list[Failure],
    ) -> Summary:
        """The public report, without its outcome."""
        stored = counts.get(JobState.ARCHIVED, 0)
        fresh = min(self.archived, stored)
        rest = sum(counts.get(s, 0) for s in (JobState.SKIPPED, JobState.PARKED, JobState.GONE))
        return Summary(
            started_at=started_at, seconds=now - started_at, selected=selected,
            already_archived=stored - fresh, archived=fresh,
            skipped=counts.get(JobState.SKIPPED, 0), parked=counts.get(JobState.PARKED, 0),
            gone=counts.get(JobState.GONE, 0), remaining=selected - stored - rest,
            bytes_downloaded=self.downloaded_bytes, bytes_archived=self.archived_bytes,
            api_calls=calls, expired=self.ran_out, extras_asked=self.extras, failures=failures,
        )  # fmt: skip


def close(
    summary: Summary, ending: Ending, error: ArchiverError | None, *, is_listed: bool
) -> Summary:
    """Write outcome, exit code and sentence into *summary*: they follow from the states.

    Where the listing never came to its end, nobody knows what is missing: that is unfinished.
    """
    unfinished = summary.remaining + summary.parked + (not is_listed)
    if error is not None:
        summary.outcome, summary.exit_code = "refused", error.exit_code
        summary.message = f"{error} {error.hint}".strip()
    elif unfinished and ending in (Ending.STOPPED, Ending.TIME_UP):
        summary.outcome, summary.exit_code = "stopped", 5
        why = "interrupted" if ending is Ending.STOPPED else "the time limit was reached"
        summary.message = f"Stopped: {why}. Nothing is lost; run the same command to go on."
    elif unfinished:
        summary.outcome, summary.exit_code = "partial", 1
        if ending is Ending.WAITED:
            summary.message = "Stopped waiting (--max-wait); the next run picks up what is left."
    return summary


def reason_of(failure: Failure) -> str:
    """Why a video is not archived, in words, where nothing went wrong with it."""
    return failure.reason or _NOT_YET.get(JobState(failure.state), failure.state)
