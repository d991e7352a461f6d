"""Makes the three small media files that the emulator grows its videos from.

Run once, the results are committed: ``python tools/make_media.py``.  They have to be real, since a
decoder judges what the archiver saved, and small, since they ship with the program.

The MP4 has ``ftyp``, a ``uuid`` box of zeros (the emulator writes the video's mark there, so that
no two videos begin alike), ``moov``, and ``mdat`` with 64 spare bytes at its end.  The FLV has a
script tag of zeros after its first one and at its end, for the same purposes.
"""

from __future__ import annotations

import io
import math
import struct
from fractions import Fraction
from pathlib import Path

import av

WIDTH, HEIGHT, RATE, SECONDS, SAMPLES = 160, 90, 10, 3, 22050
MARK = b"archiver-sample\0"  # 16 bytes: the type of the uuid box
SPARE = 64
TARGET = Path(__file__).resolve().parent.parent / "archiver" / "emulator" / "media"


def picture(index: int) -> av.VideoFrame:
    """One frame: a bright square that walks over a gradient."""
    luma = bytearray(
        (x + y * 2 + index * 3) % 160 + 16 for y in range(HEIGHT) for x in range(WIDTH)
    )
    for y in range(30, 60):
        left = y * WIDTH + (index * 4) % (WIDTH - 30)
        luma[left : left + 30] = b"\xeb" * 30
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, source in zip(
        frame.planes,
        (
            bytes(luma),
            bytes([128 + index]) * (WIDTH * HEIGHT // 4),
            b"\x60" * (WIDTH * HEIGHT // 4),
        ),
        strict=True,
    ):
        rows = plane.height
        row = len(source) // rows
        padded = b"".join(
            source[y * row : (y + 1) * row].ljust(plane.line_size, b"\0") for y in range(rows)
        )
        plane.update(padded[: plane.buffer_size].ljust(plane.buffer_size, b"\0"))
    frame.pts = index
    frame.time_base = Fraction(1, RATE)
    return frame


def tone() -> list[av.AudioFrame]:
    """Three seconds of a quiet 440 Hz."""
    frames = []
    for start in range(0, SAMPLES * SECONDS, 1024):
        angles = [2 * math.pi * 440 * (start + index) / SAMPLES for index in range(1024)]
        wave = struct.pack("<1024h", *(int(6000 * math.sin(angle)) for angle in angles))
        frame = av.AudioFrame("s16", "mono", 1024)
        frame.planes[0].update(wave.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = SAMPLES, start, Fraction(1, SAMPLES)
        frames.append(frame)
    return frames


def encode(container_format: str, options: dict[str, str]) -> bytes:
    """Encodes the film as H.264 and AAC into the named container."""
    target = io.BytesIO()
    with av.open(target, "w", format=container_format, options=options) as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "36", "preset": "slow"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLES, layout="mono")
        audio.bit_rate = 16000
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLES)
        sound = tone()
        for index in range(RATE * SECONDS):
            for packet in video.encode(picture(index)):
                container.mux(packet)
            until = (index + 1) * len(sound) // (RATE * SECONDS)
            for frame in sound[index * len(sound) // (RATE * SECONDS) : until]:
                for converted in resampler.resample(frame):
                    for packet in audio.encode(converted):
                        container.mux(packet)
        for stream in (video, audio):
            for packet in stream.encode(None):
                container.mux(packet)
    return target.getvalue()


def boxes(content: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    """The boxes between two offsets: (type, start, end)."""
    found = []
    while start < end:
        size = int.from_bytes(content[start : start + 4], "big")
        found.append((content[start + 4 : start + 8], start, start + size))
        start += size
    return found


def shift_chunk_offsets(content: bytearray, start: int, end: int, by: int) -> None:
    """Adds ``by`` to every chunk offset below the box whose children lie in [start, end)."""
    for kind, first, last in boxes(bytes(content), start, end):
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            shift_chunk_offsets(content, first + 8, last, by)
        elif kind == b"stco":
            count = int.from_bytes(content[first + 12 : first + 16], "big")
            for index in range(count):
                at = first + 16 + 4 * index
                offset = int.from_bytes(content[at : at + 4], "big") + by
                content[at : at + 4] = offset.to_bytes(4, "big")


def make_mp4() -> bytes:
    """The MP4 with its place for a mark, and ``moov`` before ``mdat``."""
    made = encode("mp4", {})
    parts = {kind: made[first:last] for kind, first, last in boxes(made, 0, len(made))}
    place = {kind: first for kind, first, _ in boxes(made, 0, len(made))}
    uuid = struct.pack(">I4s", 24 + SPARE, b"uuid") + MARK + bytes(SPARE)
    moov = bytearray(parts[b"moov"])
    body = parts[b"mdat"][8:]
    now_at = len(parts[b"ftyp"]) + len(uuid) + len(moov)
    shift_chunk_offsets(moov, 8, len(moov), now_at - place[b"mdat"])
    mdat = struct.pack(">I4s", 8 + len(body) + SPARE, b"mdat") + body + bytes(SPARE)
    return parts[b"ftyp"] + uuid + bytes(moov) + mdat


def make_flv() -> bytes:
    """The FLV with script tags of zeros, for marks, after its first tag and at its end."""
    made = encode("flv", {"flvflags": "+no_duration_filesize"})
    first_end = 13 + 11 + int.from_bytes(made[14:17], "big") + 4
    # The name and the null are what decoders take for a script that says nothing: any other name
    # makes them report a third stream.
    tag = b"\x02" + struct.pack(">H", 10) + b"onMetaData" + b"\x05" + bytes(SPARE)
    header = b"\x12" + len(tag).to_bytes(3, "big") + bytes(7)
    mark = header + tag + (11 + len(tag)).to_bytes(4, "big")
    return made[:first_end] + mark + made[first_end:] + mark


def make_jpg() -> bytes:
    """A still picture, for the thumbnails."""
    target = io.BytesIO()
    with av.open(target, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        still = picture(0)
        for packet in [*stream.encode(still.reformat(format="yuvj420p")), *stream.encode(None)]:
            container.mux(packet)
    return target.getvalue()


def main() -> None:
    """Writes the files beside the emulator."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("sample.mp4", make_mp4()),
        ("sample.flv", make_flv()),
        ("sample.jpg", make_jpg()),
    ):
        (TARGET / name).write_bytes(content)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
