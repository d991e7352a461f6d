"""From a signed address into a part: the bytes of one file, of one generation, in order.

Rule: whatever ends a transfer, what came is synced and reported; at most 8 MiB come twice.
"""

from __future__ import annotations

import asyncio

import aiohttp

from archiver.account import Account
from archiver.adapters.address_policy import AddressPolicy
from archiver.adapters.download_body import Limits, Windows
from archiver.adapters.download_intake import Intake
from archiver.adapters.download_transfer import Transfer
from archiver.adapters.download_wire import Wire
from archiver.adapters.throttle import Throttle
from archiver.core.model import Link, Saved
from archiver.errors import (
    BrokenError,
    CorruptError,
    DestinationError,
    LinkRefusedError,
    WeatherError,
)
from archiver.met import met
from archiver.ports import Clock, Part, Progress


class HttpSource:
    """Downloads over HTTP: ``ports.Source``.

    Args:
        session: ``adapters.http``'s for downloads: no secret, no cookies, nothing decoded; its
            connector resolves through ``address_policy.download_resolver``.
        account: says where a download may go.
        throttle: shared by all downloads; None: no limit.
        seen: how long addresses live, on which the patience with a silent host depends.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        account: Account,
        clock: Clock,
        throttle: Throttle | None = None,
        seen: Windows | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        self._wire = Wire(session, clock, AddressPolicy.of(account))
        self._throttle = throttle or Throttle(None, clock)
        self._seen, self._limits = seen, limits or Limits()

    async def fetch(self, link: Link, saved: Saved, part: Part, report: Progress) -> Saved:
        """Download what is missing of *link* into *part*.

        Args:
            saved: what is durable in the part, which stands at that offset.
            report: told of every byte of a body, those that are compared included.

        Returns:
            What the part holds; ``total`` equals ``bytes``.  Not yet synced, not yet checked.
            Where the host never says a length, or a wrong one again and again, it is ``measured``:
            the body's end counts as the file's, where its container closes exactly there.

        Raises:
            WeatherError: no answer, or 408, 429, 5xx.
            LinkRefusedError: 4xx, a page of text, or an address that is not to be visited.
            BrokenError: broke off, stalled, or contradicted itself; saved bytes stay.
            CorruptError: empty, or more bytes than the file has.
            DestinationError: the disk is full or refuses.
        """
        if saved.total == saved.bytes > 0:
            return saved  # a crash came between the last byte and its record
        stall_s = self._limits.patience_s(self._seen)
        intake = Intake(part, saved, report, self._limits)
        transfer = Transfer(self._wire, link, intake, report, self._throttle, self._limits, stall_s)
        try:
            return await transfer.run()
        except BrokenError:
            await intake.keep()
            if (whole := await transfer.ended_again(saved)) is None:
                raise
            return whole
        except (LinkRefusedError, WeatherError):
            await intake.keep()
            raise
        except (CorruptError, DestinationError):
            await intake.give_up()
            raise
        except asyncio.CancelledError:
            met("L29")
            await intake.keep_if_possible()
            raise
