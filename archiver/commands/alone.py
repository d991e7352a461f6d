"""Work that waits for nothing is run without an event loop: loading one costs twice the answer."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def alone(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end *work* that asks nobody but the ledger, ``at_once``."""
    try:
        work.send(None)
    except StopIteration as done:
        answer: T = done.value
        return answer
    finally:
        work.close()
    raise RuntimeError("it waits for something, which needs an event loop")
