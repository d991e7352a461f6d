"""What the commands beside ``run`` and the recovery after a crash are promised by the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from archiver.adapters.ledger import SqliteLedger
from archiver.core.events import Delayed, GaveUp
from archiver.core.model import NEVER, Channel, ChannelId, Instant, JobKey, JobState, VideoId
from archiver.core.recency import LastListing
from archiver.core.summary import Failure
from tests.ports.test_ledger import (
    LATER,
    LINK,
    NOW,
    play,
    take_in,
    to_archived,
    use,
    video,
)


def test_parked_videos_come_back_when_asked_for(tmp_path: Path) -> None:
    """`retry` names videos, a run takes its whole selection; nothing else is touched."""

    async def what(ledger: SqliteLedger) -> None:
        jobs = await take_in(ledger, 1, 2, 3)
        for job in jobs:
            await play(ledger, job, GaveUp("refused"))
        assert (await ledger.window(NOW, "mp4", 9)).jobs == ()
        assert await ledger.reopen_parked([VideoId(2), VideoId(77)], NOW) == 1
        assert [job.key.video_id for job in (await ledger.window(NOW, "mp4", 9)).jobs] == [2]
        assert (await ledger.counts("mp4"))[JobState.PARKED] == 2
        await ledger.reconcile([video(4)], NOW, "mp4")
        assert await ledger.reopen_parked(None, NOW) == 2
        assert len((await ledger.window(NOW, "mp4", 9)).jobs) == 3

    use(tmp_path, what)


def test_failures_come_with_reasons_the_parked_first(tmp_path: Path) -> None:
    """A person reads why a video is not archived."""

    async def what(ledger: SqliteLedger) -> None:
        one, two, _ = await take_in(ledger, 1, 2, 3)
        await play(ledger, one, Delayed(NOW, "broke", LATER))
        await play(ledger, two, GaveUp("refused"))
        told = [
            Failure(VideoId(2), "Film 2", "parked", "refused", 0),
            Failure(VideoId(1), "Film 1", "discovered", "broke", 1),
        ]
        assert await ledger.failures(9) == told
        assert await ledger.failures(1, selected="mp4") == told[:1]
        assert await ledger.failures(9, selected="flv") == []

    use(tmp_path, what)


def test_recovery_learns_what_is_complete_and_whose_parts_are_of_use(tmp_path: Path) -> None:
    """A crash between the last byte and the name is found, in any selection."""

    async def first(ledger: SqliteLedger) -> None:
        one, two, three = await take_in(ledger, 1, 2, 3)
        await play(ledger, one, *to_archived(one))
        await play(ledger, two, *to_archived(two)[:4])
        await play(ledger, three, *to_archived(three)[:3])
        assert await ledger.next_deadline() == LINK.expires_at

    async def second(ledger: SqliteLedger) -> None:
        assert [job.key.video_id for job in await ledger.fetched_jobs()] == [2]
        assert await ledger.unfinished_keys() == {JobKey(VideoId(2)), JobKey(VideoId(3))}

    use(tmp_path, first)
    use(tmp_path, second)


def test_half_a_character_in_a_title_stops_nothing(tmp_path: Path) -> None:
    """JSON can bring texts that UTF-8 cannot hold; the video is archived all the same."""

    async def what(ledger: SqliteLedger) -> None:
        odd = replace(video(1), title="a\ud83d", channel_title="\udc00", raw='"\ud83d"')
        await ledger.add_channels([Channel(ChannelId(8), "\ud83d", "\ud83d")])
        assert (await ledger.reconcile([odd], NOW, "mp4"))["new"] == 1
        assert (await ledger.shelf(VideoId(1))).video.title == "a?"
        (job,) = await take_in(ledger, 1)
        await ledger.record(job, GaveUp("\udc00"), NOW)
        assert (await ledger.failures(1))[0].reason == "?"

    use(tmp_path, what)


def test_runs_listings_and_notes_are_remembered(tmp_path: Path) -> None:
    """`status` shows the last runs; a listing can be held against the one before."""

    async def first(ledger: SqliteLedger) -> None:
        for number in range(3):
            run = await ledger.begin_run(42, NOW)
            await ledger.end_run(run, f'{{"number": {number}}}', LATER)
        await ledger.begin_run(43, Instant(LATER + 1))  # killed
        await ledger.note_listing("account", 10, NOW)
        await ledger.note_listing("account", 12, LATER)
        await ledger.meta_set("format", "mp4")

    async def second(ledger: SqliteLedger) -> None:
        assert await ledger.last_runs(2) == [{"number": 2}, {"number": 1}]
        assert await ledger.last_listing("account") == LastListing(12, LATER, LATER)
        assert await ledger.last_listing("channel:1") is None
        assert await ledger.meta_get("format") == "mp4"
        assert await ledger.meta_get("else") is None
        assert await ledger.next_deadline() == NEVER

    use(tmp_path, first)
    use(tmp_path, second)


def test_a_run_knows_how_large_its_work_is(tmp_path: Path) -> None:
    """What is final does not count; an unknown size is taken as the mean of the known ones."""

    async def what(ledger: SqliteLedger) -> None:
        assert await ledger.wanted_bytes("mp4") == 0
        jobs = await take_in(ledger, 1, 2, 3)
        assert await ledger.wanted_bytes("mp4") == 300
        await ledger.reconcile([video(4, size_bytes=None)], NOW, "mp4")
        await ledger.select([VideoId(4)])
        assert await ledger.wanted_bytes("mp4") == 400
        await play(ledger, jobs[0], *to_archived(jobs[0]))
        await play(ledger, jobs[1], GaveUp("refused"))
        assert await ledger.wanted_bytes("mp4") == 200
        await play(ledger, jobs[2], GaveUp("refused"))
        assert await ledger.wanted_bytes("mp4") is None

    use(tmp_path, what)
