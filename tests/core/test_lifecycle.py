"""The table itself: no dead ends, no orphans, no state that cannot fail safely."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core import events
from archiver.core.lifecycle import TRANSITIONS, apply
from archiver.core.model import (
    FINAL,
    NEVER,
    NOTHING,
    NOW,
    Holding,
    Instant,
    Job,
    JobKey,
    JobState,
    Link,
    Saved,
    VideoId,
)

KEY = JobKey(VideoId(7))
LINK = Link("https://cdn.example/7?signature=x", Instant(1000.0))
HOLDING = Holding(KEY.video_id, "video", "mp4", 1, "data/a.mp4", 3, "ab", Instant(9.0))
instants = st.floats(0, 1e9).map(Instant)
saves = st.builds(Saved, bytes=st.integers(0, 9), total=st.none() | st.integers(0, 9))
jobs = st.builds(
    Job, key=st.just(KEY), state=st.sampled_from(JobState), saved=saves,
    failures=st.integers(0, 20), link=st.none() | st.just(LINK),
)  # fmt: skip
WITH_HOLDINGS = (events.Stored, events.Superseded, events.Found)
anything = st.one_of(
    *(st.from_type(kind) for kind in get_args(events.Event) if kind not in WITH_HOLDINGS),
    *(st.just(kind((HOLDING,))) for kind in WITH_HOLDINGS),
)


def test_every_state_has_a_row() -> None:
    """No job can be in a state that the table does not know."""
    assert set(TRANSITIONS) == set(JobState)


@pytest.mark.parametrize("state", sorted(set(JobState) - FINAL))
def test_work_can_always_be_delayed_hindered_or_given_up(state: JobState) -> None:
    """Whatever goes wrong, each active state can say so and stay."""
    assert TRANSITIONS[state][events.Delayed] is state
    assert TRANSITIONS[state][events.Hindered] is state
    assert TRANSITIONS[state][events.GaveUp] is JobState.PARKED


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.ARCHIVED}))
def test_the_archive_can_be_reached_from_everywhere(state: JobState) -> None:
    """Nothing is final for ever but what is archived."""
    seen, edge = {state}, [state]
    while edge:
        fresh = set(TRANSITIONS[edge.pop()].values()) - seen
        seen |= fresh
        edge += fresh
    assert JobState.ARCHIVED in seen


@given(job=jobs, event=anything)
def test_an_event_moves_along_an_arrow_or_is_refused(job: Job, event: events.Event) -> None:
    """The table is the whole automaton."""
    arrow = TRANSITIONS[job.state].get(type(event))
    if arrow is None:
        with pytest.raises(events.IllegalTransitionError):
            apply(job, event)
        return
    after = apply(job, event)
    assert after.state is arrow
    assert after.key == job.key
    assert not after.state.is_final or (after.due_at == NEVER and after.link is None)


@given(job=jobs, event=anything)
def test_a_reason_that_an_event_gives_is_kept(job: Job, event: events.Event) -> None:
    """A job that is made to wait without a word looks like a program that hangs."""
    if type(event) in TRANSITIONS[job.state] and hasattr(event, "reason"):
        assert apply(job, event).reason == event.reason


def test_an_event_that_makes_a_job_wait_can_say_why() -> None:
    """All but two, whose reason is always the same: what ran out, and extras that have an age."""
    waits = {
        kind for kind in get_args(events.Event)
        if "due_at" in (names := {each.name for each in fields(kind)}) and "reason" not in names
    }  # fmt: skip
    assert waits == {events.RanOut, events.Gathered}
    assert apply(Job(KEY, JobState.REQUESTED), events.RanOut(AT, DUE)).reason == "it ran out"


@given(job=jobs, event=anything)
def test_failures_are_forgotten_only_for_new_bytes_success_or_a_person(
    job: Job, event: events.Event
) -> None:
    """Mere movement clears nothing: a file cannot circle for ever."""
    if type(event) not in TRANSITIONS[job.state]:
        return
    after = apply(job, event)
    if after.failures < job.failures:
        grew = after.saved.bytes > job.most_bytes
        assert grew or isinstance(event, events.Stored | events.Found | events.Reopened)


def test_the_intent_of_a_post_changes_neither_state_nor_due_time() -> None:
    """Intent is recorded first; until the answer comes the job is discovered and asked for."""
    job = Job(KEY, due_at=Instant(5.0))
    after = apply(job, events.Asked(Instant(6.0)))
    assert (after.state, after.asked_at, after.due_at) == (JobState.DISCOVERED, 6.0, 5.0)


def test_polls_count_from_the_first_answer() -> None:
    """The answer to the POST is no poll."""
    job = apply(Job(KEY, asked_at=Instant(1.0)), events.Pending(Instant(1.0), Instant(2.0)))
    assert (job.polls, job.pending_at, job.due_at) == (0, 1.0, 2.0)
    assert apply(job, events.Pending(Instant(2.0), Instant(4.0))).polls == 1


def test_a_request_that_a_wrong_clock_put_in_the_future_is_put_right() -> None:
    """Else the file looks as if it had just been asked for, and is polled without end."""
    ahead = Job(KEY, asked_at=Instant(900.0))
    assert apply(ahead, events.Pending(Instant(5.0), Instant(6.0))).asked_at == 5.0


def test_a_version_that_ran_out_is_counted_and_its_bytes_stay() -> None:
    """The part survives the version, whoever noticed that it ended."""
    job = Job(KEY, JobState.AVAILABLE, link=LINK, saved=Saved(5), asked_at=Instant(1.0))
    for after in (
        apply(job, events.RanOut(Instant(9.0))),
        apply(
            apply(job, events.LinkRefused(Instant(9.0), "403", Instant(9.0))),
            events.Unavailable(Instant(9.0), Instant(9.0), "gone"),
        ),
    ):
        assert after.state is JobState.DISCOVERED
        assert (after.ran_out, after.asked_at, after.link) == (1, None, None)
        assert after.saved.bytes == 5
        assert after.failures >= 1


def test_a_refused_address_is_remembered_until_the_vendor_answers() -> None:
    """So that the same address offered again can be told from a new one."""
    job = Job(KEY, JobState.AVAILABLE, link=LINK)
    after = apply(job, events.LinkRefused(Instant(1.0), "403", Instant(2.0), Saved(4)))
    assert (after.state, after.link, after.saved.bytes) == (JobState.REQUESTED, LINK, 4)
    assert after.reason == "403"


def test_corrupt_bytes_are_forgotten_but_not_the_address() -> None:
    """The next fetch starts at 0 from the same address, and knows what it brought last time."""
    job = Job(KEY, JobState.AVAILABLE, link=LINK, saved=Saved(9))
    after = apply(job, events.Corrupt(Instant(1.0), "no moov", Instant(2.0), "ab"))
    assert (after.state, after.link, after.saved, after.sha256) == (
        JobState.AVAILABLE, LINK, Saved(), "ab",
    )  # fmt: skip


def test_a_file_that_is_bad_each_time_runs_out_of_retries() -> None:
    """Bytes that were thrown away and came again are no progress."""
    job = Job(KEY, JobState.AVAILABLE, link=LINK)
    for failures in range(1, 9):
        job = apply(job, events.Progressed(Saved(100)))
        job = apply(job, events.Corrupt(Instant(1.0), "bad", Instant(2.0)))
        assert job.failures == failures


def test_a_part_lost_after_the_fetch_is_asked_for_before_it_is_posted() -> None:
    """A GET may find the version still there."""
    job = Job(KEY, JobState.FETCHED, link=LINK, asked_at=Instant(1.0), sha256="ab")
    after = apply(job, events.Corrupt(Instant(2.0), "the part is gone", Instant(3.0)))
    assert (after.state, after.asked_at, after.link) == (JobState.DISCOVERED, 1.0, None)


def test_what_is_stored_keeps_no_secret() -> None:
    """The signed address goes as soon as it is not needed."""
    job = Job(KEY, JobState.FETCHED, link=LINK, failures=3, failing_since=Instant(1.0))
    after = apply(job, events.Stored((HOLDING,)))
    assert (after.path, after.link, after.failures) == ("data/a.mp4", None, 0)


def test_a_parked_job_that_is_reopened_remembers_that_it_was_asked_for() -> None:
    """What was requested stays requested: it is polled, not posted again."""
    job = replace(Job(KEY, JobState.PARKED, asked_at=Instant(1.0)), failures=12)
    after = apply(job, events.Reopened("a new run"))
    assert (after.state, after.asked_at, after.failures) == (JobState.DISCOVERED, 1.0, 0)
    gone = apply(Job(KEY, JobState.GONE, asked_at=Instant(1.0)), events.Reopened("listed again"))
    assert gone.asked_at is None


def test_a_key_reads_like_a_file() -> None:
    """Keys name parts on disk."""
    assert str(KEY) == "7.mp4.v1"


@given(st.text(min_size=1))
def test_an_address_never_prints_its_signature(text: str) -> None:
    """The query is a secret."""
    assert repr(Link("https://cdn.example/?sig=" + text)) == "Link(expires_at=inf)"


def test_the_drawing_is_the_table() -> None:
    """A drawing made by hand drifts from the code; this one is made by `make docs`."""
    from tools.draw_lifecycle import mermaid

    drawing = Path(__file__).parent.parent.parent / "docs" / "lifecycle.mmd"
    assert drawing.read_text() == mermaid()


def test_what_cannot_be_reached_or_is_not_there_leaves_its_reason() -> None:
    """A person reads it in `status`."""
    job = Job(KEY, JobState.REQUESTED, link=LINK)
    hindered = apply(job, events.Hindered("no network", Instant(9.0), Saved(2)))
    assert (hindered.reason, hindered.due_at, hindered.failures) == ("no network", 9.0, 0)
    gone = apply(job, events.NotFound())
    assert (gone.state, gone.link, "404" in gone.reason) == (JobState.GONE, None, True)
    parked = apply(job, events.GaveUp("no use"))
    assert (parked.state, parked.reason) == (JobState.PARKED, "no use")
    uncounted = events.Unavailable(Instant(1.0), Instant(1.0), "never sent", counted=False)
    never_sent = apply(Job(KEY, asked_at=Instant(1.0)), uncounted)
    assert (never_sent.failures, never_sent.reason) == (0, "never sent")
    fetched = apply(
        Job(KEY, JobState.AVAILABLE, link=LINK), events.Fetched(Saved(3, 3), "ab", "no moov")
    )
    assert (fetched.state, fetched.reason) == (JobState.FETCHED, "no moov")
    again = apply(job, events.Available(Instant(2.0), LINK, Instant(5.0), "403"))
    assert (again.due_at, again.reason) == (5.0, "403")


AT, DUE = Instant(50.0), Instant(60.0)
OTHER = Link("https://cdn.example/8?signature=y", Instant(2000.0))
MORE, LESS = Saved(7, 9), Saved(3, 9)
# A job that has seen everything: what an event does not name must come out as it went in.
SEASONED = Job(
    KEY, due_at=Instant(5.0), asked_at=Instant(1.0), pending_at=Instant(2.0),
    available_at=Instant(3.0), link=LINK, saved=Saved(4, 9), most_bytes=4, sha256="was",
    polls=3, failures=2, failing_since=Instant(6.0), ran_out=1, reason="before",
)  # fmt: skip
NO_VERSION = {"asked_at": None, "pending_at": None, "available_at": None, "link": None, "polls": 0}
FORGIVEN = {"failures": 0, "failing_since": None}
PROGRESS = {"saved": MORE, "most_bytes": 7, **FORGIVEN}


@pytest.mark.parametrize(
    ("state", "event", "changed"),
    [
        ("discovered", events.Asked(AT), {"asked_at": AT}),
        ("requested", events.Pending(AT, DUE), {"pending_at": AT, "due_at": DUE, "polls": 4}),
        ("discovered", events.Pending(AT, DUE), {"pending_at": AT, "due_at": DUE, "polls": 0}),
        ("requested", events.Pending(AT, DUE, is_made=True), {"due_at": DUE, "polls": 4}),
        ("requested", events.Available(AT, OTHER, DUE),
         {"available_at": AT, "link": OTHER, "due_at": DUE}),
        ("requested", events.Unavailable(AT, DUE, "none"),
         {**NO_VERSION, "due_at": DUE, "failures": 3, "ran_out": 2, "reason": "none"}),
        ("discovered", events.Unavailable(AT, DUE, "none"),
         {**NO_VERSION, "due_at": DUE, "failures": 3, "reason": "none"}),
        ("discovered", events.Unavailable(AT, DUE, "none", counted=False),
         {**NO_VERSION, "due_at": DUE, "reason": "none"}),
        ("available", events.RanOut(AT, DUE),
         {**NO_VERSION, "due_at": DUE, "failures": 3, "ran_out": 2, "reason": "it ran out"}),
        ("available", events.Progressed(MORE), {**PROGRESS, "due_at": NOW}),
        ("available", events.Progressed(LESS), {"saved": LESS, "due_at": NOW}),
        ("available", events.Delayed(AT, "slow", DUE),
         {"due_at": DUE, "failures": 3, "reason": "slow"}),
        ("available", events.Delayed(AT, "slow", DUE, MORE),
         {**PROGRESS, "due_at": DUE, "failures": 1, "failing_since": AT, "reason": "slow"}),
        ("available", events.LinkRefused(AT, "403", DUE),
         {"due_at": DUE, "failures": 3, "reason": "403"}),
        ("available", events.Hindered("storm", DUE, MORE),
         {**PROGRESS, "due_at": DUE, "reason": "storm"}),
        ("available", events.Fetched(MORE, "ab", "a flaw"),
         {**PROGRESS, "due_at": NOW, "sha256": "ab", "reason": "a flaw"}),
        ("available", events.Corrupt(AT, "holes", DUE, "cd"),
         {"saved": NOTHING, "sha256": "cd", "due_at": DUE, "failures": 3, "reason": "holes"}),
        ("fetched", events.Corrupt(AT, "lost", DUE),
         {"saved": NOTHING, "sha256": None, "due_at": DUE, "failures": 3, "reason": "lost",
          "link": None, "pending_at": None}),
        ("fetched", events.Stored((HOLDING,)),
         {**FORGIVEN, "path": "data/a.mp4", "link": None, "due_at": NEVER}),
        ("available", events.GaveUp("no"), {"reason": "no", "link": None, "due_at": NEVER}),
        ("discovered", events.Skipped("on air"),
         {"reason": "on air", "link": None, "due_at": NEVER}),
        ("requested", events.NotFound(),
         {"reason": "the vendor does not know the video (404)", "link": None, "due_at": NEVER}),
        ("parked", events.Reopened("again"),
         {**FORGIVEN, "reason": "again", "link": None, "due_at": NOW}),
        ("gone", events.Reopened("again"),
         {**FORGIVEN, **NO_VERSION, "reason": "again", "due_at": NOW}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str | dict) else "",
)  # fmt: skip
def test_an_event_changes_what_it_says_and_nothing_else(
    state: str, event: events.Event, changed: dict[str, object]
) -> None:
    """A fact that is lost on the way into the ledger is lost for every later run."""
    before = replace(SEASONED, state=JobState(state))
    arrow = TRANSITIONS[before.state][type(event)]
    assert apply(before, event) == replace(before, **{"reason": "", **changed, "state": arrow})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "event"),
    [("available", events.Delayed(AT, "slow", DUE)),
     ("available", events.LinkRefused(AT, "403", DUE)),
     ("available", events.Corrupt(AT, "holes", DUE)), ("available", events.RanOut(AT, DUE)),
     ("requested", events.Unavailable(AT, DUE, "none"))],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_the_first_failure_is_remembered(state: str, event: events.Event) -> None:
    """Parking needs a day since then."""
    fresh = replace(SEASONED, state=JobState(state), failures=0, failing_since=None)
    once = apply(fresh, event)
    assert (once.failures, once.failing_since) == (1, AT)
    again = apply(replace(once, state=JobState.AVAILABLE), events.Delayed(DUE, "slow", DUE))
    assert (again.failures, again.failing_since) == (2, AT)


def test_a_version_counts_as_run_out_only_where_it_had_an_address() -> None:
    """A request that the vendor dropped never was a version."""
    asked = replace(SEASONED, state=JobState.REQUESTED, link=None)
    assert apply(asked, events.Unavailable(AT, DUE, "none")).ran_out == asked.ran_out


def test_an_arrow_that_is_missing_is_named() -> None:
    """A bug has to be found from its one line."""
    stored = replace(SEASONED, state=JobState.ARCHIVED)
    with pytest.raises(events.IllegalTransitionError, match=r"^7\.mp4\.v1: NotFound in state arch"):
        apply(stored, events.NotFound())


def test_damage_takes_everything_but_what_has_to_come_back() -> None:
    """A stored file that is to be fetched again is wanted as if it were new; its hash is kept."""
    stored = Job(
        KEY, state=JobState.ARCHIVED, due_at=NEVER, sha256="ab", saved=Saved(9, 9), most_bytes=9,
        expected_bytes=9, path="data/a.mp4", asked_at=Instant(1.0), available_at=Instant(2.0),
    )  # fmt: skip
    job = apply(stored, events.Damaged("damaged: gone", "7.mp4"))
    wanted = Job(KEY, sha256="ab", expected_bytes=9, path="7.mp4", reason="damaged: gone")
    assert job == wanted
    assert apply(stored, events.Damaged("damaged: gone")).path is None
    again = apply(replace(job, state=JobState.FETCHED), events.Stored((HOLDING,)))
    assert (again.state, again.path, again.reason) == (JobState.ARCHIVED, "data/a.mp4", "")


def test_other_bytes_end_a_repair_and_say_where_they_are() -> None:
    """The old version is gone for good, the new one stands beside it; nothing waits any more."""
    job = replace(Job(KEY), state=JobState.FETCHED, path="7.mp4")
    after = apply(job, events.Superseded((replace(HOLDING, version=2),)))
    assert (after.state, after.path, after.due_at) == (JobState.GONE, None, NEVER)
    assert after.reason.endswith("now: version 2")


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.ARCHIVED}))
def test_what_stands_there_already_is_archived_from_any_state(state: JobState) -> None:
    """An older ledger learns of files that were stored after it was written."""
    job = apply(Job(KEY, state=state, link=LINK, failures=3), events.Found((HOLDING,)))
    assert (job.state, job.path, job.link, job.failures) == (
        JobState.ARCHIVED, HOLDING.path, None, 0
    )  # fmt: skip
