"""Gives small files their names, each once: what changed becomes a revision beside what was.

Rule: a file is written down before it gets its name and recorded after it, so that a crash at any
instant leaves nothing in the bag that no record names (``care.recover`` takes over the rest).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import anyio

from archiver.core.model import DESCRIPTIONS, Holding, VideoId
from archiver.core.naming import file_name
from archiver.extras_ports import Files, Small
from archiver.ports import Clock


class Revisions:
    """The small files in one folder.

    Args:
        stem: how their names begin; "" for those of a channel.
    """

    def __init__(self, vault: Small, ledger: Files, clock: Clock, folder: str, stem: str) -> None:
        self._vault, self._ledger, self._clock = vault, ledger, clock
        self._folder, self._stem = folder, stem

    async def put(self, number: int, kind: str, variant: str, content: bytes, answer: str) -> None:
        """Store *content*, unless it is what the newest revision holds.

        Args:
            number: of the video or channel.
            answer: what need not be asked for again in this round, "" for nothing.

        Raises:
            DestinationError: the disk is full or refuses.
        """
        files = [held for held in await self._ledger.extra_files(number) if held.kind == kind]
        own = [held for held in files if held.variant == variant or kind != "caption"]
        sha256, now = hashlib.sha256(content).hexdigest(), self._clock.now()
        for held in own:
            if held.sha256 == sha256:
                await self._bring_back(held, content)
        last = max(own, key=lambda held: held.version, default=None)
        if last is not None and last.sha256 == sha256:
            if answer:
                await self._ledger.keep_answer(number, answer, json.dumps(sha256), now)
            return
        first = 2 if kind == "details" else 1  # the first description came with the video
        version = first if last is None else last.version + 1
        path = f"{self._folder}/{file_name(self._stem, kind, variant, version)}"
        size = len(content)
        text = content if kind in DESCRIPTIONS else b""
        wanted = Holding(
            VideoId(number), kind, variant, version, path, size, sha256, now, text=text
        )
        # Cut off half-way, a file would stand in the bag that no manifest knows.
        with anyio.CancelScope(shield=True):
            await self._ledger.intend(wanted)
            named = await self._vault.put_small(path, content)
            await self._ledger.placed(replace(wanted, path=named.path), answer, now)

    async def _bring_back(self, held: Holding, content: bytes) -> None:
        """Put a recorded file in its place again, if it is lost.

        What stands there instead, perhaps by somebody's hand, stays unless a repair was asked for.
        """
        if not await self._vault.is_reachable(held.path):
            return
        stands = await self._vault.secured(held)
        lost = {each.path for each in await self._ledger.lost(held.video_id)}
        if held.path not in lost and stands is not None:
            return
        if not stands:
            await self._vault.restore_small(held, content)
        await self._ledger.regain(held, self._clock.now())

    async def told(self, last: Holding | None) -> Mapping[str, object]:
        """What a description said when it was recorded; nothing where that cannot be found out."""
        if last is None:
            return {}
        text = await self._ledger.text(last.path)
        if text is None and await self._vault.is_reachable(last.path):
            is_whole = await self._vault.state_of(last)
            text = await self._vault.read_small(last.path) if is_whole else None
        return document_of(text or b"")


def document_of(text: bytes) -> Mapping[str, object]:
    """What a small JSON file says; nothing where it is damaged."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def newest(files: Sequence[Holding], version: int) -> Holding | None:
    """The newest description among *files* of a video's *version*."""
    told = [
        held
        for held in files
        if held.kind == "details" or (held.kind == "info" and held.version == version)
    ]
    return max(told, key=lambda held: (held.stored_at, held.version), default=None)
