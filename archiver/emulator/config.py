"""What kind of vendor the emulator plays: every knob, with its unit and the vendor's own value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SecretStyle = Literal["body", "raw-basic", "basic"]


@dataclass(frozen=True, slots=True)
class EmulatorConfig:
    """The settings of one emulated vendor.

    Attributes:
        seed: of everything drawn by chance; equal seeds make equal accounts and equal misfortune.
        videos: how many, spread over the channels.
        channels: how many; of three or more, the last is shared with the account, not owned.
        playlists: how many, spread over the channels.
        page_videos: most videos that one page of a listing holds, however many are asked for.
        size: least and largest bytes of an MP4; one below the sample's 13 kB means the sample's.
        generation_s: shortest and longest time that preparing a file takes.
        window_s: life of a download address; infinity makes ``expires_at`` null.
        line_bytes_s: what all downloads together get; None: as fast as it goes.
        rate_limit: calls of the limited endpoints in a period; None: no limit.
        rate_period_s: length of that period.
        rate_headers: whether limited answers carry ``X-RateLimit-…``.
        token_life_s: life of an access token.
        secret_style: the one way of sending the client secret that is accepted.
        faults: misfortunes, as ``archiver.emulator.faults`` reads them.
        host: address to listen on.
        port: of the API and token endpoint; 0 takes a free one.
        download_port: of the download host; 0 takes a free one.
        clock_skew_s: how far the vendor's clock is ahead of ours.
        private_share: part of the videos that are private.
        newest_at: Unix seconds of the newest video; None: a fixed day of 2025.  Where it is given,
            some videos are recordings that the vendor deletes thirty days later.
        slow_answer_s: how long the fault ``slow-answer`` holds an answer back.
        slow_bytes_s: rate of a download under the fault ``slow``.
        stall_s: how long the fault ``stall`` keeps a silent connection open.
    """

    seed: int = 1
    videos: int = 12
    channels: int = 2
    playlists: int = 2
    page_videos: int = 50
    size: tuple[int, int] = (1_000_000, 4_000_000)
    generation_s: tuple[float, float] = (0.3, 2.0)
    window_s: float = 86_400.0
    line_bytes_s: float | None = None
    rate_limit: int | None = None
    rate_period_s: float = 60.0
    rate_headers: bool = True
    token_life_s: float = 86_400.0
    secret_style: SecretStyle = "body"  # noqa: S105 - the name of a way, no secret
    faults: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 0
    download_port: int = 0
    clock_skew_s: float = 0.0
    private_share: float = 0.25
    newest_at: float | None = None
    slow_answer_s: float = 1.0
    slow_bytes_s: float = 65_536.0
    stall_s: float = 3_600.0
