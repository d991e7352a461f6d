"""Every misfortune by name, and the dice that say when one strikes.

A specification is ``name[@resource][how often]``:

=============  =====================================================================
``html``       once for each resource (a path of the API, a file of the download host)
``html:0.3``   by chance at each opportunity, from the world's seed
``html*4``     at the first four opportunities
``html!``      at every opportunity
``html@123``   only where the resource names video 123
=============  =====================================================================

An endless fault is a state of things, not an event: it is drawn once for a resource and holds.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Where = Literal["api", "list", "token", "download", "extras", "consent"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of misfortune: where it strikes, what it does, whether it ever ends."""

    name: str
    where: Where
    what: str
    endless: bool = False


def _table(*rows: tuple[Where, str, str] | tuple[Where, str, str, bool]) -> dict[str, Fault]:
    return {row[1]: Fault(row[1], row[0], row[2], len(row) == 4 and row[3]) for row in rows}


FAULTS = _table(
    ("api", "reset", "the connection is cut before the answer"),
    ("api", "slow-answer", "the answer comes late"),
    ("api", "unauthorized", "401 although the token is good"),
    ("api", "revoke-token", "the token is revoked, then 401"),
    ("api", "throttle", "429 with the rate-limit headers"),
    ("api", "throttle-bare", "429 without any header"),
    (
        "api",
        "throttle-odd",
        "429 whose reset is in the past, in milliseconds, a delta, or no number",
    ),
    ("api", "error-500", "500 with a JSON body"),
    ("api", "error-502", "502 with a JSON body"),
    ("api", "error-504", "504 with a JSON body"),
    ("api", "error-503", "503 with a JSON body"),
    ("api", "html", "200 with a page of HTML"),
    ("api", "empty-body", "200 with nothing"),
    ("api", "cut-json", "200 with half of the JSON, of a matching length"),
    ("api", "deep-json", "200 with 100,000 nested lists"),
    ("api", "huge-json", "200 with 20 MB of blanks before the JSON"),
    ("api", "odd-json", "200 with NaN, duplicate keys, lone surrogates and a number of 400 digits"),
    ("api", "wrong-types", "200 with lists and numbers where objects and strings belong"),
    ("api", "lost-answer", "the POST takes effect, the connection is cut before its answer"),
    ("api", "forget", "404 to a poll after a POST: the version is forgotten"),
    ("api", "unavailable", "a POST answered with `unavailable`, and nothing begun"),
    ("api", "unknown-status", "a status that the reference does not know"),
    ("api", "flap", "available, then pending again once"),
    ("api", "expires-null", "`expires_at` is null while available"),
    ("api", "expires-past", "`expires_at` lies in the past while available"),
    ("api", "expires-string", "`expires_at` is a string of digits"),
    ("api", "expires-ms", "`expires_at` is in milliseconds"),
    ("api", "expires-missing", "no `expires_at` while available"),
    ("api", "url-null", "available, but `download_url` is null"),
    ("api", "other-address", "another address of the same file, good for a second longer"),
    ("api", "pending-forever", "the file never becomes ready", True),
    ("api", "not-found", "404 for the video's downloadable version", True),
    ("api", "denied", "403 lack_of_ownership for the video's downloadable version", True),
    ("token", "token-503", "503 server_error from the token endpoint"),
    ("token", "token-html", "a page of HTML from the token endpoint"),
    ("token", "token-no-expiry", "a token without `expires_in`"),
    ("token", "token-zero-expiry", "`expires_in` is 0, though the token lives"),
    ("token", "token-lost", "the token is given, the connection is cut before its answer"),
    ("consent", "consent-denied", "the owner declines on the page of consent"),
    ("list", "list-503", "503 to a page of a listing"),
    ("list", "list-html", "HTML in place of a page of a listing"),
    ("list", "repeat-page", "a later page brings the first one's videos again"),
    ("list", "empty-page", "a page without videos, although more follow"),
    ("list", "moving-page", "a video is added between two pages"),
    ("list", "shrinking-page", "a video of an earlier page is deleted between two pages"),
    ("list", "next-loop", "`paging.next` leads to the page itself"),
    ("list", "odd-ids", "a page with videos whose ids are no ids"),
    ("list", "size-lies", "`file_size` is not the size of the file", True),
    ("download", "date-skew", "the Date header is three hours off", True),
    ("download", "expire-early", "403 before the time, and `unavailable` at the API"),
    ("download", "link-gone", "410, and `unavailable` at the API"),
    ("download", "cdn-503", "503 from the download host"),
    ("download", "cdn-429", "429 from the download host"),
    ("download", "reset-before-header", "the connection is cut before the header"),
    ("download", "redirect", "302 to another path of the download host"),
    ("download", "redirect-loop", "302 in a circle"),
    ("download", "redirect-to-api", "302 to the API's origin"),
    ("download", "redirect-to-metadata", "302 to a cloud's metadata address"),
    ("download", "redirect-to-file", "302 to file:///etc/passwd"),
    ("download", "html-body", "200 with a page of HTML as video/mp4"),
    ("download", "json-body", "200 with a JSON error"),
    ("download", "empty-file", "200 with an empty body"),
    ("download", "range-416", "416 to a range that exists"),
    ("download", "wrong-range", "206 with another range than asked for"),
    ("download", "multipart-range", "206 as multipart/byteranges"),
    ("download", "ignore-range", "200 and the whole file to a range"),
    ("download", "wrong-bytes", "206 with the right header and the bytes of another place"),
    ("download", "regenerate-moov", "cut and dead; the next file differs in moov alone"),
    ("download", "regenerate-mdat", "cut and dead; the next file differs in mdat alone"),
    ("download", "swap-mid-body", "cut; the same address then serves other bytes of equal size"),
    ("download", "reset-mid-body", "the connection is reset in mid-body"),
    ("download", "cut-with-length", "closed before Content-Length is reached"),
    ("download", "cut-without-length", "no length, and closed too early"),
    ("download", "cut-chunked", "chunked, and ended properly, too early"),
    ("download", "stall", "silence in mid-body"),
    ("download", "length-too-large", "Content-Length promises more than there is, then closed"),
    ("download", "length-too-small", "more bytes than Content-Length promises"),
    ("download", "chunked", "whole, but chunked, without a length"),
    ("download", "gzip", "Content-Encoding: gzip, asked or not"),
    ("download", "slow", "a trickle"),
    ("download", "no-etag", "no ETag", True),
    ("download", "weak-etag", "a weak ETag", True),
    ("download", "etag-per-request", "another ETag with each answer", True),
    ("download", "no-last-modified", "no Last-Modified", True),
    ("download", "no-range-support", "no Accept-Ranges; every range is answered whole", True),
    ("extras", "extra-denied", "403 lack_of_ownership to a small record of a video"),
    ("extras", "extra-missing", "404 to a small record of a video"),
    ("extras", "odd-captions", "caption tracks whose languages lead to other places"),
    ("extras", "caption-html", "200 with a page of HTML as a caption's text"),
    ("extras", "caption-text", "a caption's text that is no WebVTT"),
    ("extras", "picture-missing", "404 in place of a thumbnail"),
    ("extras", "picture-503", "503 in place of a thumbnail"),
    ("extras", "picture-html", "200 with a page of HTML as image/jpeg"),
    ("extras", "picture-svg", "200 with a drawing that has a script as image/jpeg"),
    ("extras", "picture-cut", "the connection is closed before a thumbnail's end"),
    ("extras", "picture-elsewhere", "302 to a cloud's metadata address in place of a thumbnail"),
)

SPEC = re.compile(r"([a-z0-9-]+)(?:@([^:*!]+))?(?::([0-9.]+)|\*([0-9]+)|(!))?")


@dataclass(slots=True)
class _Rule:
    """One specification, with what it has used up."""

    fault: Fault
    resource: str | None = None
    chance: float | None = None
    left: int | None = None
    always: bool = False
    drawn: dict[str, bool] = field(default_factory=dict)

    def strikes(self, resource: str, chance: random.Random) -> bool:
        if self.resource is not None and self.resource not in re.split(r"[/.]", resource):
            return False
        if not self.fault.endless:
            return self._draw(resource, chance)
        if resource not in self.drawn:
            self.drawn[resource] = self._draw(resource, chance)
        return self.drawn[resource]

    def _draw(self, resource: str, chance: random.Random) -> bool:
        if self.always:
            return True
        if self.chance is not None:
            return chance.random() < self.chance
        if self.left is not None:
            self.left -= 1
            return self.left >= 0
        if self.fault.endless:
            return True
        first = resource not in self.drawn
        self.drawn[resource] = True
        return first


def parse(spec: str) -> _Rule:
    """Reads one specification.

    Raises:
        ValueError: no such form or no such fault; the text says which.
    """
    match = SPEC.fullmatch(spec.strip())
    if match is None:
        raise ValueError(f"not a fault specification: {spec!r}")
    name, resource, chance, count, always = match.groups()
    if name not in FAULTS:
        raise ValueError(f"no fault is named {name!r}")
    return _Rule(
        FAULTS[name],
        resource=resource,
        chance=None if chance is None else float(chance),
        left=None if count is None else int(count),
        always=always is not None,
    )


class Faults:
    """The misfortunes of one world, and how often each has struck.

    Attributes:
        fired: name -> how often it struck.

    Args:
        specs: see the module's docstring.
        seed: of the chances.

    Raises:
        ValueError: a specification cannot be read.
    """

    def __init__(self, specs: Iterable[str] = (), seed: int = 0) -> None:
        self._chance = random.Random(f"faults {seed}")
        self._rules: dict[str, list[_Rule]] = {}
        self.fired: Counter[str] = Counter()
        self.set(specs)

    def set(self, specs: Iterable[str]) -> None:
        """Replaces all specifications; the counters stay."""
        rules: dict[str, list[_Rule]] = {}
        for spec in specs:
            rule = parse(spec)
            rules.setdefault(rule.fault.name, []).append(rule)
        self._rules = rules

    def strikes(self, name: str, resource: str) -> bool:
        """Whether the fault happens here and now; asking is the opportunity it is drawn for."""
        assert name in FAULTS, name
        struck = any(rule.strikes(resource, self._chance) for rule in self._rules.get(name, ()))
        if struck:
            self.fired[name] += 1
        return struck

    def first(self, names: Iterable[str], resource: str) -> str | None:
        """The first of the named faults that strikes: an answer goes wrong in one way."""
        return next((name for name in names if self.strikes(name, resource)), None)
