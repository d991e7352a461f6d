"""What stands below the options in a command's help: lines to copy."""

from __future__ import annotations


def examples(*lines: tuple[str, str]) -> str:
    """The examples of a command, for click's ``epilog``.

    Args:
        lines: what each is for, and the line as it is typed.
    """
    shown = [f"  # {what}\n  {line}" for what, line in lines]
    return "\n".join(["\b", "Examples:", *shown])
