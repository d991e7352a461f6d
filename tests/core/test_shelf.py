"""A shelf knows which of the stored files a job once became."""

from __future__ import annotations

from archiver.core.model import Holding, Instant, JobKey, Shelf, Video, VideoId


def test_a_shelf_finds_the_file_of_a_job_and_no_other() -> None:
    """Another format or version is another file."""
    number = VideoId(7)
    held = Holding(number, "video", "mp4", 2, "data/a v2.mp4", 3, "ab", Instant(9.0))
    shelf = Shelf(Video(number, "a"), "data", "a", (held,))
    assert shelf.recorded(JobKey(number, version=2)) == held
    assert shelf.recorded(JobKey(number)) is None
    assert shelf.recorded(JobKey(number, variant="flv", version=2)) is None
