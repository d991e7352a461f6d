"""The words of a consent: what the owner is asked with, and which answers count."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core import consent
from archiver.core.consent import Asking, Reply

# The verifier and the challenge of RFC 7636, Appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ASKING = Asking("state-1", VERIFIER, "http://127.0.0.1:5000/callback")


def test_the_address_holds_the_hash_of_the_verifier_and_not_the_verifier() -> None:
    """S256, by the standard's own example; no ``=`` at its end."""
    url = consent.address("https://auth.example/authorize", "c" * 40, ASKING, "archiver")
    assert urlsplit(url)._replace(query="").geturl() == "https://auth.example/authorize"
    assert {name: text for name, (text,) in parse_qs(urlsplit(url).query).items()} == {
        "response_type": "code", "client_id": "c" * 40, "state": "state-1",
        "redirect_uri": "http://127.0.0.1:5000/callback", "device_name": "archiver",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    }  # fmt: skip
    assert VERIFIER not in url


def test_an_address_that_has_a_query_keeps_it() -> None:
    """As where the page is asked for in a language."""
    url = consent.address("https://auth.example/a?lang=en_US", "c", ASKING, "archiver")
    assert url.startswith("https://auth.example/a?lang=en_US&response_type=code&")


def test_nothing_that_is_secret_prints_itself() -> None:
    """Neither the question nor the answer."""
    assert VERIFIER not in repr(ASKING)
    assert "state-1" not in repr(ASKING)
    assert "c0de" not in repr(Reply("c0de"))


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("code=c0de&state=state-1", Reply("c0de")),
        ("state=state-1&code=a%2Fb%3D&session=x", Reply("a/b=")),
        ("error=access_denied&state=state-1", Reply(refusal="access_denied")),
        ("code=c0de&error=access_denied&state=state-1", Reply(refusal="access_denied")),
        (f"error={'x' * 500}&state=state-1", Reply(refusal="x" * 100)),
        ("code=c0de&state=state-2", None),
        ("code=c0de&state=state-1&state=state-1", None),
        ("code=c0de&state=", None),
        ("code=c0de", None),
        ("error=access_denied", None),
        ("state=state-1", None),
        ("code=&state=state-1", None),
        ("code=a%0Ab&state=state-1", None),
        ("code=a+b&state=state-1", None),
        (f"code={'c' * 2048}&state=state-1", Reply("c" * 2048)),
        (f"code={'c' * 2049}&state=state-1", None),
        ("&".join(["a=b"] * 98 + ["code=c0de&state=state-1"]), Reply("c0de")),
        ("&".join(["a=b"] * 99 + ["code=c0de&state=state-1"]), None),
        ("", None),
    ],
)
def test_an_answer_counts_only_with_the_state_that_was_sent(
    query: str, reply: Reply | None
) -> None:
    """Whoever does not know the state can neither give a code nor decline."""
    assert consent.brought(query, ASKING) == reply


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("c0de", Reply("c0de")),
        (" \tc0de \r\n", Reply("c0de")),
        ("a/b==", Reply("a/b==")),
        ("http://127.0.0.1:5000/callback?code=c0de&state=state-1", Reply("c0de")),
        ("http://127.0.0.1:5000/callback?code=c0de&state=state-1#_=_", Reply("c0de")),
        ("?code=c0de&state=state-1", Reply("c0de")),
        ("code=c0de&state=state-1", Reply("c0de")),
        ("http://x/?error=access_denied&state=state-1", Reply(refusal="access_denied")),
        ("http://127.0.0.1:5000/callback?code=c0de&state=other", None),
        ("http://127.0.0.1:5000/callback?code=c0de", None),
        ("two words", None),
        ("", None),
        ("c\u00f6de", None),
    ],
)
def test_a_person_pastes_the_code_or_the_address(text: str, reply: Reply | None) -> None:
    """An address is held to the state; a code alone was typed by a person, who is trusted."""
    assert consent.typed(text, ASKING) == reply


@given(st.text(st.characters(codec="ascii", exclude_characters=" "), min_size=1, max_size=60))
def test_every_code_that_fits_comes_through(code: str) -> None:
    """By the address's query, whatever is to be escaped."""
    whole = code.isprintable()
    query = urlencode({"code": code, "state": "state-1"})
    assert consent.brought(query, ASKING) == (Reply(code) if whole else None)


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    """Anything may come to the port, or be pasted."""
    consent.brought(text, ASKING)
    consent.typed(text, ASKING)
