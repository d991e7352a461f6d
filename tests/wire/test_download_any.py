"""Any host, any change of its file, any cut: what is fetched is the host's file, byte for byte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.core.model import Saved
from archiver.core.resume import WITNESS_BYTES
from tests.wire.download_bench import DATE, Bench, bench, video
from tests.wire.raw_server import File, Reply, Request

LONG = 3 * WITNESS_BYTES + 200_000
OLD = video(LONG)
OTHER_DATE = "Tue, 24 Nov 2026 02:00:00 GMT"


@dataclass(frozen=True)
class World:
    """A host, and what became of its file since the part was saved.

    ``change``: None, "all", "grown", or the place of the one byte that differs.
    """

    cut: int
    change: int | str | None
    etag: str  # none, weak, strong, node (another one with each answer)
    dated: bool
    redated: bool  # a change shows in the date
    ranges: bool
    if_range: bool
    moved: bool

    @property
    def new(self) -> bytes:
        """The file as it is now."""
        if isinstance(self.change, int):
            at = self.change
            return OLD[:at] + bytes([OLD[at] ^ 1]) + OLD[at + 1 :]
        return {None: OLD, "all": video(LONG, 2), "grown": OLD + b"x"}[self.change]

    def etag_of(self, content: bytes, count: int) -> str | None:
        """What the host calls *content* in its *count*-th answer."""
        strong = f'"{hashlib.sha256(content).hexdigest()}"'
        return {"none": None, "weak": 'W/"v"', "strong": strong, "node": f'"{count}"'}[self.etag]

    @property
    def hides(self) -> bool:
        """Nothing that a client can see without fetching everything tells new from old.

        Another strong ETag alone does not, where the host takes no notice of If-Range: nodes of
        one network give equal bytes different ones.
        """
        at = self.change
        is_out_of_sight = isinstance(at, int) and WITNESS_BYTES <= at < self.cut - WITNESS_BYTES
        is_told = self.etag == "strong" and self.if_range
        return is_out_of_sight and not is_told and not (self.dated and self.redated)


WORLDS = st.builds(
    World,
    cut=st.one_of(st.integers(1, LONG - 1), st.integers(2 * WITNESS_BYTES, LONG - 1)),
    change=st.one_of(st.sampled_from([None, "all", "grown"]), st.integers(100, LONG - 1)),
    etag=st.sampled_from(["none", "weak", "strong", "node"]),
    dated=st.booleans(), redated=st.booleans(), ranges=st.booleans(), if_range=st.booleans(),
    moved=st.booleans(),
)  # fmt: skip


@settings(max_examples=20)
@given(world=WORLDS)
def test_what_is_fetched_is_the_hosts_file(
    tmp_path_factory: pytest.TempPathFactory, world: World
) -> None:
    """Decision 8: made of two only where nothing that was compared could show it."""
    new = world.new
    date = DATE if world.dated else None
    now = OTHER_DATE if world.dated and world.redated and new != OLD else date
    asked: list[Request] = []

    def host(request: Request) -> Reply:
        asked.append(request)
        etag = world.etag_of(new, len(asked))
        file = File(new, etag, now, ranges=world.ranges, if_range=True)
        if not world.if_range:  # it knows ranges and takes no notice of the condition
            kept = {k: v for k, v in request.headers.items() if k != "if-range"}
            request = Request(request.method, request.target, kept, request.connection)
        return file(request)

    async def body(b: Bench) -> Saved:
        source = {"source": "other"} if world.moved else {}
        saved = b.saved(
            OLD[: world.cut], world.etag_of(OLD, 0), total=LONG, last_modified=date, **source
        )
        done = await b.fetch(saved)
        assert done.bytes == done.total == len(b.content)
        if b.content != new:
            assert world.hides
            assert b.content == OLD[: world.cut] + new[world.cut :]
            assert done.joined is world.moved
        return done

    bench(tmp_path_factory.mktemp("any"), host, body, before=OLD[: world.cut])
