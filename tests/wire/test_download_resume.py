"""Going on with a file: never with bytes of another one, whatever the host says."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from archiver.adapters.download_transfer import fingerprint
from archiver.core.model import NOTHING, Saved
from archiver.core.resume import OVERLAP_BYTES, WITNESS_BYTES
from tests.wire.download_bench import BIG, DATE, SIZE, Bench, bench, video
from tests.wire.raw_server import File, Reply, Request, in_turn, reply


def test_a_whole_file_instead_of_the_rest_replaces_what_was_saved(tmp_path: Path) -> None:
    """D08, D30: a host without ranges sends all; nothing of it is ever appended."""
    content = video()
    before = content[:200_000]

    async def body(b: Bench) -> None:
        await b.fetch(b.saved(before, etag=None, total=SIZE))
        assert b.content == content
        assert len(b.server.requests) == 1
        assert b.told.reported[0] == NOTHING

    bench(tmp_path, File(content, etag=None, ranges=False), body, before=before)


def test_a_changed_file_is_taken_from_its_beginning(tmp_path: Path) -> None:
    """D12: If-Range says it, and the new file comes whole."""
    new = video(SIZE + 9, seed=2)
    before = video()[:200_000]

    async def body(b: Bench) -> None:
        saved = await b.fetch(b.saved(before, total=SIZE))
        assert b.content == new
        assert (saved.etag, saved.joined) == ('"two"', False)

    bench(tmp_path, File(new, '"two"'), body, before=before)


@pytest.mark.parametrize("etag", [None, '"one"', 'W/"one"'])
def test_a_changed_file_shows_in_the_overlap(tmp_path: Path, etag: str | None) -> None:
    """D12, D15: equal size, equal ETag or none, other bytes: compared, found, taken whole."""
    new = video(seed=2)
    before = video()[:200_000]

    async def body(b: Bench) -> None:
        await b.fetch(b.saved(before, etag=etag, total=SIZE))
        assert b.content == new
        assert b.server.requests[-1].start is None

    bench(tmp_path, File(new, etag), body, before=before)


def test_a_host_that_ignores_if_range_is_asked_without_it(tmp_path: Path) -> None:
    """D14: a 200 with the same ETag and size is no new file; the rest is asked for plainly."""
    content = video()
    before = content[:200_000]

    async def body(b: Bench) -> None:
        await b.fetch(b.saved(before, total=SIZE))
        assert b.content == content
        assert [r.start for r in b.server.requests] == [200_000 - OVERLAP_BYTES] * 2
        assert "if-range" not in b.server.requests[1].headers
        assert b.told.reported == []

    bench(tmp_path, File(content, if_range=False), body, before=before)


def _odd(span: str, content: bytes, *headers: str) -> Reply:
    return reply(206, content, f"Content-Range: {span}", *headers)


@pytest.mark.parametrize(
    "odd",
    [
        _odd(f"bytes 0-{SIZE - 1}/{SIZE}", video()),
        _odd(f"bytes 134464-{SIZE - 1}/{SIZE + 1}", video()[134_464:]),
        _odd(f"bytes 134464-{SIZE - 1}/{SIZE}", video()[134_464:-1]),
        _odd("bytes 134464-150000/150001", video()[134_464:150_001]),
        _odd("bytes nonsense", video()[134_464:]),
        reply(206, b"--x\r\n\r\nparts", "Content-Type: multipart/byteranges; boundary=x"),
        reply(416, b"no", "Content-Range: bytes */7"),
        reply(416, b"no"),
        reply(412, b"no"),
    ],
)
def test_an_odd_answer_to_a_range_starts_again(tmp_path: Path, odd: Reply) -> None:
    """D09, D11: another start, another total, several parts, a 416: nothing is appended."""
    content = video()
    before = content[:200_000]

    async def body(b: Bench) -> None:
        await b.fetch(b.saved(before, total=SIZE))
        assert b.content == content
        assert b.server.requests[-1].start is None

    bench(tmp_path, in_turn(odd, File(content)), body, before=before)


def test_a_416_at_the_end_of_the_file_means_that_all_is_there(tmp_path: Path) -> None:
    """D10: size equals what is saved: nothing is fetched, the checks decide."""
    content = video()

    async def body(b: Bench) -> None:
        saved = await b.fetch(b.saved(content))
        assert saved.total == saved.bytes == SIZE
        assert b.content == content

    answer = reply(416, b"", f"Content-Range: bytes */{SIZE}")
    bench(tmp_path, in_turn(answer), body, before=content)


def test_a_file_that_is_all_there_is_not_asked_for(tmp_path: Path) -> None:
    """A crash between the last byte and its record costs no request."""
    content = video()

    async def body(b: Bench) -> None:
        saved = b.saved(content, total=SIZE)
        assert await b.fetch(saved) == saved
        assert b.server.requests == []

    bench(tmp_path, in_turn(), body, before=content)


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("changed", [True, False])
def test_another_node_with_another_etag_goes_on(
    tmp_path: Path, *, dated: bool, changed: bool
) -> None:
    """D13, decision 8: the same file under another ETag, if length, date and what counts agree."""
    content = video(BIG)
    new = bytearray(content)
    new[100] ^= changed
    before = content[: 2 * WITNESS_BYTES]
    other = File(bytes(new), '"node-2"', DATE if dated else None, if_range=False)

    def node(request: Request) -> Reply:
        plain = {k: v for k, v in request.headers.items() if k != "if-range"}
        return other(replace(request, headers=plain))

    async def body(b: Bench) -> None:
        date = DATE if dated else None
        saved = await b.fetch(b.saved(before, total=BIG, last_modified=date))
        assert b.content == bytes(new)
        assert not saved.joined
        starts = [r.start for r in b.server.requests]
        first = len(before) - OVERLAP_BYTES
        if dated and not changed:
            assert starts == [first, 0, len(before) - WITNESS_BYTES]
        else:
            assert starts == ([first, 0, None] if dated else [first, None])

    bench(tmp_path, node, body, before=before)


LONG = 4 * WITNESS_BYTES
HIDDEN = WITNESS_BYTES + 500_000  # in the pictures, and nowhere that anything is compared


def _changed(old: bytes, at: int) -> bytes:
    return old[:at] + bytes([old[at] ^ 1]) + old[at + 1 :]


def test_a_file_swapped_out_of_sight_shows_in_if_range_alone(tmp_path: Path) -> None:
    """D12: as long, as old, equal wherever it is compared: only the condition can tell."""
    old = video(LONG)
    new = _changed(old, HIDDEN)
    before = old[:-WITNESS_BYTES]

    async def body(b: Bench) -> None:
        saved = await b.fetch(b.saved(before, total=LONG, last_modified=DATE))
        assert b.content == new
        assert saved.etag == '"two"'
        assert [r.headers.get("if-range") for r in b.server.requests] == ['"one"']

    bench(tmp_path, File(new, '"two"', DATE), body, before=before)


@pytest.mark.parametrize("at", [100, HIDDEN, LONG - WITNESS_BYTES - 100])
@pytest.mark.parametrize("etag", [None, 'W/"one"'])
@pytest.mark.parametrize("source", ["", "other"])
def test_a_file_generated_again_without_a_strong_etag(
    tmp_path: Path, etag: str | None, source: str, at: int
) -> None:
    """D12, D16, decision 8: equal length and date: the index, the beginning, the end are seen.

    A difference in the pictures, outside of what is compared and under the same length and date,
    is what no client can see without fetching all of it again: the file is then made of two, and
    of two addresses it says so.
    """
    old = video(LONG)
    new = _changed(old, at)
    before = old[:-WITNESS_BYTES]

    async def body(b: Bench) -> None:
        there = {"source": source} if source else {}
        ledger = b.saved(before, etag, total=LONG, last_modified=DATE, **there)
        saved = await b.fetch(ledger)
        assert b.content == (old if at == HIDDEN else new)
        assert saved.joined is (at == HIDDEN and source != "")

    bench(tmp_path, File(new, etag, DATE), body, before=before)


@pytest.mark.parametrize(
    ("etag", "source", "kept"), [(None, "", 1), ('"x"', "", 0), (None, "o", 0)]
)
def test_an_index_behind_the_cut_is_left_to_the_date_at_the_same_address(
    tmp_path: Path, etag: str | None, source: str, kept: int
) -> None:
    """Decision 8: elsewhere, or where the ETag says otherwise, it must be compared: from 0."""
    ftyp = (24).to_bytes(4, "big") + b"ftypisom" + bytes(12)
    noise = random.Random(5).randbytes(BIG - 24 - 8 - 1000)
    content = ftyp + (len(noise) + 8).to_bytes(4, "big") + b"mdat" + noise
    content += (1000).to_bytes(4, "big") + b"moov" + bytes(992)
    before = content[: 2 * WITNESS_BYTES]
    host = File(content, '"y"' if etag else None, DATE, if_range=False)

    def node(request: Request) -> Reply:
        plain = {k: v for k, v in request.headers.items() if k != "if-range"}
        return host(replace(request, headers=plain))

    async def body(b: Bench) -> None:
        there = {"source": source} if source else {}
        await b.fetch(b.saved(before, etag, total=BIG, last_modified=DATE, **there))
        assert b.content == content
        assert (b.server.requests[-1].start is not None) == bool(kept)

    bench(tmp_path, node, body, before=before)


def test_two_addresses_with_the_same_strong_etag_are_joined(tmp_path: Path) -> None:
    """Decision 8: the rest comes from the new address, and the record says that it was joined."""
    content = video()
    before = content[:200_000]

    async def body(b: Bench) -> None:
        saved = await b.fetch(b.saved(before, source="other", total=SIZE))
        assert b.content == content
        assert saved.joined
        assert saved.source == fingerprint(b.server.url)
        assert b.told.count == 100_000 + OVERLAP_BYTES

    bench(tmp_path, File(content), body, before=before)


def _two_addresses(
    tmp_path: Path, old: bytes, new: bytes, etag: str | None = None
) -> tuple[Saved, list[int | None], int]:
    before = old[: 2 * WITNESS_BYTES + 12_345]

    async def body(b: Bench) -> tuple[Saved, list[int | None], int]:
        ledger = b.saved(before, etag, source="other", total=len(old), last_modified=DATE)
        saved = await b.fetch(ledger)
        assert b.content == new
        return saved, [r.start for r in b.server.requests], b.told.count

    done: tuple[Saved, list[int | None], int] = bench(
        tmp_path, File(new, None, DATE), body, before=before
    )
    return done


def test_two_addresses_are_joined_after_a_comparison(tmp_path: Path) -> None:
    """Decision 8: date, length, both ends and the index are equal; what is compared counts."""
    content = video(BIG)
    saved, starts, count = _two_addresses(tmp_path, content, content)
    assert saved.joined
    cut_at = 2 * WITNESS_BYTES + 12_345
    assert starts == [0, cut_at - WITNESS_BYTES]
    assert count == BIG - cut_at + 2 * WITNESS_BYTES


def test_the_whole_index_is_compared_wherever_it_lies(tmp_path: Path) -> None:
    """Decision 8: a byte of a long index differs beyond the first MiB: taken from 0."""
    moov_bytes = WITNESS_BYTES + 200_000
    old = video(BIG, moov_bytes=moov_bytes)
    new = bytearray(old)
    same, starts, _ = _two_addresses(tmp_path, old, old)
    assert same.joined
    assert starts[:2] == [0, 24]
    new[WITNESS_BYTES + 100_000] ^= 1
    saved, starts, _ = _two_addresses(tmp_path, old, bytes(new))
    assert not saved.joined
    assert starts[-1] is None


@pytest.mark.parametrize("at", [100, 2 * WITNESS_BYTES])
def test_generations_of_equal_size_and_date_are_not_mixed(tmp_path: Path, at: int) -> None:
    """Decision 8: a difference at the beginning, or before the cut, is found."""
    old = video(BIG)
    new = bytearray(old)
    new[at] ^= 1
    saved, _, _ = _two_addresses(tmp_path, old, bytes(new))
    assert not saved.joined


def test_an_index_behind_the_cut_forbids_joining(tmp_path: Path) -> None:
    """Decision 8: pictures of one generation under an index of another would never show."""
    ftyp = (24).to_bytes(4, "big") + b"ftypisom" + bytes(12)
    noise = random.Random(5).randbytes(BIG - 24 - 8 - 1000)
    old = ftyp + (len(noise) + 8).to_bytes(4, "big") + b"mdat" + noise
    old += (1000).to_bytes(4, "big") + b"moov" + bytes(992)
    saved, starts, _ = _two_addresses(tmp_path, old, old)
    assert not saved.joined
    assert starts == [None]


def test_a_flash_video_has_no_index_to_compare(tmp_path: Path) -> None:
    """Decision 8: both ends of an FLV are enough."""
    content = b"FLV\x01\x05\x00\x00\x00\x09" + random.Random(3).randbytes(BIG)
    saved, _, _ = _two_addresses(tmp_path, content, content)
    assert saved.joined


def test_an_unknown_date_forbids_joining(tmp_path: Path) -> None:
    """Decision 8: without a strong ETag and without a date it starts from 0."""
    content = video(BIG)
    before = content[: 2 * WITNESS_BYTES]

    async def body(b: Bench) -> None:
        saved = await b.fetch(b.saved(before, None, source="other", total=BIG))
        assert b.content == content
        assert not saved.joined
        assert [r.start for r in b.server.requests] == [None]

    bench(tmp_path, File(content, None), body, before=before)
