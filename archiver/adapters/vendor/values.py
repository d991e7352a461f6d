"""Single values out of the vendor's JSON: what makes no sense is as good as absent.

Rule 1: only ``parsed`` may refuse, and only with BadAnswerError; everything else returns.
Rule 2: a text that leaves here is valid UTF-8, a number is finite, an id fits into 63 bits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from archiver.core.model import Instant
from archiver.errors import BadAnswerError
from archiver.met import met

Json: TypeAlias = Mapping[str, Any]
MOST_ID = 2**63 - 1  # what a ledger's integer holds
MOST_INSTANT = 1e11  # beyond the year 5138: milliseconds, or nonsense
MOST_DIGITS = 300  # of a whole number; Python itself refuses thousands
_ID = re.compile(r"[0-9]{1,19}")


def parsed(body: bytes) -> Json:
    """The JSON object in *body*.

    Raises:
        BadAnswerError: HTML, cut or too deeply nested JSON, or another value than an object.
    """
    try:
        shown = body.decode("utf-8-sig", "replace")
        value = json.loads(shown, parse_int=_int, parse_float=_float, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        too_deep = isinstance(error, RecursionError)
        met("A36" if too_deep else "A18")
        kind = "a web page" if body.lstrip()[:1] == b"<" else "no JSON"
        raise BadAnswerError(f"the API answered with {kind} ({len(body)} bytes)") from error
    if not isinstance(value, dict):
        raise BadAnswerError(f"the API answered with a JSON {type(value).__name__}, not an object")
    return value


def _int(shown: str) -> int | str:
    if len(shown) <= MOST_DIGITS:
        return int(shown)
    met("A36")
    return shown  # kept as it came, as a text


def _float(shown: str) -> float | str:
    found = float(shown)
    return found if math.isfinite(found) else shown  # 1e400: kept as it came, as a text


def _no_constant(_: str) -> None:
    """NaN and Infinity are no JSON: kept as null, so that ``raw`` can be read by anybody."""
    met("A36")


def number(value: object) -> float | None:
    """A finite number, or one in a string; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value if not isinstance(value, str) else value.strip()[:400])
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """A whole number from 0 to 2^63 - 1, or one in a string."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= MOST_ID else None
    if isinstance(value, str) and _ID.fullmatch(value):
        return int(value) if int(value) <= MOST_ID else None
    found = number(value)
    return int(found) if found is not None and 0 <= found < 2**53 else None


def identifier(value: object) -> int | None:
    """An id: digits only, in a string or as an integer, up to 2^63 - 1."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, str) and not _ID.fullmatch(value):
        return None
    return whole(value)


def instant(value: object) -> Instant | None:
    """Unix seconds, milliseconds or ISO 8601; None where nothing sensible is said."""
    found = number(value)
    if found is not None:
        if found > MOST_INSTANT:
            met("A19")
            found /= 1000.0
        return Instant(found) if 0 < found <= MOST_INSTANT else None
    if not isinstance(value, str) or len(value) > 64:
        met("A19")
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return Instant(moment.timestamp()) if moment.timestamp() > 0 else None
    except (ValueError, OverflowError):
        return None


def text(value: object) -> str:
    """Any scalar as a text of valid UTF-8; "" for nothing."""
    if value is None or isinstance(value, dict | list):
        return ""
    try:
        return str(value).encode("utf-8", "replace").decode("utf-8")
    except ValueError:  # an integer of more than 4,300 digits
        return ""


def compact(value: object) -> str:
    """The value as compact JSON; lone surrogates stay escaped, so it is valid UTF-8."""
    try:
        shown = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        shown.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    except (ValueError, RecursionError):
        return "{}"
    return shown


def mapping(value: object) -> Json:
    """An object; ``[]`` and anything else stand for an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Sequence[Json]:
    """The objects of a list, or of an object keyed by id."""
    if isinstance(value, dict):
        value = list(value.values())
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def is_web_address(url: str) -> bool:
    """An absolute http(s) address with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
