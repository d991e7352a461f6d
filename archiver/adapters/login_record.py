"""A stored login as text: what stands in its file, and in the keyring.

Rule: what is not wholly there is damaged; half a login is never used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from archiver.account import AGAIN, Login, Secret
from archiver.core.model import Instant
from archiver.errors import AuthError

SCHEMA = 1
_TEXTS = ("api_url", "token_url", "client_id", "refresh_token", "access_token")
_TIMES = ("ends_at", "renewed_at")


def text(value: Mapping[str, Any]) -> str:
    """The one line of JSON that holds *value*."""
    return json.dumps({"schema": SCHEMA, **value})


def parsed(line: str) -> dict[str, Any]:
    """What ``text`` was given, and the schema.

    Raises:
        AuthError: it is damaged, or of a newer version of this program.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _damaged()
    if value.get("schema") != SCHEMA:
        raise AuthError("The stored login is of another version of this program.", AGAIN)
    return value


def as_json(login: Login) -> dict[str, Any]:
    """All of *login*, with its secrets."""
    return {
        "api_url": login.api_url, "token_url": login.token_url, "client_id": login.client_id,
        "refresh_token": login.refresh_token.reveal(),
        "access_token": login.access_token.reveal(),
        "ends_at": login.ends_at, "renewed_at": login.renewed_at,
    }  # fmt: skip


def login(value: Mapping[str, Any]) -> Login:
    """The login in what ``parsed`` gave.

    Raises:
        AuthError: it is damaged.
    """
    kept = value.get("login")
    if not isinstance(kept, dict):
        raise _damaged()
    texts = [kept[name] for name in _TEXTS if isinstance(kept.get(name), str)]
    times = [Instant(kept[name]) for name in _TIMES if isinstance(kept.get(name), int | float)]
    if (len(texts), len(times)) != (len(_TEXTS), len(_TIMES)):
        raise _damaged()
    api_url, token_url, client_id, refresh_token, access_token = texts
    return Login(api_url, token_url, client_id, Secret(refresh_token), Secret(access_token), *times)


def _damaged() -> AuthError:
    return AuthError("The stored login cannot be read: it is damaged.", AGAIN)
