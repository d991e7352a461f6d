"""The options that say how far a listing is read, and how much of it is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from archiver.commands.options import option

F = TypeVar("F", bound=Callable[..., Any])


def believing(function: F) -> F:
    """``--full-listing``, ``--accept-shrunk``, ``--accept-replaced``."""
    for one in (
        option("--accept-replaced", is_flag=True,
               help="Believe that more than a tenth of the archive was replaced."),
        option("--accept-shrunk", is_flag=True,
               help="Believe a listing that lost half of its videos."),
        option("--full-listing", is_flag=True,
               help="Read listings to their end, though the newest pages would do."),
    ):  # fmt: skip
        function = one(function)
    return function
