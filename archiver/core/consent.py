"""The owner's consent in a browser, as far as it is words: the address, the code that comes back.

Rule 1: a code counts only together with the state that this login sent, unless a person typed it.
Rule 2: the verifier stays here until the code is spent; the address holds its hash alone (S256).
Source: RFC 6749, RFC 7636, RFC 8252.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

_CODE = re.compile(r"[\x21-\x7e]{1,2048}")
_FIELDS_MOST = 100  # of a query: it has two, and what a vendor adds
_WORD_MOST = 100  # of the vendor's reason


@dataclass(frozen=True, slots=True)
class Asking:
    """One question to the owner.

    Attributes:
        state: a random text that the answer must repeat.
        verifier: a random text of 43 to 128 unreserved characters, by which the code is spent.
        redirect_url: where the browser comes back to.
    """

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_url: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The owner's answer: a code, or why there is none."""

    code: str = field(default="", repr=False)
    refusal: str = ""


def address(authorize_url: str, client_id: str, asking: Asking, device_name: str) -> str:
    """The page on which the owner is asked."""
    digest = hashlib.sha256(asking.verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": asking.redirect_url,
        "state": asking.state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "device_name": device_name,
    }
    joint = "&" if urlsplit(authorize_url).query else "?"
    return f"{authorize_url}{joint}{urlencode(query)}"


def brought(query: str, asking: Asking) -> Reply | None:
    """What a browser that came back says; None: it does not answer this question."""
    try:
        said = parse_qs(query, max_num_fields=_FIELDS_MOST)
    except ValueError:
        return None
    if said.get("state") != [asking.state]:
        return None
    if refusal := said.get("error"):
        return Reply(refusal=refusal[0][:_WORD_MOST])
    code = said.get("code", [""])[0]
    return Reply(code) if _CODE.fullmatch(code) else None


def typed(text: str, asking: Asking) -> Reply | None:
    """What a person pasted: the code, or the address that the browser came to."""
    text = text.strip()
    if "=" in text and ("?" in text or "&" in text):
        return brought(text.partition("#")[0].rpartition("?")[2], asking)
    return Reply(text) if _CODE.fullmatch(text) else None
