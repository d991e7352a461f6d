"""JSON that steers nobody: what a terminal would obey is escaped, and means the same to a program.

Beside control and bidi characters these are the separators that readers of lines take for the end
of an object (Python's ``splitlines`` does), and lone surrogates, which UTF-8 cannot hold.
"""

from __future__ import annotations

import re

from archiver.met import met

_STEERING = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escaped(text: str) -> str:
    """*text*, which is JSON, with such characters as ``\\uXXXX``."""

    def escape(found: re.Match[str]) -> str:
        met("L15")
        return f"\\u{ord(found[0]):04x}"

    return _STEERING.sub(escape, text)
