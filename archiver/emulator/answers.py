"""The vendor's JSON for the things of an account, with the odd kinds seen in real answers.

Identifiers, ``length`` and ``file_size`` are strings; times are Unix seconds; ``locks`` and
``stats`` are ``[]`` where an object is meant, ``chapters`` is ``{}`` where a list is.
Source: the API reference, "Finding the videos" and "What else belongs to a video".
"""

from __future__ import annotations

from typing import Any

from archiver.emulator.account import METADATA_FIELDS, Channel, Playlist, Video

Json = dict[str, Any]
THUMBNAILS = ("320x180", "640x360", "1280x720", "1920x1080")


def _plain(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def listed_video(video: Video, file_size: int, api_url: str, download_url: str) -> Json:
    """A video as a listing shows it.

    Args:
        video: which.
        file_size: what the listing says, true or not.
        api_url: for the links.
        download_url: where thumbnails lie.
    """
    picture = f"{download_url}/thumbnail/{video.id}"
    links: Any = []
    if video.channel_id is not None:
        href = f"{api_url}/channels/{video.channel_id}.json"
        links = {"channel": {"href": href, "id": str(video.channel_id)}}
    odd = video.id % 2 == 0
    return {
        "id": str(video.id),
        "title": video.title,
        "description": video.description,
        "url": f"https://video.ibm.com/recorded/{video.id}",
        "length": "0" if video.recording else _plain(video.length_s),
        "created_at": video.created_at,
        "added_at": video.added_at,
        "file_size": "0" if video.recording else str(file_size),
        "views": str(video.id % 1000),
        "protect": video.protect,
        "thumbnail": {
            "default": f"{picture}/320x180.jpg",
            **{f"image_{size}": f"{picture}/{size}.jpg" for size in THUMBNAILS},
        },
        "media_urls": {} if odd else [],
        "stats": [] if odd else {"views": video.id % 1000},
        "locks": [] if odd else {"delete": False},
        "links": links,
    }


def detailed_video(listed: Json, video: Video, look: int = 0) -> Json:
    """A video as its own page shows it.

    Args:
        look: how often it was looked at before: views grow, and addresses are signed anew.
    """
    chapters: Any = [_chapter(video, index) for index in range(len(video.chapters))]
    signed = {name: f"{url}?look={look}" for name, url in listed["thumbnail"].items()}
    return {
        **listed,
        "views": str(video.id % 1000 + look),
        "thumbnail": signed,
        "owner": {"id": "4711", "username": "owner"},
        "chapters": chapters or {},
        "schedule": None,
        "tinyurl": f"https://ibm.co/{video.id:x}",
    }


def channel(channel_: Channel, api_url: str) -> Json:
    """A channel."""
    return {
        "id": str(channel_.id),
        "title": channel_.title,
        "picture": [],
        "url": f"https://video.ibm.com/channel/{channel_.name}",
        "authority": {"reason": "own" if channel_.own else "shared"},
        "links": {"videos": {"href": f"{api_url}/channels/{channel_.id}/videos.json"}},
    }


def playlist(playlist_: Playlist) -> Json:
    """A playlist, without its videos."""
    return {
        "id": str(playlist_.id),
        "title": playlist_.title,
        "channel_id": str(playlist_.channel_id),
        "video_count": len(playlist_.videos),
    }


def _chapter(video: Video, index: int) -> Json:
    title, position = video.chapters[index]
    return {"id": str(video.id * 100 + index), "title": title, "position": int(position)}


def captions(video: Video) -> Json:
    """The caption tracks."""
    return {
        "captions": [
            {
                "language": track.language,
                "is_default": track.is_default,
                "is_visible": track.is_visible,
                "status": track.status,
            }
            for track in video.captions
        ]
    }


def vtt(video: Video, language: str) -> str | None:
    """The text of a caption track, or None where there is none that is ready."""
    ready = (each for each in video.captions if each.status == "active")
    track = next((each for each in ready if each.language == language), None)
    if track is None:
        return None
    cues = [
        f"00:00:0{second}.000 --> 00:00:0{second}.900\n{language}: line {second} of {video.id}\n"
        for second in range(0, 6, 2)
    ]
    if track.edition > 1:
        cues.append(f"00:00:08.000 --> 00:00:09.000\ncorrected {track.edition - 1}\n")
    return "WEBVTT\n\n" + "\n".join(cues)


def record(video: Video, name: str) -> Json | None:
    """One of the small records of a video by the last part of its address; None: no such."""
    match name:
        case "captions":
            return captions(video)
        case "chapters":
            return {"chapters": [_chapter(video, index) for index in range(len(video.chapters))]}
        case "labels":
            return {"labels": _labels(video) or []}
        case "custom-metadata":
            return {
                "metadata": [_metadata(field, value) for field, value in video.metadata.items()]
            }
        case "expiration":
            if video.expires_at is None:
                return {"expiration": {"rule": "never"}}
            return {"expiration": {"rule": "at_given_time", "expires_at": video.expires_at}}
        case "audio/tracks":
            return {"tracks": _tracks(video)}
        case _:
            return None


def _tracks(video: Video) -> list[Json]:
    """The sound; of every third video there is a second track."""
    first = {"id": str(video.id * 10), "language": "en", "title": "Original", "is_default": True}
    if video.id % 3:
        return [first]
    second = {"id": str(video.id * 10 + 1), "language": "de", "title": "Deutsch"}
    return [first, {**second, "is_default": False}]


def odd_captions(record: Json) -> Json:
    """Tracks of languages that are no words, after those that there are."""
    odd = ("../../../users/self", "..", "en/../..", "en?x=1", "", "a" * 5_000, None, "e\r\nn")
    return {"captions": [*record["captions"], *({"language": o, "status": "active"} for o in odd)]}


def _labels(video: Video) -> Json:
    return {
        str(800 + index): {
            "label_id": str(800 + index),
            "label_name": label,
            "label_color": "#1192e8",
        }
        for index, label in enumerate(video.labels)
    }


def _metadata(field: int, value: str) -> Json:
    return {"field_id": str(field), "value": value}


def metadata_fields() -> Json:
    """The names of the custom fields."""
    fields = [{"id": str(i), "name": name, "type": "text"} for i, name in METADATA_FIELDS.items()]
    return {"fields": fields, "paging": {}}
