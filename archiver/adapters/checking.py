"""Checks a finished part before it is published: size, first bytes, the container's skeleton.

Rule: a check reads headers, in short trips to a thread; the hash is the writer's business.
"""

from __future__ import annotations

import os

from archiver.adapters.disk import Threads
from archiver.adapters.part import read_exactly
from archiver.core import container
from archiver.core.model import Saved

STEPS_AT_ONCE = 2_000  # reads of a walk in one trip to a thread: about 5 ms


class Check:
    """One look at a part, in one trip or several.

    A part that is gone may have its final name already: nothing is wrong then, and ``publish``
    decides about that.

    Attributes:
        problem: what is wrong with it; None where nothing is.
    """

    def __init__(self, folder: int, name: str, variant: str, saved: Saved) -> None:
        self.problem: str | None = None
        self._folder, self._name = folder, name
        self._variant, self._saved = variant, saved
        self._walk: container.Walk[container.Problem | None] | None = None
        self._wish: container.Wish | None = None

    def go(self) -> bool:
        """Go on for a while; False when it came to its end.

        Raises:
            OSError: the disk refuses.
        """
        try:
            fd = os.open(self._name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._folder)
        except FileNotFoundError:
            return False
        try:
            return self._look(fd) if self._walk is None else self._walked(fd, self._walk)
        finally:
            os.close(fd)

    async def run(self, threads: Threads) -> str | None:
        """Go to the end of it."""
        while await threads.run(self.go):
            pass
        return self.problem

    def _look(self, fd: int) -> bool:
        size, saved, variant = os.fstat(fd).st_size, self._saved, self._variant
        head = read_exactly(fd, 0, container.HEAD_BYTES)
        if size != saved.bytes:
            self.problem = f"{size} bytes are there, {saved.bytes} were saved"
        elif variant in ("mp4", "flv") and container.is_text(head):
            self.problem = "it is a page of text, not a video"
        elif size and not container.looks_like(head, variant):
            self.problem = f"it does not begin like a file of type {variant}"
        else:
            self._walk = container.walk(variant, size, open_end=not saved.measured)
            return self._walked(fd, self._walk)
        return False

    def _walked(self, fd: int, walk: container.Walk[container.Problem | None]) -> bool:
        try:
            wish = next(walk) if self._wish is None else self._wish
            for _ in range(STEPS_AT_ONCE):
                wish = walk.send(read_exactly(fd, *wish))
        except StopIteration as stop:
            self.problem = stop.value
            return False
        self._wish = wish
        return True
