"""What every ledger promises to the engine and the commands; real files, no doubles."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from archiver.adapters.ledger import Filter, SqliteLedger
from archiver.core.events import (
    Asked,
    Available,
    Delayed,
    Event,
    Fetched,
    Hindered,
    IllegalTransitionError,
    NotFound,
    Pending,
    Progressed,
    Stored,
    Unavailable,
)
from archiver.core.model import (
    NEVER,
    Channel,
    ChannelId,
    Holding,
    Instant,
    Job,
    JobKey,
    JobState,
    Link,
    Saved,
    Video,
    VideoId,
)
from archiver.errors import DestinationError

T = TypeVar("T")
NOW = Instant(1_700_000_000.0)
LATER = Instant(NOW + 600)
AT_ONCE = Instant(0.0)
SECRET = "Signature=tellnobody"
LINK = Link(f"https://cdn.example/video.mp4?{SECRET}", Instant(NOW + 86400))


def video(number: int, **values: object) -> Video:
    whole = Video(VideoId(number), f"Film {number}", ChannelId(9), "Channel", size_bytes=100)
    return replace(whole, added_at=Instant(NOW - number), **values)  # type: ignore[arg-type]


def use(tmp_path: Path, what: Callable[[SqliteLedger], Awaitable[T]]) -> T:
    """Run *what* on the ledger of *tmp_path*, opened anew."""

    async def main() -> T:
        async with await SqliteLedger.open(tmp_path / "ledger.sqlite3") as ledger:
            return await what(ledger)

    return asyncio.run(main())


async def take_in(ledger: SqliteLedger, *numbers: int) -> tuple[Job, ...]:
    videos = [video(number) for number in numbers]
    await ledger.reconcile(videos, NOW, "mp4")
    await ledger.select([each.id for each in videos])
    return (await ledger.window(NOW, "mp4", 10_000)).jobs


def holding(job: Job, kind: str = "video") -> Holding:
    key = job.key
    path = f"data/{key}.{kind}"
    return Holding(key.video_id, kind, key.variant, key.version, path, 100, "ab" * 32, NOW)


async def play(ledger: SqliteLedger, job: Job, *events: Event) -> Job:
    for event in events:
        job = await ledger.record(job, event, NOW)
    return job


def to_archived(job: Job) -> tuple[Event, ...]:
    saved = Saved(100, 100, '"tag"', "Mon", "print", joined=True, measured=True)
    stored = Stored((holding(job), holding(job, "info")))
    return Asked(NOW), Available(NOW, LINK), Progressed(saved), Fetched(saved, "ab" * 32), stored


def test_what_was_recorded_is_there_after_opening_again(tmp_path: Path) -> None:
    """A restart finds every field of a job as it was recorded."""

    async def first(ledger: SqliteLedger) -> Job:
        (job,) = await take_in(ledger, 1)
        return await play(ledger, job, *to_archived(job)[:3], Delayed(NOW, "slow", LATER))

    async def second(ledger: SqliteLedger) -> tuple[Job, ...]:
        await ledger.select([VideoId(1)])
        return (await ledger.window(NOW, "mp4", 1)).jobs

    assert (use(tmp_path, first),) == use(tmp_path, second)


def test_an_event_that_does_not_fit_writes_nothing(tmp_path: Path) -> None:
    """A bug of ours is told at once and leaves the ledger as it was."""

    async def what(ledger: SqliteLedger) -> None:
        (job,) = await take_in(ledger, 1)
        with pytest.raises(IllegalTransitionError):
            await ledger.record(job, Progressed(Saved(1)), NOW)
        with pytest.raises(LookupError):
            await ledger.record(Job(JobKey(VideoId(5))), Asked(NOW), NOW)
        assert (await ledger.window(NOW, "mp4", 1)).jobs == (job,)

    use(tmp_path, what)


def test_a_video_replaced_before_it_was_asked_for_again_is_stored_once(tmp_path: Path) -> None:
    """A version was lost, the video replaced: what comes then is no other than what is listed."""

    async def what(ledger: SqliteLedger) -> None:
        (job,) = await take_in(ledger, 1)
        job = await play(ledger, job, Asked(NOW))
        seen = video(1, size_bytes=5)
        await ledger.reconcile([seen], LATER, "mp4")
        job = await play(ledger, job, Unavailable(NOW, AT_ONCE, "lost"))
        job = await play(ledger, job, *to_archived(job))
        assert job.expected_bytes == 5
        assert (await ledger.reconcile([seen], LATER, "mp4"))["same"] == 1

    use(tmp_path, what)


def test_an_archived_video_leaves_its_holdings_and_no_address(tmp_path: Path) -> None:
    """Holdings are recorded with the fact; the signed address stays nowhere in the file."""

    async def what(ledger: SqliteLedger) -> None:
        (job,) = await take_in(ledger, 1)
        done = await play(ledger, job, *to_archived(job))
        assert done.state is JobState.ARCHIVED
        assert [each async for each in ledger.holdings()] == [holding(job, "info"), holding(job)]
        assert await ledger.holdings_count_bytes() == (2, 200)
        assert await ledger.counts("mp4") == {JobState.ARCHIVED: 1}

    use(tmp_path, what)
    with sqlite3.connect(tmp_path / "ledger.sqlite3") as db:
        dump = "\n".join(db.iterdump())
        names = [name for (name,) in db.execute("SELECT name FROM event ORDER BY id")]
        told = db.execute("SELECT payload FROM event WHERE name = 'Available'").fetchone()[0]
    db.close()
    assert SECRET not in dump
    assert names == ["Asked", "Available", "Fetched", "Stored"]
    assert json.loads(told)["link"] == {"host": "cdn.example", "expires_at": NOW + 86400}
    assert SECRET.encode() not in (tmp_path / "ledger.sqlite3").read_bytes()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE holding SET bytes = 1", "DELETE FROM holding", "UPDATE event SET at = 1",
     "DELETE FROM event"],
)  # fmt: skip
def test_holdings_and_events_are_only_ever_added(tmp_path: Path, statement: str) -> None:
    """Not even a bug of ours can change what is recorded as stored or as happened."""

    async def what(ledger: SqliteLedger) -> None:
        (job,) = await take_in(ledger, 1)
        await play(ledger, job, *to_archived(job))

    use(tmp_path, what)
    db = sqlite3.connect(tmp_path / "ledger.sqlite3")
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)
    db.close()


def test_a_path_recorded_with_other_contents_is_refused(tmp_path: Path) -> None:
    """Two contents never share a path; the same content twice is one holding."""

    async def what(ledger: SqliteLedger) -> None:
        jobs = await take_in(ledger, 1, 2, 3)
        fetched = [await play(ledger, job, *to_archived(job)[:4]) for job in jobs]
        kept = holding(jobs[0])
        await play(ledger, fetched[0], Stored((kept,)))
        await play(ledger, fetched[1], Stored((replace(kept, stored_at=LATER),)))
        with pytest.raises(DestinationError, match="other contents"):
            await play(ledger, fetched[2], Stored((replace(kept, sha256="cd" * 32),)))
        assert [each async for each in ledger.holdings()] == [kept]

    use(tmp_path, what)


def test_the_window_holds_what_is_in_flight_and_the_next_discovered(tmp_path: Path) -> None:
    """In-flight jobs always; discovered ones by the vendor's deletion, then by id."""

    async def what(ledger: SqliteLedger) -> None:
        jobs = await take_in(ledger, *range(1, 9))
        await play(ledger, jobs[7], Asked(NOW))
        await play(ledger, jobs[6], Pending(NOW, LATER))
        await play(ledger, jobs[5], Delayed(NOW, "later", LATER))
        await play(ledger, jobs[0], NotFound())
        await ledger.date({jobs[3].key.video_id: LATER}, "mp4")
        await play(ledger, jobs[3], Hindered("", AT_ONCE))
        window = await ledger.window(NOW, "mp4", 2)
        assert [job.key.video_id for job in window.jobs] == [7, 8, 4, 2]
        assert window.more
        assert window.next_due_at == LATER
        window = await ledger.window(LATER, "mp4", 9)
        assert [job.key.video_id for job in window.jobs] == [7, 8, 4, 2, 3, 5, 6]
        assert not window.more
        assert window.next_due_at == NEVER

    use(tmp_path, what)


def test_a_due_time_beyond_any_legal_wait_counts_as_due(tmp_path: Path) -> None:
    """A clock that was wrong once does not put a video off for years."""

    async def what(ledger: SqliteLedger) -> None:
        (job,) = await take_in(ledger, 1)
        await play(ledger, job, Delayed(NOW, "later", Instant(NOW + 27 * 3600)))
        assert len((await ledger.window(NOW, "mp4", 1)).jobs) == 1

    use(tmp_path, what)


def test_only_the_selection_and_its_variant_are_planned(tmp_path: Path) -> None:
    """What was not asked for in this run is left alone, whatever its state."""

    async def what(ledger: SqliteLedger) -> None:
        await ledger.reconcile([video(1), video(2)], NOW, "mp4")
        await ledger.reconcile([video(2)], NOW, "flv")
        await ledger.select([VideoId(2), VideoId(2), VideoId(3)])
        await ledger.reconcile([video(3)], NOW, "mp4")  # selected before it was listed
        jobs = (await ledger.window(NOW, "mp4", 9)).jobs
        assert [job.key for job in jobs] == [JobKey(VideoId(2)), JobKey(VideoId(3))]
        assert await ledger.counts("flv") == {JobState.DISCOVERED: 1}
        assert await ledger.all_counts() == {JobState.DISCOVERED: 4}

    use(tmp_path, what)


def test_a_selection_is_the_same_however_it_was_taken_up(tmp_path: Path) -> None:
    """All at once, or one by one, with extras and versions, some of them again."""
    numbers = [VideoId(number) for number in range(1, 9)]

    async def run(ledger: SqliteLedger) -> list[object]:
        jobs = await take_in(ledger, *numbers)
        await ledger.want_extras("mp4", NOW)
        for job in jobs[:3]:
            await play(ledger, job, *to_archived(job))
        await ledger.reconcile([video(2, size_bytes=99)], Instant(NOW + 9e6), "mp4")
        return []

    async def seen(ledger: SqliteLedger, pages: list[list[VideoId]]) -> list[object]:
        for page in pages:
            await ledger.select(page)
        windows = [await ledger.window(NOW, variant, 99) for variant in ("mp4", "extras")]
        return [*windows, [await ledger.counts(variant) for variant in ("mp4", "extras")]]

    use(tmp_path, run)
    at_once = use(tmp_path, lambda ledger: seen(ledger, [numbers]))
    singly = use(tmp_path, lambda ledger: seen(ledger, [[each] for each in numbers]))
    again = use(tmp_path, lambda ledger: seen(ledger, [numbers[:5], numbers[3:], numbers]))
    assert at_once == singly == again


def test_a_replaced_video_is_counted_once_by_its_newest_version(tmp_path: Path) -> None:
    """A second version is wanted while the first stays archived and listed."""

    async def what(ledger: SqliteLedger) -> None:
        (job,) = await take_in(ledger, 1)
        await play(ledger, job, *to_archived(job))
        seen = video(1, size_bytes=5, title="New")
        assert (await ledger.reconcile([seen], LATER, "mp4"))["changed"] == 1
        assert await ledger.counts("mp4") == {JobState.DISCOVERED: 1}
        assert await ledger.all_counts("mp4") == {JobState.DISCOVERED: 1}
        (entry, wanted) = [each async for each in ledger.rows()]
        assert (entry.job.key.version, entry.holding) == (1, holding(job))
        assert (wanted.job.key.version, wanted.holding) == (2, None)
        assert wanted.video.title == "New"

    use(tmp_path, what)


def test_a_place_is_chosen_once(tmp_path: Path) -> None:
    """New titles of a video and its channel move no folder, for old videos and new ones."""

    async def what(ledger: SqliteLedger) -> None:
        await ledger.reconcile([video(1)], NOW, "mp4")
        before = await ledger.shelf(VideoId(1))
        await ledger.add_channels([Channel(ChannelId(9), "Other", '{"a": 1}')])
        seen = [replace(video(n, title="Else"), channel_title="Other") for n in (1, 2)]
        counts = await ledger.reconcile(seen, LATER, "mp4")
        assert (counts["renamed"], counts["new"]) == (1, 1)
        after = await ledger.shelf(VideoId(1))
        assert (after.folder, after.stem) == (before.folder, before.stem)
        assert after.video == seen[0]
        other = await ledger.shelf(VideoId(2))
        assert other.folder.split("/")[1] == before.folder.split("/")[1]
        with pytest.raises(DestinationError):
            await ledger.shelf(VideoId(99))

    use(tmp_path, what)


def test_a_thinner_listing_takes_nothing_away(tmp_path: Path) -> None:
    """What a second listing leaves out stays known."""

    async def what(ledger: SqliteLedger) -> None:
        await ledger.reconcile([video(1, protect="private")], NOW, "mp4")
        await ledger.reconcile([Video(VideoId(1), "Film 1")], NOW, "mp4")
        assert (await ledger.shelf(VideoId(1))).video == video(1, protect="private")

    use(tmp_path, what)


def test_the_catalogue_is_filtered_and_read_in_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entry comes once, in order, whatever the size of a page."""
    monkeypatch.setattr("archiver.adapters.ledger.catalogue.PAGE", 2)

    async def what(ledger: SqliteLedger) -> None:
        await take_in(ledger, *range(1, 6))
        await ledger.reconcile([video(3)], NOW, "flv")
        odd = video(6, title="Übung", channel_id=ChannelId(1))
        await ledger.reconcile([odd], NOW, "mp4")

        async def ids(**wanted: object) -> list[int]:
            found = ledger.rows(Filter(**wanted))  # type: ignore[arg-type]
            return [entry.video.id async for entry in found]

        assert await ids() == [1, 2, 3, 3, 4, 5, 6]
        assert await ids(text="übUNG") == [6]
        assert await ids(channel=ChannelId(1)) == [6]
        assert await ids(state=JobState.ARCHIVED) == []
        assert await ids(since=Instant(NOW - 2), until=Instant(NOW - 1)) == [2]

    use(tmp_path, what)
