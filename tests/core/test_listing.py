"""The diff of a listing: each rule of ``core.listing`` by an example, and what holds for all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core import listing
from archiver.core.events import Reopened, Skipped
from archiver.core.listing import WORDS, Change, Known, listed
from archiver.core.model import Instant, Job, JobKey, JobState, Video, VideoId

NOW = Instant(1_700_000_000.0)
SEEN = Video(VideoId(7), "Title", size_bytes=1000, length_s=60.0)
KEY = JobKey(VideoId(7))


def known(job: Job, video: Video = SEEN, age_s: float = 0.0) -> Known:
    return Known(video, job, Instant(NOW - age_s))


def a_job(state: JobState = JobState.DISCOVERED, **values: object) -> Job:
    whole: dict[str, object] = {"expected_bytes": 1000, "expected_s": 60.0, **values}
    return replace(Job(KEY, state), **whole)  # type: ignore[arg-type]


def test_an_unknown_video_becomes_a_job_that_expects_what_the_listing_says() -> None:
    """A video seen for the first time is wanted, in the variant of the run."""
    change = listed(None, SEEN, NOW, "flv")
    assert change == Change(
        "new", Job(JobKey(VideoId(7), variant="flv"), expected_bytes=1000, expected_s=60.0)
    )


def test_a_recording_that_still_runs_is_skipped_with_its_reason() -> None:
    """A recording is not asked for before it has ended."""
    change = listed(None, replace(SEEN, recording=True, length_s=0.0), NOW, "mp4")
    assert change.word == "skipped"
    assert change.event == Skipped("still being recorded")
    assert change.job is not None
    assert change.job.state is JobState.SKIPPED


def test_a_video_found_recording_again_before_it_was_asked_for_is_skipped() -> None:
    """Also a known video waits for the end of its recording."""
    change = listed(known(a_job()), replace(SEEN, recording=True), NOW, "mp4")
    assert change.word == "skipped"


LARGER = replace(SEEN, size_bytes=2000, length_s=120.0)


@pytest.mark.parametrize(
    "reason",
    ["", listing.ACCEPTED, listing.ENDED, listing.RELISTED, "the API's rate limit is used up"],
)
def test_a_video_that_grew_since_an_earlier_listing_is_skipped(reason: str) -> None:
    """Ten minutes apart, two sizes tell that it is still being recorded."""
    change = listed(known(a_job(reason=reason), age_s=600), LARGER, NOW, "mp4")
    assert (change.word, change.event) == ("skipped", Skipped("still being recorded"))
    assert change.job is not None
    assert (change.job.expected_bytes, change.job.expected_s) == (2000, 120.0)


@pytest.mark.parametrize(
    ("job", "age_s"),
    [
        (a_job(), 599), (a_job(reason="it ran out", ran_out=1), 600),
        (a_job(reason="damaged", sha256="ab"), 600), (a_job(reason="none", failures=1), 600),
        (a_job(asked_at=NOW), 600),
        (replace(a_job(reason=listing.HELD), key=KEY._replace(version=2)), 600),
    ],
)  # fmt: skip
def test_a_job_that_was_touched_or_listed_just_now_is_not_taken_for_growing(
    job: Job, age_s: float
) -> None:
    """It expects the newest values, as before."""
    change = listed(known(job, age_s=age_s), LARGER, NOW, "mp4")
    expecting = replace(job, expected_bytes=2000, expected_s=120.0)
    assert change == Change("same", expecting if job.asked_at is None else None)


def test_a_video_that_grew_is_reopened_by_the_next_listing_and_looked_at_again() -> None:
    """Whatever its size is by then: it grew from one night to the next, if not further."""
    grew = a_job(JobState.SKIPPED)
    assert listed(known(grew, age_s=599), LARGER, NOW, "mp4") == Change("same")
    for age_s in (600.0, -86_400.0):
        change = listed(known(grew, age_s=age_s), LARGER, NOW, "mp4")
        assert (change.word, change.event) == ("reopened", Reopened("no longer being recorded"))
        assert change.job is not None
        assert (change.job.expected_bytes, change.job.fresh_at) == (2000, NOW)


@pytest.mark.parametrize(
    ("added_at", "fresh_at"),
    [(None, None), (NOW - 4 * 3600, None), (NOW - 4 * 3600 + 1, NOW), (NOW + 60, NOW)],
)
def test_what_was_added_within_four_hours_may_still_be_recorded(
    added_at: float | None, fresh_at: Instant | None
) -> None:
    """By the last listing; an older one has ended."""
    seen = replace(SEEN, added_at=None if added_at is None else Instant(added_at))
    for before in (None, known(a_job(fresh_at=Instant(NOW - 4 * 3600)))):
        change = listed(before, seen, NOW, "mp4")
        assert change.job is not None
        assert change.job.fresh_at == fresh_at


@pytest.mark.parametrize("state", [JobState.SKIPPED, JobState.ARCHIVED, JobState.GONE])
def test_nothing_is_compared_while_a_recording_runs(state: JobState) -> None:
    """A length that is still growing is no sign of a replaced video."""
    running = replace(SEEN, recording=True, length_s=0.0, size_bytes=None)
    change = listed(known(a_job(state), age_s=1e6), running, NOW, "mp4")
    assert change == Change("same")


def test_a_recording_that_ended_is_reopened_with_its_new_size() -> None:
    """A skipped recording is archived by the first run after its end."""
    running = replace(SEEN, recording=True)
    change = listed(known(a_job(JobState.SKIPPED, expected_s=0.0), running), SEEN, NOW, "mp4")
    assert change.word == "reopened"
    assert isinstance(change.event, Reopened)
    assert change.job == a_job(reason="no longer being recorded")


@pytest.mark.parametrize("seen", [replace(SEEN, size_bytes=1001), replace(SEEN, length_s=61.0)])
def test_an_archived_video_of_another_size_or_length_is_a_next_version(seen: Video) -> None:
    """A replaced video is archived again beside the old one."""
    job = a_job(JobState.ARCHIVED, delete_at=Instant(5.0), sha256="00", path="data/x.mp4")
    change = listed(known(job), seen, NOW, "mp4")
    assert change.word == "changed"
    assert change.job == Job(
        KEY._replace(version=2), expected_bytes=seen.size_bytes, expected_s=seen.length_s,
        delete_at=Instant(5.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    "seen",
    [
        replace(SEEN, size_bytes=None), replace(SEEN, length_s=None), replace(SEEN, length_s=60.9),
    ],
)  # fmt: skip
def test_a_value_that_is_not_told_or_rounded_is_no_difference(seen: Video) -> None:
    """An archived video is not fetched again over what a listing leaves out."""
    assert listed(known(a_job(JobState.ARCHIVED)), seen, NOW, "mp4") == Change("same")


def test_a_size_that_becomes_known_after_archiving_is_kept_and_no_change() -> None:
    """What nobody expected cannot differ; from then on it can."""
    job = a_job(JobState.ARCHIVED, expected_bytes=None, expected_s=None)
    change = listed(known(job), SEEN, NOW, "mp4")
    assert change == Change("same", a_job(JobState.ARCHIVED))
    assert change.job is not None
    later = replace(SEEN, size_bytes=2)
    assert listed(known(change.job), later, NOW, "mp4").word == "changed"


def test_a_job_not_yet_asked_for_expects_the_newest_values_and_keeps_the_rest() -> None:
    """Before a POST the listing may correct itself."""
    change = listed(known(a_job()), replace(SEEN, size_bytes=2, length_s=None), NOW, "mp4")
    assert change == Change("same", a_job(expected_bytes=2))


@pytest.mark.parametrize(
    "job",
    [
        a_job(asked_at=NOW), a_job(JobState.REQUESTED, asked_at=NOW),
        a_job(JobState.AVAILABLE), a_job(JobState.FETCHED), a_job(JobState.PARKED),
    ],
)  # fmt: skip
def test_a_job_asked_for_keeps_what_it_was_asked_with(job: Job) -> None:
    """A replacement during a download is seen the night after."""
    seen = replace(SEEN, size_bytes=2)
    assert listed(known(job), seen, NOW, "mp4") == Change("same")
    assert listed(known(replace(job, state=JobState.ARCHIVED)), seen, NOW, "mp4").word == "changed"


def test_a_job_asked_for_again_expects_what_was_listed_last() -> None:
    """Else the next listing takes the file that came for a replacement of it."""
    lost = a_job(expected_bytes=1, expected_s=5.0)
    seen = replace(SEEN, size_bytes=2, length_s=None)
    assert listing.asked(lost, seen) == a_job(expected_bytes=2, expected_s=5.0)
    assert listing.asked(lost, replace(seen, recording=True)) == lost


def test_a_gone_video_is_reopened_once_a_night_when_it_is_listed_again() -> None:
    """A listing may lag behind a deletion; it is believed after 20 hours."""
    gone = a_job(JobState.GONE)
    assert listed(known(gone, age_s=3600), SEEN, NOW, "mp4") == Change("same")
    change = listed(known(gone, age_s=20 * 3600), SEEN, NOW, "mp4")
    assert (change.word, change.event) == ("reopened", Reopened("listed again"))
    assert change.job == a_job(reason="listed again")
    ahead = listed(known(gone, age_s=-30 * 86_400), SEEN, NOW, "mp4")
    assert ahead.word == "reopened", "it went by a clock that was wrong"


def test_a_new_title_is_told_unless_something_stronger_happened() -> None:
    """A renamed video is reported, and nothing of its file changes."""
    before = replace(SEEN, title="Old")
    archived = a_job(JobState.ARCHIVED)
    assert listed(known(archived, before), SEEN, NOW, "mp4") == Change("renamed")
    bigger = replace(SEEN, size_bytes=2)
    assert listed(known(archived, before), bigger, NOW, "mp4").word == "changed"


@pytest.mark.parametrize(
    ("job", "waits"),
    [
        (Job(KEY._replace(version=2)), True),
        (Job(KEY._replace(version=2), reason=listing.HELD), True),
        (Job(KEY._replace(version=2), reason=listing.ACCEPTED), False),
        (Job(KEY._replace(version=2), reason="damaged"), False),
        (Job(KEY._replace(version=2), asked_at=NOW), False),
        (Job(KEY._replace(version=2), JobState.REQUESTED), False),
        (Job(KEY), False),
    ],
)
def test_a_next_version_is_unasked_until_something_was_done_for_it(job: Job, waits: bool) -> None:
    """What was accepted, asked for or damaged is not held again."""
    assert listing.is_unasked_replacement(job) is waits


@pytest.mark.parametrize(
    ("count", "stored", "too_many"),
    [(2, 2, False), (3, 30, False), (3, 29, True), (11, 100, True), (10, 100, False)],
)
def test_more_than_a_tenth_of_the_archive_is_not_replaced_in_a_night(
    count: int, stored: int, too_many: bool
) -> None:
    """Two of two may be an owner's doing; eleven of a hundred are the vendor's."""
    assert listing.looks_replaced(count, stored) is too_many


VIDEOS = st.builds(
    Video, st.just(VideoId(7)), st.sampled_from(["a", "b"]), recording=st.booleans(),
    size_bytes=st.none() | st.integers(0, 2), length_s=st.none() | st.floats(0, 3),
)  # fmt: skip
JOBS = st.builds(
    Job, st.just(KEY), st.sampled_from(JobState), asked_at=st.none() | st.just(NOW),
    expected_bytes=st.none() | st.integers(0, 2), expected_s=st.none() | st.floats(0, 3),
    delete_at=st.sampled_from([Instant(1.0), Instant(2.0)]),
)  # fmt: skip
KNOWN = st.builds(Known, VIDEOS, JOBS, st.floats(0, 2 * NOW).map(Instant))


@given(known=st.none() | KNOWN, seen=VIDEOS)
def test_whatever_is_listed_nothing_known_is_lost(known: Known | None, seen: Video) -> None:
    """A listing never ends a job, never lowers a version, and never touches an archived file."""
    change = listed(known, seen, NOW, "mp4")
    assert change.word in WORDS
    if change.job is None:
        assert change.event is None
        return
    assert change.job.state in (JobState.DISCOVERED, JobState.SKIPPED, JobState.ARCHIVED)
    if known is None:
        return
    same_file = change.job.key == known.job.key
    assert same_file != (change.word == "changed")
    assert same_file or known.job.state is JobState.ARCHIVED
    assert change.job.delete_at == known.job.delete_at
    assert (
        known.job.state is not JobState.ARCHIVED
        or not same_file
        or (
            replace(change.job, expected_bytes=None, expected_s=None)
            == replace(known.job, expected_bytes=None, expected_s=None)
        )
    )


@given(known=st.none() | KNOWN, seen=VIDEOS)
def test_the_same_listing_twice_changes_nothing_the_second_time(
    known: Known | None, seen: Video
) -> None:
    """A listing is settled once it was taken in, however often it is read."""
    change = listed(known, seen, NOW, "mp4")
    job = change.job or (known.job if known else None)
    assert job is not None
    assert listed(Known(seen, job, NOW), seen, NOW, "mp4") == Change("same")
