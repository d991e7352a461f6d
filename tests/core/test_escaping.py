"""JSON on its way to a file or a screen: the same to a program, harmless to a terminal."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from archiver.core.escaping import escaped


@given(st.text())
@example("\x1b[2J \x9b31m \x7f \u202e\u2066 \u2028\u2029 \x85 \ud800")
def test_it_means_the_same_and_is_one_harmless_line(text: str) -> None:
    """A parser gets every character back; nobody else sees one that steers."""
    line = escaped(json.dumps(text, ensure_ascii=False))
    assert json.loads(line) == text
    assert len(line.splitlines()) == 1
    assert not set(line) & set("\x1b\x7f\x85\x9b\u200f\u202e\u2066\ud800")
    line.encode()
