"""Calls of the C library that Python does not have: a rename that never replaces, one big flush.

Rule: None where this system has none; whoever asks knows another way.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

_RENAME_NOREPLACE = 1


def find_renameat2() -> Callable[[str, int, str, int], None] | None:
    """Rename between two folders without replacing; raises OSError."""
    call = _call("renameat2")
    if call is None:  # musl before 1.2.6
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]

    def move(name: str, folder: int, new_name: str, new_folder: int) -> None:
        old, new = os.fsencode(name), os.fsencode(new_name)
        _checked(call, folder, old, new_folder, new, _RENAME_NOREPLACE)

    return move


def find_syncfs() -> Callable[[int], None] | None:
    """Flush the whole file system of an open file; raises OSError."""
    call = _call("syncfs")
    if call is None:
        return None
    call.argtypes = [ctypes.c_int]
    return lambda fd: _checked(call, fd)


def _call(name: str) -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), name, None)


def _checked(call: Any, *arguments: object) -> None:
    ctypes.set_errno(0)
    if call(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
