"""Memory that a virtual machine does not give back while a benchmark runs: needs root.

A guest tells its host which memory is free, in whole blocks of 2 MiB (free page reporting); the
host takes it, and whoever touches it next waits for the host: up to a second a GiB, by chance.
Here so much memory is touched once, one page of every block is held, and the rest is freed: no
block is whole, so none is reported, and small pages are taken from broken blocks first.

``python -m bench.downloads.warm BYTES`` says "ready", and holds on until its input ends.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import mmap
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

PAGE, BLOCK = 4096, 2 << 20
_PIPE_BYTES = 1 << 20  # in slots of a page each
_FRAME = (1 << 55) - 1  # of an entry of /proc/self/pagemap, as proc(5) has it
_ENTRY = 8


@contextmanager
def warm(size: int) -> Iterator[None]:
    """Keep *size* bytes of free memory here; says why where that cannot be."""
    if os.geteuid() != 0:
        print("not root: memory may be cold, which slows runs down by chance", file=sys.stderr)
        size = 0
    if not size:
        yield
        return
    command = [sys.executable, "-m", "bench.downloads.warm", str(size)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.stdin.close()


class _Stretch(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def hold(size: int) -> list[int]:
    """Break all blocks of *size* bytes; returns the pipes' ends, in which the pages are held."""
    region = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    region.madvise(mmap.MADV_NOHUGEPAGE)
    touched = b"\1" * BLOCK
    for offset in range(0, size, BLOCK):
        region[offset : offset + BLOCK] = touched
    start = ctypes.addressof(ctypes.c_char.from_buffer(region))
    ends: list[int] = []
    room = 0
    for address in _one_a_block(start, size):
        if not room:
            ends += os.pipe()
            room = fcntl.fcntl(ends[-1], fcntl.F_SETPIPE_SZ, _PIPE_BYTES) // PAGE
        _splice(ends[-1], address)
        room -= 1
    # What is held by a pipe stays where it is; a page that is only mapped could be moved.
    region.madvise(mmap.MADV_DONTNEED)
    return ends


def _one_a_block(start: int, size: int) -> Iterable[int]:
    """The address of one page of each physical block that the region has a page in."""
    found: dict[int, int] = {}
    entries = array.array("Q")
    with open("/proc/self/pagemap", "rb", buffering=0) as pages:
        pages.seek(start // PAGE * _ENTRY)
        while (left := size // PAGE - len(entries)) > 0:
            entries.frombytes(pages.read(min(left, 1 << 16) * _ENTRY))
    for number, entry in enumerate(entries):
        found.setdefault((entry & _FRAME) * PAGE // BLOCK, start + number * PAGE)
    return found.values()


def _splice(end: int, address: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    stretch = _Stretch(address, PAGE)
    if libc.vmsplice(end, ctypes.byref(stretch), 1, 0) != PAGE:
        raise OSError(ctypes.get_errno(), "a page cannot be held")


def main() -> None:
    """Hold so many bytes until nobody wants it any more."""
    ends = hold(int(sys.argv[1]) // BLOCK * BLOCK)
    print(f"ready: {len(ends) // 2} pipes", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
