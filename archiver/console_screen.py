"""Lines at the bottom of a terminal that are drawn over again, below lines that stay.

Rule 1: each change is one write, and no line is blank in between: nothing flickers.
Rule 2: a terminal that became narrower has wrapped what stood there; what is drawn anew begins
where that began, so that nothing stale is left behind.
Rule 3: whoever reads may go away; then nothing is drawn any more, and nothing is raised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TextIO

from rich.cells import cell_len
from rich.console import Console, RenderableType

_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_LINE, _TO_LINE_END, _BELOW = "\x1b[2K", "\x1b[K", "\x1b[J"
_TAIL: Final = re.compile(r"(?: |\x1b\[[0-9;]*m)+$")
_WIDTH_LEAST, _WIDTH_MOST = 10, 10_000  # cells; a line beyond is never wrapped by us


class Screen:
    """The bottom of one terminal.  ``NO_COLOR`` is obeyed by rich itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._drawn: Sequence[str] = ()
        self._drawn_width = self._console.width
        self._deaf = False
        self._put(_HIDE)

    @property
    def width(self) -> int:
        """Cells to draw in.  Never the last column: there terminals disagree about wrapping."""
        return max(_WIDTH_LEAST, self._console.width - 1)

    @property
    def height(self) -> int:
        """Rows of the terminal."""
        return self._console.height

    def draw(self, picture: RenderableType) -> None:
        """Show *picture* in the place of the last one."""
        lines = self._rendered(picture, self.width)[: max(1, self.height - 1)]
        body = "\n".join(f"{line}{_TO_LINE_END}" for line in lines)
        # What was wrapped has to go first: some terminals would join the new lines as well.
        # Row by row, since tmux keeps what is erased "to the end of the screen" in its history.
        again = ""
        if self._console.width != self._drawn_width:
            again = "\x1b[1B".join([_LINE] * self._rows()) + self._to_top()
        self._put(f"{self._to_top()}{again}{body}{_BELOW}")
        self._drawn, self._drawn_width = lines, self._console.width

    def say(self, line: RenderableType) -> None:
        """Put a line above the picture, where it stays.  The terminal wraps it."""
        text = "".join(self._rendered(line, 10 * _WIDTH_MOST))
        body = "\n".join(f"{each}{_TO_LINE_END}" for each in self._drawn)
        self._put(f"{self._to_top()}{text}{_BELOW}\n{body}")

    def close(self) -> None:
        """Take the picture away and give the cursor back; nothing is drawn any more."""
        self._put(f"{self._to_top()}{_BELOW}{_SHOW}")
        self._drawn, self._deaf = (), True

    def _rendered(self, picture: RenderableType, width: int) -> list[str]:
        if self._deaf:
            return []
        try:
            with self._console.capture() as captured:
                self._console.print(picture, width=width, end="", soft_wrap=width > _WIDTH_MOST)
        except (OSError, ValueError):  # rich flushes, though nothing is to be written
            self._deaf = True
            return []
        # Blanks at a line's end would wrap as well, in a terminal that becomes narrower.
        lines = captured.get().rstrip("\n").split("\n")
        return [_TAIL.sub(lambda tail: tail[0].replace(" ", ""), line) for line in lines]

    def _to_top(self) -> str:
        """To the first cell of what was drawn last."""
        rows = self._rows()
        return f"\r\x1b[{rows - 1}A" if rows > 1 else "\r"

    def _rows(self) -> int:
        """How many rows of the terminal that takes now."""
        width = max(1, self._console.width)
        return sum(max(1, -(-cell_len(_STYLE.sub("", line)) // width)) for line in self._drawn)

    def _put(self, text: str) -> None:
        if self._deaf:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone: the run goes on
            self._deaf = True
