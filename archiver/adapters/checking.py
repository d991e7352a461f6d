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


async def check_part(
    threads: Threads, folder: int, name: str, variant: str, saved: Saved
) -> str | None:
    """Return what is wrong with a part; None where nothing is, or where it is not there.

    A part that is gone may have its final name already: ``publish`` decides about that.

    Raises:
        OSError: the disk refuses.
    """
    try:
        head, size = await threads.run(lambda: _head(folder, name))
    except FileNotFoundError:
        return None
    if size != saved.bytes:
        return f"{size} bytes are there, {saved.bytes} were saved"
    if variant in ("mp4", "flv") and container.is_text(head):
        return "it is a page of text, not a video"
    if size and not container.looks_like(head, variant):
        return f"it does not begin like a file of type {variant}"
    return await _walked(
        threads, folder, name, container.walk(variant, size, open_end=not saved.measured)
    )


async def _walked(
    threads: Threads, folder: int, name: str, steps: container.Walk[container.Problem | None]
) -> str | None:
    wish: container.Wish | None = None

    def some_steps() -> str | None:
        """Take many steps; ``wish`` is None when the walk came to its end."""
        nonlocal wish
        fd = _opened(folder, name)
        try:
            wish = next(steps) if wish is None else wish
            for _ in range(STEPS_AT_ONCE):
                wish = steps.send(read_exactly(fd, *wish))
        except StopIteration as stop:
            wish = None
            answer: str | None = stop.value
            return answer
        finally:
            os.close(fd)
        return None

    while True:
        answer = await threads.run(some_steps)
        if wish is None:
            return answer


def _head(folder: int, name: str) -> tuple[bytes, int]:
    fd = _opened(folder, name)
    try:
        return read_exactly(fd, 0, container.HEAD_BYTES), os.fstat(fd).st_size
    finally:
        os.close(fd)


def _opened(folder: int, name: str) -> int:
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
