"""The end of a run, in writing: which of what the vendor lists is archived, and which is not.

Rule: a video counts as no longer listed only where a listing that was read to its end would have
named it; what other runs found of other sources is kept.
"""

from __future__ import annotations

import json
from dataclasses import replace

from archiver.adapters.ledger import SqliteLedger
from archiver.core.completeness import NAMED_MOST, Statement, Stays, statement
from archiver.core.model import VideoId
from archiver.core.selection import Filter
from archiver.core.summary import Summary, iso
from archiver.lister import Lister
from archiver.records.inventory import UNLISTED_KEY
from archiver.records.manifest import AGENT
from archiver.records.tag_files import STATEMENT_KEY, unlisted_in
from archiver.tally import reason_of


async def state(
    ledger: SqliteLedger, archive_id: str, summary: Summary, lister: Lister, wanted: Filter,
    variant: str, *, is_listed: bool,
) -> None:  # fmt: skip
    """Leave the statement of this run in the ledger, for whoever writes the archive's records.

    Tells *summary*, too, what was listed and what the vendor no longer lists.
    """
    stays = await _unlisted(ledger, lister)
    summary.listed, summary.unlisted = tuple(lister.read), len(stays)
    left = await ledger.left(NAMED_MOST, variant)
    of = Statement(
        archive_id, AGENT, summary, lister.asked_for, summary.listed,
        [replace(failure, reason=reason_of(failure)) for failure in left],
        [Stays(each, await ledger.title(each)) for each in stays[:NAMED_MOST]], len(stays),
        _chosen(wanted), is_listed=is_listed,
    )  # fmt: skip
    await ledger.meta_set(UNLISTED_KEY, json.dumps(stays))
    await ledger.meta_set(STATEMENT_KEY, statement(of))


async def _unlisted(ledger: SqliteLedger, lister: Lister) -> list[VideoId]:
    """Archived videos that the vendor no longer lists, by all that is known."""
    before = await unlisted_in(ledger)
    if not lister.has_whole:
        return sorted(each for each in before if not lister.has_listed(each))
    found = []
    async for number, channel_id in ledger.stored_videos():
        is_known = number in before or lister.covers(channel_id)
        if is_known and not lister.has_listed(number):
            found.append(number)
    return found


def _chosen(wanted: Filter) -> str:
    """The filter as the options that made it."""
    given = {
        "since": iso(wanted.since), "until": iso(wanted.until),
        "protect": None if wanted.protect == "any" else wanted.protect,
        "match": None if wanted.match is None else wanted.match.pattern, "limit": wanted.limit,
    }  # fmt: skip
    return " ".join(f"--{name} {value}" for name, value in given.items() if value is not None)
