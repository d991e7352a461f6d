"""Hosts that are wrong again and again: what is archived in the end, and what it is said to be."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from archiver.adapters.clock import SystemClock
from archiver.core.events import Corrupt, Delayed, Event, Fetched, Hindered, LinkRefused
from archiver.core.lifecycle import apply
from archiver.core.model import NOTHING, Job, JobKey, JobState, Link, VideoId
from archiver.core.resume import OVERLAP_BYTES, WITNESS_BYTES
from archiver.core.steps import Fetch
from tests.wire.download_bench import DATE, SIZE, video
from tests.wire.hand_bench import START, hands_at, story
from tests.wire.raw_server import File, Handler, RawServer, Reply, Request, cut, in_turn, reply

LIE = 1000  # bytes more than there are


def _without_moov(seed: int = 1) -> bytes:
    return video(seed=seed).replace(b"moov", b"free", 1)


def _open_ended() -> bytes:
    """Its last box says that it goes on to the end of the file."""
    content = bytearray(video())
    at = content.index(b"mdat") - 4
    content[at : at + 4] = bytes(4)
    return bytes(content)


def _plain(content: bytes) -> Handler:
    """A host without ranges that announces more than it has."""
    return lambda _: reply(200, content, 'ETag: "one"', length=len(content) + LIE, then="close")


def _stalling(content: bytes) -> Handler:
    """The same, keeping the connection open for what never comes."""
    return lambda _: reply(200, content, 'ETag: "one"', length=len(content) + LIE, then="stall")


def _honest_ranges(content: bytes) -> Handler:
    """A host that is right about ranges and wrong about the whole."""
    file, plain = File(content), _plain(content)
    return lambda request: plain(request) if request.start is None else file(request)


def _lying_ranges(content: bytes) -> Handler:
    """A host that is wrong about both in the same way."""

    def handler(request: Request) -> Reply:
        if request.start is None:
            return _plain(content)(request)
        total, body = len(content) + LIE, content[request.start :]
        span = f"Content-Range: bytes {request.start}-{total - 1}/{total}"
        return reply(206, body, span, 'ETag: "one"', length=len(body) + LIE, then="close")

    return handler


HOSTS = [_plain, _stalling, _honest_ranges, _lying_ranges]


@pytest.mark.parametrize("host", HOSTS)
def test_a_length_that_is_too_large_each_time_is_not_believed_for_ever(
    tmp_path: Path, host: Callable[[bytes], Handler]
) -> None:
    """D07: ended twice at the same byte, where the container closes: that is the file."""
    told = story(tmp_path, host(video()), most=3, stall_s=0.2)
    assert told.kinds == [Delayed, Fetched]
    assert told.stored == video()
    assert json.loads(told.holdings[0].provenance)["measured"] is True


@pytest.mark.parametrize("host", HOSTS)
def test_a_file_that_ends_twice_at_the_same_byte_may_still_be_cut(
    tmp_path: Path, host: Callable[[bytes], Handler]
) -> None:
    """D07: its container does not close there, or says nothing of its end: it stays unfinished."""
    for content in (video()[:-5], _open_ended()):
        told = story(tmp_path / str(len(content)), host(content), most=4, stall_s=0.2)
        assert told.kinds == [Delayed] * 4
        assert told.job.state is JobState.AVAILABLE
        assert told.job.saved.bytes == len(content)
        assert re.search("ended|broke off|no byte", told.job.reason)


def test_a_line_that_breaks_where_a_box_ends_has_not_said_so_twice(tmp_path: Path) -> None:
    """D07: the second time the host never came so far: that is no second word."""
    rest = (500).to_bytes(4, "big") + b"free" + bytes(492)
    content = video() + rest
    file = File(content)
    answers = in_turn(
        lambda r: cut(file(r), SIZE, "close"), lambda r: cut(file(r), 1000, "close"), file
    )
    told = story(tmp_path, answers, most=4)
    assert told.kinds == [Delayed, Delayed, Fetched]
    assert told.stored == content


def test_a_box_without_an_end_needs_a_length_or_a_second_time(tmp_path: Path) -> None:
    """D05: closed by the host without any length, an open last box looks whole wherever it ends."""
    content = _open_ended()
    endless = reply(200, content, then="close", length=None)
    told = story(tmp_path / "a", lambda _: endless, most=3)
    assert told.kinds == [Corrupt, Fetched]
    assert told.stored == content
    assert "nothing tells where" in json.loads(told.holdings[0].provenance)["flaw"]
    cut_once = in_turn(*[cut(endless, 200_000, "close")] * 2, *[endless] * 9)
    told = story(tmp_path / "b", cut_once, most=4)
    assert told.kinds == [Corrupt, Corrupt, Fetched]
    assert told.stored == content
    announced = story(tmp_path / "c", lambda _: reply(200, content), most=2)
    assert announced.kinds == [Fetched]
    assert "flaw" not in json.loads(announced.holdings[0].provenance)


def test_a_file_cut_without_a_length_is_never_archived(tmp_path: Path) -> None:
    """D05: not even where it is cut at the same byte each time."""
    short = reply(200, video()[:-5], then="close", length=None)
    told = story(tmp_path, lambda _: short, most=4)
    assert told.kinds == [Corrupt] * 4
    assert told.job.saved == NOTHING


def test_a_broken_video_is_archived_as_the_vendor_has_it(tmp_path: Path) -> None:
    """D37: byte-complete, the same twice, and marked."""
    told = story(tmp_path, File(_without_moov()), most=3)
    assert told.kinds == [Corrupt, Fetched]
    assert told.stored == _without_moov()
    assert "no moov" in json.loads(told.holdings[0].provenance)["flaw"]


def test_two_hashes_of_one_file_lead_to_a_third_download(tmp_path: Path) -> None:
    """D34: a flipped bit shows where it breaks the container; what comes twice is believed."""
    good, bad = video(), video().replace(b"moov", b"mooV", 1)
    healed = story(tmp_path / "a", in_turn(reply(200, bad), File(good)), most=3)
    assert healed.kinds == [Corrupt, Fetched]
    assert healed.stored == good
    broken, flipped = _without_moov(), _without_moov(seed=2)
    answers = in_turn(*(reply(200, each) for each in (flipped, broken, broken)))
    told = story(tmp_path / "b", answers, most=4)
    assert told.kinds == [Corrupt, Corrupt, Fetched]
    assert told.stored == broken


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_address_that_dies_under_way_costs_what_is_compared_and_no_more(
    tmp_path: Path, status: int
) -> None:
    """D16: a new address is asked for, the part is kept where it may be, and it is recorded."""
    content = video(3 * WITNESS_BYTES)
    file = File(content)
    at = 2 * WITNESS_BYTES
    answers = in_turn(lambda r: cut(file(r), at, "close"), reply(status, b"no"), file)
    told = story(tmp_path, answers, most=4)
    assert told.kinds == [Delayed, LinkRefused, Fetched]
    assert told.stored == content
    assert told.requests[-1].start == at - OVERLAP_BYTES
    assert told.requests[-1].target.endswith("again=2")
    assert json.loads(told.holdings[0].provenance)["joined"] is True


def test_bytes_of_two_generations_are_never_joined(tmp_path: Path) -> None:
    """D16, decision 8: the new address has another file of the same size."""
    old, new = video(3 * WITNESS_BYTES), video(3 * WITNESS_BYTES, seed=2)
    for etags in (('"one"', '"two"'), (None, None), ('W/"x"', 'W/"x"')):
        first, second = (File(c, e, DATE) for c, e in zip((old, new), etags, strict=True))
        begun = cut(reply(200, old, *first.fields), 2 * WITNESS_BYTES + 5, "close")
        answers = in_turn(begun, reply(410), *[second] * 5)
        told = story(tmp_path / str(etags[0])[:2].replace('"', ""), answers, most=4)
        assert told.stored == new
        assert "joined" not in json.loads(told.holdings[0].provenance)


def test_a_size_other_than_the_listings_is_recorded_and_no_obstacle(tmp_path: Path) -> None:
    """D28: the listing is advice; the container is asked in any case."""
    told = story(tmp_path, File(video()), 2, replace(START, expected_bytes=SIZE + 7))
    assert told.stored == video()
    assert json.loads(told.holdings[0].provenance)["listed_bytes"] == SIZE + 7
    equal = story(tmp_path / "b", File(video()), 2, replace(START, expected_bytes=SIZE))
    assert "listed_bytes" not in json.loads(equal.holdings[0].provenance)


@pytest.mark.parametrize("status", [429, 503])
def test_a_host_in_trouble_is_left_alone_and_the_others_are_not(
    tmp_path: Path, status: int
) -> None:
    """D31: one answer closes that host's gate until it said to come back; no other host's."""

    async def main() -> None:
        busy = RawServer(lambda _: reply(status, b"", "Retry-After: 300"))
        async with busy, RawServer(File(video())) as well, hands_at(tmp_path) as hands:
            jobs = [
                replace(START, key=JobKey(VideoId(number)), link=Link(url))
                for number, url in enumerate([busy.url, busy.url, well.url, busy.url], start=1)
            ]
            said = [
                await hands.perform(Fetch(job.key), job, partial(_applied, job)) for job in jobs
            ]
            assert [type(event) for event in said] == [Hindered, Hindered, Fetched, Hindered]
            assert len(busy.requests) == 1
            second = said[1]
            assert isinstance(second, Hindered)
            assert second.due_at - SystemClock().now() > 200
            assert len(well.requests) == 1

    asyncio.run(main())


async def _applied(job: Job, event: Event) -> Job:
    return apply(job, event)


def test_a_host_of_long_ago_is_asked_for_the_whole_file_again(tmp_path: Path) -> None:
    """D30: HTTP/1.0, no range, no length, every connection closed: from 0 after each break."""
    content = video(2_500_000)
    head = b"HTTP/1.0 200 OK\r\nLast-Modified: " + DATE.encode() + b"\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(content)
    answers = [Reply(head + length + content[:at], "close") for at in (1_500_000, 2_000_000)]
    whole = Reply(head + b"\r\n" + content, "close")
    handler = in_turn(answers[0], *[answers[1]] * 2, *[whole] * 3)
    told = story(tmp_path, handler, most=4)
    assert told.kinds == [Delayed, Delayed, Fetched]
    assert told.stored == content
    assert "joined" not in json.loads(told.holdings[0].provenance)
