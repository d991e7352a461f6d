"""A job that is copied the quick way is the job that the slow way makes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from archiver.core.model import (
    JOB_FIELDS,
    Instant,
    Job,
    JobKey,
    JobState,
    Link,
    Saved,
    VideoId,
    changed,
    every_field,
    job_with,
)

JOB = Job(
    JobKey(VideoId(1)), JobState.AVAILABLE, link=Link("https://cdn.example/1", Instant(5.0)),
    saved=Saved(1, 2), reason="why", fresh_at=Instant(7.0),
)  # fmt: skip


def test_a_copy_is_what_replace_makes() -> None:
    """Every other field stays, and the original is as it was."""
    before = repr(JOB)
    copy = changed(JOB, state=JobState.ARCHIVED, link=None)
    assert copy == replace(JOB, state=JobState.ARCHIVED, link=None)
    assert hash(copy) == hash(replace(JOB, state=JobState.ARCHIVED, link=None))
    assert type(copy) is Job
    assert repr(JOB) == before


def test_values_in_order_make_the_job() -> None:
    """The order is that of the fields."""
    assert tuple(each.name for each in fields(Job)) == JOB_FIELDS
    assert job_with(*every_field(JOB)) == JOB


@pytest.mark.parametrize("job", [changed(JOB, reason=""), job_with(*every_field(JOB))])
def test_nothing_of_it_can_be_changed(job: Job) -> None:
    """It is as frozen as any other."""
    with pytest.raises(FrozenInstanceError):
        job.reason = "other"  # type: ignore[misc]


def test_a_field_that_there_is_not_is_refused() -> None:
    """A slip of the finger does not pass in silence."""
    with pytest.raises(AttributeError):
        changed(JOB, polled=1)
