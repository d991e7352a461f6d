"""The tester tested: a program that is broken on purpose is found out by a few worlds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archiver.adapters.checking import Check
from archiver.adapters.download import HttpSource
from archiver.adapters.download_body import Body
from archiver.adapters.download_transfer import Transfer
from archiver.adapters.vendor import wire
from archiver.core.answer import Ask
from archiver.core.model import Downloadable, Link, Saved
from archiver.emulator.faults import FAULTS as VENDOR_FAULTS
from archiver.errors import BrokenError
from archiver.ports import Part, Progress
from tests.sim.http_drawn import CRASH, UNPUNCTUAL, draw
from tests.sim.http_world import lived

SEEDS = range(4)


def worlds(*faults: str, line_bytes_s: float = 300_000.0, window_s: float = 86_400.0) -> str:
    """The first failure in a few worlds with large files and these misfortunes; "" for none."""
    named = frozenset(fault.rstrip("!") for fault in faults)
    specs = tuple(
        fault if fault.endswith("!") else f"{fault}:0.5"
        for fault in faults
        if fault.rstrip("!") in VENDOR_FAULTS
    )
    for seed in SEEDS:
        drawn = draw(seed, named)
        config = replace(
            drawn.config, videos=3, channels=1, line_bytes_s=line_bytes_s, window_s=window_s,
            rate_limit=None, rate_headers=True, generation_s=(0.5, 2.0),
        )  # fmt: skip
        world = replace(
            drawn, config=config, sizes=(1_900_000, 1_800_000, 100_000), limit_rate=None,
            specs=specs, crashes=4, nights=3, downloads=2, is_punctual=not named & UNPUNCTUAL,
            extras=False,
        )  # fmt: skip
        failure = lived(world).failure
        if failure:
            return failure
    return ""


def without_if_range(patch: pytest.MonkeyPatch) -> None:
    honest = Ask.headers

    def headers(self: Ask) -> dict[str, str]:
        return {name: text for name, text in honest(self).items() if name != "If-Range"}

    patch.setattr(Ask, "headers", headers)


def with_the_token_everywhere(patch: pytest.MonkeyPatch) -> None:
    honest = Ask.headers
    token = {"Authorization": "Bearer 0123456789"}
    patch.setattr(Ask, "headers", lambda self: {**honest(self), **token})


def without_comparing(patch: pytest.MonkeyPatch) -> None:
    async def compare(self: Body, part: Part, start: int, end: int) -> bytes:
        while start < end:
            piece = await self.piece()
            if not piece:
                return b""
            start += len(piece)
            if start > end:
                return piece[end - start :]
        return b""

    async def witness(self: Transfer) -> bool:
        return True

    patch.setattr(Body, "compare", compare)
    patch.setattr(Transfer, "_witness", witness)


def with_any_end_for_the_end(patch: pytest.MonkeyPatch) -> None:
    honest = HttpSource.fetch

    async def fetch(
        self: HttpSource, link: Link, saved: Saved, part: Part, report: Progress
    ) -> Saved:
        try:
            return await honest(self, link, saved, part, report)
        except BrokenError:
            return replace(saved, bytes=part.offset, total=part.offset)

    patch.setattr(HttpSource, "fetch", fetch)


def without_a_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Check, "go", lambda _: False)


def without_expiry(patch: pytest.MonkeyPatch) -> None:
    told = wire.downloadable

    def forgetful(body: bytes) -> Downloadable:
        answer = told(body)
        return answer if answer.link is None else replace(answer, link=Link(answer.link.url))

    patch.setattr(wire, "downloadable", forgetful)


@pytest.mark.slow
def test_nothing_is_found_in_the_honest_program() -> None:
    assert worlds("cut-with-length") == ""
    assert worlds("no-etag!", "regenerate-mdat") == ""
    assert worlds(CRASH, window_s=30.0) == ""


def test_a_client_that_joins_without_comparing_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Equal size, equal date, other bytes: only a comparison tells the generations apart.

    Where they differ in the index alone, the old one's beginning and the new one's end are the
    whole old file: nothing is mixed.
    """
    without_comparing(monkeypatch)
    assert "no file that the vendor ever served" in worlds("no-etag!", "regenerate-mdat")
    assert worlds("no-etag!", "regenerate-moov") == ""


def test_a_client_that_drops_if_range_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where nothing comes of it."""
    without_if_range(monkeypatch)
    assert "without If-Range" in worlds("cut-with-length")


def test_a_program_that_publishes_before_it_verifies_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Either of the two defences is enough; without both, half a file is archived."""
    with_any_end_for_the_end(monkeypatch)
    assert worlds("cut-with-length") == ""
    without_a_check(monkeypatch)
    assert "no file that the vendor ever served" in worlds("cut-with-length")


def test_a_client_that_sends_the_token_everywhere_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_the_token_everywhere(monkeypatch)
    assert "credential" in worlds()


def test_a_program_that_ignores_the_expiry_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows where a run finds what the run before, which was killed, had asked for."""
    without_expiry(monkeypatch)
    assert "after its address ran out" in worlds(CRASH, window_s=30.0)
