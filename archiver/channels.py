"""Writes what the vendor says of a channel: its details, its playlists, and what is in them.

Rule 1: asked behind everything else, for channels that got something since they were asked about.
Rule 2: a channel that fails fails nothing: it is said, and asked for on another night.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Protocol

from archiver.core.extras import Playlist
from archiver.core.extras_document import channel_document, is_changed
from archiver.core.model import ChannelId, VideoId
from archiver.core.rounds import CHANNEL
from archiver.errors import Misfortune
from archiver.extras_ports import Files, Small
from archiver.observing import Observer
from archiver.ports import Clock
from archiver.purse import Purse, SpentError
from archiver.records.info import json_bytes
from archiver.revisions import Revisions, document_of


class Asks(Protocol):
    """The small calls about channels; each may raise a Misfortune, or AuthError."""

    async def channel(self, channel_id: ChannelId) -> str:
        """A channel's details, as JSON."""
        ...

    async def playlists(self, channel_id: ChannelId) -> tuple[Playlist, ...]:
        """A channel's playlists."""
        ...

    async def playlist_videos(self, playlist_id: int) -> tuple[VideoId, ...]:
        """What is in a playlist."""
        ...


class Memory(Files, Protocol):
    """What the ledger knows of channels."""

    async def channels_due(self, *, refresh: bool) -> list[tuple[int, str]]:
        """Number and folder of those that are to be asked about."""
        ...


class Channels:
    """The channels of one run."""

    def __init__(
        self, vendor: Asks, vault: Small, ledger: Memory, clock: Clock, purse: Purse,
        observer: Observer,
    ) -> None:  # fmt: skip
        self._vendor, self._vault, self._ledger = vendor, vault, ledger
        self._clock, self._purse, self._observer = clock, purse, observer

    async def gather(self, *, refresh: bool) -> None:
        """Ask about every channel that is due, one after the other.

        Raises:
            AuthError, DestinationError: a person must act.
        """
        for number, folder in await self._ledger.channels_due(refresh=refresh):
            try:
                await self._one(ChannelId(number), f"data/{folder}")
            except SpentError:
                return
            except Misfortune as problem:
                self._observer.said(
                    f"channel {number}: its details are left for another night: {problem}",
                    warning=True,
                )

    async def _one(self, number: ChannelId, folder: str) -> None:
        asked_at = self._clock.now()
        raw = await self._purse.call(lambda: self._vendor.channel(number))
        playlists = []
        for each in await self._purse.call(lambda: self._vendor.playlists(number)):
            videos = await self._videos(each)
            playlists.append(replace(each, videos=videos))
        text = json_bytes(channel_document(raw, playlists))
        files = [held for held in await self._ledger.extra_files(number) if held.kind == CHANNEL]
        last = max(files, key=lambda held: held.version, default=None)
        revisions = Revisions(self._vault, self._ledger, self._clock, folder, CHANNEL)
        if last is None or is_changed(await revisions.told(last), document_of(text)):
            await revisions.put(number, CHANNEL, "json", text, "")
        if await self._ledger.lost(number):
            await self._ledger.give_up(number, asked_at)
        await self._ledger.keep_answer(number, CHANNEL, json.dumps(raw), asked_at)

    async def _videos(self, playlist: Playlist) -> tuple[VideoId, ...]:
        return await self._purse.call(lambda: self._vendor.playlist_videos(playlist.id))
