"""What the reader of the token endpoint's answers promises."""

from __future__ import annotations

import pytest

from archiver.adapters.vendor import wire
from archiver.errors import BadAnswerError


@pytest.mark.parametrize(
    "life",
    [
        "",
        ',"expires_in":0',
        ',"expires_in":-1',
        ',"expires_in":"x"',
        ',"expires_in":null',
        ',"expires_in":NaN',
    ],
)
def test_a_token_without_a_sensible_life_has_none(life: str) -> None:
    """The assumption is the token source's business, not the parser's."""
    assert wire.granted(f'{{"access_token":"t"{life}}}'.encode()).expires_in_s is None


def test_a_token_must_fit_into_a_header_and_never_prints() -> None:
    """A token with a line break is refused; none shows itself."""
    assert wire.granted(b'{"access_token":"abc","expires_in":"86400"}').expires_in_s == 86_400
    assert "abc" not in repr(wire.granted(b'{"access_token":"abc"}'))
    for token in (b"", b"a b", b"a\\r\\nX: y", b"\\u00e9"):
        with pytest.raises(BadAnswerError):
            wire.granted(b'{"access_token":"' + token + b'"}')
