"""An answer of the API's origin before it is put on the wire, so that faults can still bend it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HTML = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Back soon.</body></html>"


@dataclass(slots=True)
class Answer:
    """A status, a body with its media type, and further headers."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def in_json(status: int, body: Any, headers: dict[str, str] | None = None) -> Answer:
    """An answer whose body is JSON."""
    return Answer(status, json.dumps(body).encode(), headers=headers or {})


def sent(answer: Answer) -> web.Response:
    """The answer as the library sends it."""
    headers = {"Content-Type": f"{answer.kind}; charset=utf-8", **answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)
