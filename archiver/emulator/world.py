"""The vendor in memory: an account, files being prepared, links that die, tokens, a quota.

Rule 1: no clock.  Every call that depends on time takes ``now``, the vendor's Unix seconds.
Rule 2: deterministic.  The same seed and the same calls give the same answers.
Rule 3: nothing here knows HTTP; ``archiver.emulator.server`` is a door to this world.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

from archiver.core.model import Format
from archiver.emulator.account import STORED_BYTES_S, Account, Caption, Video, make_account
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.faults import Faults
from archiver.emulator.media import Content, Edition

Status = Literal["pending", "available", "unavailable"]
FORMATS: tuple[Format, ...] = ("mp4", "flv")


@dataclass(slots=True)
class Version:
    """One prepared (or being prepared) file of a video, and its address.

    Attributes:
        ready_at: when it becomes available; infinity: never.
        expires_at: when its address dies; infinity: it does not run out.
        content: the bytes as they were when the file was prepared.
        path: of the address; opaque, as the real one's.
        last_modified: of the source, so equal for two generations of the same video.
        fetched: somebody has got its last byte.
        seen: it was answered as available.
        link_alive: False once a fault has killed the address early.
        told: an answer carried an ETag that promises equal bytes, or a date.
        passed_over: ranges that were answered with the whole file; a request for one of them
            may be held up for long before it is answered.
    """

    video_id: int
    format: Format
    generation: int
    asked_at: float
    ready_at: float
    expires_at: float
    content: Content
    path: str
    last_modified: float
    fetched: bool = False
    seen: bool = False
    link_alive: bool = True
    told: bool = False
    passed_over: set[str] = field(default_factory=set)

    def status(self, now: float) -> Status:
        """The vendor's word for it."""
        if now >= self.expires_at or not self.link_alive:
            return "unavailable"
        return "available" if now >= self.ready_at else "pending"


class World:
    """One emulated vendor.

    Attributes:
        account: channels, playlists and videos.
        faults: the misfortunes and their counters.
        versions: every file ever prepared, oldest first.
        posts: (video, format) -> requests for a file.
        polls: (video, format) -> status calls.

    Args:
        config: what kind of vendor.
    """

    def __init__(self, config: EmulatorConfig | None = None) -> None:
        self.config = config or EmulatorConfig()
        self.account: Account = make_account(self.config)
        self.faults = Faults(self.config.faults, self.config.seed)
        self.versions: list[Version] = []
        self.addresses: dict[str, Version] = {}
        self.posts: Counter[str] = Counter()
        self.polls: Counter[str] = Counter()
        self._current: dict[tuple[int, Format], Version] = {}
        self._generations: Counter[tuple[int, Format]] = Counter()
        self._known: dict[tuple[int, Format], list[Content]] = {}
        self._chance = random.Random(f"world {self.config.seed}")
        self._key = hashlib.sha256(f"signature {self.config.seed}".encode()).digest()
        self._new_ids = 990_000_000

    # The account changes

    def add_video(
        self,
        *,
        title: str = "A new video",
        channel_id: int | None = None,
        size: int = 100_000,
        now: float | None = None,
        protect: str = "public",
        recording: bool = False,
    ) -> Video:
        """A video appears, the newest of its channel (the first channel where none is named)."""
        self._new_ids += 1
        newest = max((video.rank for video in self.account.videos.values()), default=0.0)
        added = int(newest + 1 if now is None else now)
        video = Video(
            id=self._new_ids,
            title=title,
            channel_id=next(iter(self.account.channels), None)
            if channel_id is None
            else channel_id,
            size=size,
            length_s=round(size / STORED_BYTES_S, 3),
            added_at=added,
            created_at=added,
            protect=protect,
            recording=recording,
            rank=max(newest + 1, float(added)),
        )
        self.account.videos[video.id] = video
        return video

    def replace_video(
        self, video_id: int, *, size: int | None = None, length_s: float | None = None
    ) -> None:
        """The owner uploads another file in its place; what was prepared is forgotten."""
        video = self.account.videos[video_id]
        video.size = video.size if size is None else size
        video.length_s = round(video.size / STORED_BYTES_S, 3) if length_s is None else length_s
        video.edition = Edition(replaced=video.edition.replaced + 1)
        for format_ in FORMATS:
            self._current.pop((video_id, format_), None)

    def rename_video(self, video_id: int, title: str) -> None:
        """The owner changes the title."""
        self.account.videos[video_id].title = title

    def finish_caption(self, video_id: int, language: str) -> None:
        """A caption track that was being made is ready; one that was not there is, too."""
        self._caption(video_id, language).status = "active"

    def edit_caption(self, video_id: int, language: str) -> None:
        """The owner corrects a caption's text."""
        self._caption(video_id, language).edition += 1

    def _caption(self, video_id: int, language: str) -> Caption:
        tracks = self.account.videos[video_id].captions
        for track in tracks:
            if track.language == language:
                return track
        tracks.append(Caption(language))
        return tracks[-1]

    def new_picture(self, video_id: int) -> None:
        """The owner chooses another thumbnail."""
        self.account.videos[video_id].pictures += 1

    def label_video(self, video_id: int, label: str) -> None:
        """The owner puts a label on it."""
        self.account.videos[video_id].labels.append(label)

    def delete_video(self, video_id: int) -> None:
        """The video is gone: from listings, from the API, and its addresses die."""
        del self.account.videos[video_id]
        for playlist in self.account.playlists.values():
            playlist.videos = [member for member in playlist.videos if member != video_id]
        for version in self.versions:
            if version.video_id == video_id:
                version.link_alive = False

    def bump_video(self, video_id: int) -> None:
        """The video moves to the top of the listings, and so to another page."""
        self.account.videos[video_id].rank = 1 + max(
            video.rank for video in self.account.videos.values()
        )

    # Downloadable versions

    def request(self, video_id: int, format_: Format, now: float) -> Version:
        """Asks for a file: begins to prepare one unless one is pending or available.

        Raises:
            KeyError: there is no such video.
        """
        self.posts[f"{video_id}/{format_}"] += 1
        video = self.account.videos[video_id]
        current = self._current.get((video_id, format_))
        if current is not None and current.status(now) != "unavailable":
            return current
        ready_at = now + self._chance.uniform(*self.config.generation_s)
        if video.recording or self.faults.strikes("pending-forever", f"{video_id}/{format_}"):
            ready_at = math.inf
        self._generations[video_id, format_] += 1
        generation = self._generations[video_id, format_]
        version = Version(
            video_id=video_id,
            format=format_,
            generation=generation,
            asked_at=now,
            ready_at=ready_at,
            expires_at=ready_at + self.config.window_s,
            content=self.content(video_id, format_),
            path=self._signed(f"{video_id} {format_} {generation}")[:40],
            last_modified=video.added_at + video.edition.replaced,
        )
        self.versions.append(version)
        self.addresses[version.path] = version
        self._current[video_id, format_] = version
        return version

    def poll(self, video_id: int, format_: Format) -> Version | None:
        """The current file, or None where none was asked for.

        Raises:
            KeyError: there is no such video.
        """
        self.polls[f"{video_id}/{format_}"] += 1
        self.account.videos[video_id]
        return self._current.get((video_id, format_))

    def forget(self, video_id: int, format_: Format) -> None:
        """Nobody remembers that the file was ever asked for; its address lives on."""
        self._current.pop((video_id, format_), None)

    def query(self, version: Version) -> str:
        """The signed query of a version's address."""
        expires = "never" if math.isinf(version.expires_at) else str(int(version.expires_at))
        return f"e={expires}&s={self._signed(f'{version.path} {expires}')}"

    def address(self, path: str, expires: str, signature: str, now: float) -> Version | None:
        """The version behind an address, or None for one that is false or has run out."""
        version = self.addresses.get(path)
        if version is None or not hmac.compare_digest(
            signature.encode(), self._signed(f"{path} {expires}").encode()
        ):
            return None
        return version if version.status(now) == "available" else None

    def is_late(self, path: str, now: float) -> bool:
        """The address was a good one, and its time is over."""
        version = self.addresses.get(path)
        return version is not None and now >= version.expires_at

    def _signed(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    # Bytes

    def content(self, video_id: int, format_: Format) -> Content:
        """The bytes that a file prepared now would have.

        Raises:
            KeyError: there is no such video.
        """
        video = self.account.videos[video_id]
        known = self._known.setdefault((video_id, format_), [])
        made = Content(video_id, video.edition, video.size, format_)
        if not known or known[-1].etag != made.etag:
            known.append(made)
        return known[-1]

    def contents(self, video_id: int, format_: Format) -> list[Content]:
        """All that the video's files have consisted of so far, the current last."""
        if video_id in self.account.videos:
            self.content(video_id, format_)
        return list(self._known.get((video_id, format_), ()))

    def regenerate(self, video_id: int, *, head: bool) -> None:
        """The next file will have equal size and other bytes, in ``head`` or in the body alone."""
        video = self.account.videos.get(video_id)
        if video is not None:
            old = video.edition
            video.edition = replace(old, head=old.head + head, body=old.body + (not head))

    def expired(self, now: float) -> int:
        """How many versions ran out, by the clock, before anybody fetched them."""
        return sum(
            version.link_alive and not version.fetched and now >= version.expires_at
            for version in self.versions
        )
