"""What fuzzing begins with: small good inputs, and every input that was ever a finding."""

from __future__ import annotations

from pathlib import Path

MEDIA = Path(__file__).parent.parent.parent / "archiver" / "emulator" / "media"

SEEDS: dict[str, tuple[bytes, ...]] = {
    "api": (
        b'{"downloadable":{"status":"available","download_url":"https://a/f?s","expires_at":1}}',
        b'{"videos":[{"id":"7","title":"T","length":"1.5","file_size":"9","created_at":157183}]}',
        b'{"videos":[{"id":7,"links":{"channel":{"href":"/channels/1.json"}}}]}',
        b'{"videos":{"a":{"id":7,"channel":{"id":"1","title":"C"}}},"paging":{"item_count":1}}',
        b'{"videos":[{"id":7}],"paging":{"next":{"href":"https://a.example/x?p=2"}}}',
        b'{"channels":{"1":{"id":1,"authority":{"reason":"shared"}}},"paging":{}}',
        b'{"access_token":"abc","expires_in":"86400"}', b'{"error":"invalid_client"}', b"[]", b"{}",
    ),
    "more": (
        b'{"video":{"id":"7","thumbnail":{"image_320x180":"https://a/b?c"},"locks":[]}}',
        b'{"captions":[{"language":"en-00","status":"active"},{"language":"../x"}]}',
        b'{"metadata":[{"field_id":"71","value":"x"}],"fields":[{"id":71,"name":"N"}]}',
        b'{"labels":{"8":{"label_id":"8","label_name":"a"}}}', b"WEBVTT\n\n", b"\xff\xd8\xff\xd9",
        b'{"labels":null,"captions":1e999,"fields":[NaN]}',
    ),
    "head": (
        b'206\n100\nbytes 95-194/195\n"a"\nMon, 23 Nov 2026\n\nvideo/mp4\n100\n195\n"a"\n',
        b"200\n195\n\n\n\ngzip\ntext/html\n0\n0", b"416\n\nbytes */100\n\n\n\n\n100\n100",
    ),
    "pace": (
        b"5000\n12\n1790000060\n30\nMon, 23 Nov 2026 02:00:00 GMT", b"\n0\n1790000060000\n-1",
        b"\x1e0\n\x1f7\n\x1c9", b"x\n1e9\nnan\nMon, 23 Nov 2026 02:00:00 GMT",
    ),
    "boxes": (
        (MEDIA / "sample.mp4").read_bytes()[:3000], (MEDIA / "sample.flv").read_bytes()[:3000],
        b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\1mdat\0\0\0\0\0\0\0\x11.", b"WEBVTT\n",
    ),
    "names": (
        b"Council meeting 4", "\U0001f389 e\u0301 \u202e CON. ".encode(),
        b"{date} {title} [{id}]", b"../../etc/passwd",
    ),
    "words": (
        b"channel:12", b"https://video.ibm.com/recorded/7", b"30d", b"20M", b"5%", b"2026-11-23",
        b"html@7:0.5", b"# a\naccount\n", b"(a+)+$",
    ),
    "files": (
        b"0" * 64 + b"  data/a/b.mp4\n",
        b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:40 / /srv\\040x rw shared:1 - nfs4 n rw\n",
        b'{"pid": 7, "started": 1.5, "host": "a"}', b'downloads = 3\nclient_secret = "s3cr"\n',
        b'{"archive":{"video_id":"7","format":"mp4","version":1,"sha256":"00"}}',
    ),
    "asked": (b'bytes=0-5\n"a"\n100', b"bytes=-5\n\n100", b"bytes=7-\n\n9"),
}  # fmt: skip
