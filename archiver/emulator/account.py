"""The account of the emulated owner: channels, playlists and videos, drawn from a seed.

Titles are of the kinds that owners write and disks trip over.  Nothing here knows a time of day:
dates are counted back from the settings' ``newest_at``, else from ``EPOCH``, so that equal seeds
make equal accounts on any day.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from archiver.emulator.config import EmulatorConfig
from archiver.emulator.media import FIRST, Edition

EPOCH = 1_756_000_000  # a day in August 2025: the newest video of a fresh account
FIRST_ID = 124_347_000
STORED_BYTES_S = 206_000  # 1.65 Mbit/s, in the middle of what was seen of the real service

PLAIN = (
    "Morning service",
    "Council meeting",
    "Product launch",
    "Keynote: the next ten years",
    "Live from the studio",
    "Interview with the team",
    "Match day",
    "Training, part {n}",
    "Quarterly results Q{n}",
)
ODD = (
    "Gäste & Gespräche — Frühling",
    "東京からの生中継 第{n}回",
    "Прямой эфир {n}",
    "مؤتمر صحفي مباشر",
    "🎉 Launch party 👩‍👩‍👧‍👦 #{n}",
    "../../etc/passwd",
    "..",
    "CON",
    "nul.mp4",
    'A/B test: C\\D <{n}> | "quoted" ? * 100%',
    "  leading and trailing  . ",
    "line\nbreak\tand\ttab",
    "e\u0301t\u00e9 in two normal forms",
    "right\u202eto left\u200b zero width",
    "-rf {n}",
    "~/.ssh/id_{n}",
    "",
    "A very long title " + "that goes on and on " * 20 + "{n}",
    "🐈" * 80,
    "<script>alert({n})</script>",
    "%2e%2e%2f {n}",
)


@dataclass(slots=True)
class Caption:
    """One caption track."""

    language: str
    is_default: bool = False
    is_visible: bool = True
    status: str = "active"
    edition: int = 1  # counts what its text has been


@dataclass(slots=True)
class Channel:
    """A channel; ``own`` is False where it is another account's, shared with this one."""

    id: int
    title: str
    name: str
    own: bool = True


@dataclass(slots=True)
class Playlist:
    """A playlist of a channel; ``videos`` in the owner's order."""

    id: int
    title: str
    channel_id: int
    videos: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Video:
    """A video as the vendor keeps it.

    Attributes:
        size: bytes wanted of its MP4 and FLV.
        edition: which bytes; a replacement and some faults change it.
        also_in: further channels that list it.
        recording: a broadcast that still runs: length and file size of nothing.
        expires_at: when the vendor deletes the video itself; None: never.
        rank: its place in listings, newest first.
        pictures: counts the thumbnails that the owner chose in place of the first.
    """

    id: int
    title: str
    channel_id: int | None
    size: int
    length_s: float
    added_at: int
    created_at: int
    protect: str = "public"
    description: str = ""
    edition: Edition = FIRST
    also_in: list[int] = field(default_factory=list)
    recording: bool = False
    expires_at: int | None = None
    captions: list[Caption] = field(default_factory=list)
    chapters: list[tuple[str, float]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    metadata: dict[int, str] = field(default_factory=dict)
    rank: float = 0.0
    pictures: int = 0


METADATA_FIELDS = {71: "Department", 72: "Retention class"}


@dataclass(slots=True)
class Account:
    """Everything the credentials see; dictionaries keep the order of making."""

    channels: dict[int, Channel] = field(default_factory=dict)
    playlists: dict[int, Playlist] = field(default_factory=dict)
    videos: dict[int, Video] = field(default_factory=dict)


def _title(chance: random.Random, index: int) -> str:
    # The odd ones come in turn, so that forty videos hold every kind whatever the seed.
    title = ODD[index // 2 % len(ODD)] if index % 2 else chance.choice(PLAIN)
    return title.replace("{n}", str(index + 1))


def _captions(chance: random.Random) -> list[Caption]:
    if chance.random() > 0.35:
        return []
    tracks = [Caption("en-00", is_default=True)]
    if chance.random() < 0.5:
        tracks.append(Caption("de-DE", is_visible=False))
    if chance.random() < 0.2:
        tracks.append(Caption("ja-00", status="processing"))
    return tracks


def _video(config: EmulatorConfig, chance: random.Random, index: int, channel_id: int) -> Video:
    size = chance.randint(*config.size)
    newest = int(config.newest_at or EPOCH)
    added = newest - index * chance.randint(20_000, 90_000)
    video = Video(
        id=FIRST_ID + index * 313 + chance.randrange(300),
        title=_title(chance, index),
        channel_id=channel_id,
        size=size,
        length_s=round(size / STORED_BYTES_S, 3),
        added_at=added,
        created_at=added - chance.choice((0, 0, 0, 86_400 * 400)),
        protect="private" if chance.random() < config.private_share else "public",
        description="Recorded live.\n" if chance.random() < 0.5 else "",
        captions=_captions(chance),
        rank=float(added),
    )
    if chance.random() < 0.25:
        video.chapters = [("Welcome", 0.0), ("Questions & answers", video.length_s / 2)]
    if chance.random() < 0.25:
        video.labels = ["archive", "✔ reviewed"]
    if chance.random() < 0.25:
        video.metadata = {71: "Communication", 72: "permanent"}
    if chance.random() < 0.15:
        video.expires_at = int(
            newest + 30 * 86_400 if config.newest_at else newest + 10 * 365 * 86_400
        )
    return video


def make_account(config: EmulatorConfig) -> Account:
    """Draws an account from the seed of the settings."""
    chance = random.Random(f"account {config.seed}")
    account = Account()
    for index in range(config.channels):
        id_ = 23_711_860 + index * 17
        shared = config.channels >= 3 and index == config.channels - 1
        title = ("Town hall", "Sport & Spiel ⚽", "News/Aktuell", "Partner: labs")[index % 4]
        title = title if index < 4 else f"{title} {index + 1}"
        account.channels[id_] = Channel(id_, title, f"channel-{index + 1}", own=not shared)
    channels = list(account.channels)
    for index in range(config.videos if channels else 0):
        video = _video(config, chance, index, channels[index % len(channels)])
        account.videos[video.id] = video
    for index in range(config.playlists if channels else 0):
        channel_id = channels[index % len(channels)]
        members = [video.id for video in account.videos.values() if chance.random() < 0.4]
        id_ = 590_100 + index
        account.playlists[id_] = Playlist(id_, f"Best of {index + 1}", channel_id, members)
    return account
