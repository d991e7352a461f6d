"""From names to addresses by the system's way, in threads that nobody waits for.

Rule: a look-up hangs as long as its name servers do, and nothing can end it; a loop's own threads,
where it would run otherwise, are waited for at the end of the loop and of the program.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, Final, TypeVar, cast

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver

T = TypeVar("T")


def system_resolver() -> AbstractResolver:
    """What a connector asks; it keeps answers for a while, and asks for a name once at a time."""
    return ThreadedResolver(cast("asyncio.AbstractEventLoop", _LookUps()))


class _Forgotten(Executor):
    """A thread for each call, which the end of the program does not wait for."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        done.set_running_or_notify_cancel()  # who does not want it any more does not hear of it

        def work() -> None:
            try:
                done.set_result(fn(*args, **kwargs))
            except (OSError, ValueError, OverflowError, MemoryError) as error:
                done.set_exception(error)

        try:
            threading.Thread(target=work, name="look-up", daemon=True).start()
        except RuntimeError as error:  # Python's word for the system's refusal
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
        return done


_FORGOTTEN: Final = _Forgotten()


class _LookUps:
    """Of a loop, what aiohttp's resolver asks for."""

    async def getaddrinfo(self, host: str, port: int, **how: Any) -> Any:
        return await _do(partial(socket.getaddrinfo, host, port, **how))

    async def getnameinfo(self, address: Any, flags: int) -> Any:
        return await _do(partial(socket.getnameinfo, address, flags))


async def _do(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_FORGOTTEN, work)
