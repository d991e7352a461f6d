"""What the event log says of an event: JSON, fit for anybody to read.

Rule: of an address, only its host and its end; of what is stored, not its text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from archiver.adapters.ledger.rows import HOLDING, plain
from archiver.core.events import Event
from archiver.core.model import NEVER, Holding, Link

Shape: TypeAlias = tuple[str, Callable[[Any], tuple[Any, ...]]]
_SHAPES: dict[type, Shape] = {}  # by class: what stands between the values, and how to get at them


def payload_of(told: Event | Holding) -> str:
    """An event, or what was stored, as JSON on one line."""
    return plain(_object(told))


def _object(value: Any) -> str:
    kind = type(value)
    if kind not in _SHAPES:
        _SHAPES[kind] = _shape(kind)
    between, values = _SHAPES[kind]
    return between % tuple([_text(each) for each in values(value)])


def _shape(kind: type) -> Shape:
    names = HOLDING if kind is Holding else tuple(field.name for field in fields(kind))
    between = ", ".join(f'"{name}": %s' for name in names)
    # With one name, attrgetter gives the value itself.
    get = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, *names),)
    return "{" + between + "}", get if names else lambda _: ()


def _link(link: Link) -> str:
    host = urlsplit(link.url).hostname
    return f'{{"host": {_text(host)}, "expires_at": {_number(link.expires_at)}}}'


def _number(value: float) -> str:
    return "null" if value == NEVER else repr(value)


# ``json`` makes an encoder for each text, and wants a dictionary first: four times as slow.
_TEXTS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring, float: _number, int: repr, type(None): lambda _: "null",
    bool: json.dumps, Link: _link,
    tuple: lambda each: f"[{', '.join(map(_text, each))}]",
}  # fmt: skip


def _text(value: Any) -> str:
    return _TEXTS.get(type(value), _object)(value)
