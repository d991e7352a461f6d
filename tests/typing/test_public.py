"""What a program may rely on: names and types.  mypy checks this file; the test, the rest."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator
from importlib import import_module
from typing import assert_never, assert_type, get_args

import pytest

import archiver
from archiver import (
    Account,
    Archive,
    Filter,
    Instant,
    Run,
    RunEvent,
    RunOptions,
    Secret,
    Summary,
    events,
    load_account,
)
from archiver.archive import CatalogueRow, Check, PlanReport, StatusReport, VerifyReport
from archiver.records.history import Happening


async def everything(dest: str) -> None:
    """Never run: each call has the type that the page promises."""
    assert_type(load_account(), Account)
    account = Account(client_id="id", client_secret=Secret("secret"))
    wanted = RunOptions(filter=Filter(since=Instant(0.0), limit=3), downloads=2)
    async with Archive.open(dest, account=account) as archive:
        assert_type(archive, Archive)
        run = archive.run("channel:23711860", "124347309", options=wanted)
        assert_type(run, Run)
        async for event in run:
            assert_type(event, RunEvent)
            assert_type(told(event), str)
        assert_type(run.summary, Summary)
        assert_type(await archive.run().wait(), Summary)
        assert_type(await archive.plan("account"), PlanReport)
        assert_type(await archive.status(), StatusReport)
        assert_type(archive.videos(channel=1), AsyncGenerator[CatalogueRow, None])
        assert_type(archive.history(since=Instant(0.0)), AsyncGenerator[Happening, None])
        assert_type(await archive.verify(sample=0.05), VerifyReport)
        assert_type(await archive.retry(124347309), int)
        assert_type(await archive.doctor(), list[Check])


def told(event: RunEvent) -> str:
    """All kinds of events: a new one is an error here, for a program that knows them all breaks."""
    match event:
        case events.Note(text, warning):
            return f"{warning} {text}"
        case events.Selected(states):
            return f"{sum(states.values())}"
        case events.Downloading(key, title):
            return f"{key.video_id} {title}"
        case events.Received(key, count):
            return f"{key} {count}"
        case events.Moved(key, _, after):
            return f"{key} {after}"
        case events.Archived(_, holdings):
            return holdings[0].path
        case events.Postponed(key, _, reason):
            return f"{key} {reason}"
        case _:
            assert_never(event)


def test_every_public_name_is_there_and_explained() -> None:
    """``from archiver import ...`` brings each of them, with a docstring, and dir() shows them."""
    assert len({*archiver.__all__} - {"__version__"}) <= 16, "a front door, not a warehouse"
    for name in archiver.__all__:
        assert name in dir(archiver)
        if name not in ("__version__", "RunEvent", "Instant"):
            assert inspect.getdoc(getattr(archiver, name))
    assert set(archiver.__all__) - {"__version__"} == set(
        import_module("archiver.front_door").__all__
    )


def test_every_event_is_public_and_explained() -> None:
    """The union holds what ``archiver.events`` offers, and each says what it means."""
    for kind in get_args(RunEvent):
        assert kind.__name__ in events.__all__
        assert inspect.getdoc(kind)


def test_what_is_not_there_is_said_as_python_says_it() -> None:
    """A slip of the finger is an AttributeError with the name in it."""
    with pytest.raises(AttributeError, match="'Archiv'"):
        archiver.Archiv  # type: ignore[attr-defined]  # noqa: B018  the slip


def test_types_are_shipped() -> None:
    """Without its marker, a checker would ignore all of them (PEP 561)."""
    assert archiver.__file__ is not None
    assert (import_module("pathlib").Path(archiver.__file__).parent / "py.typed").exists()
