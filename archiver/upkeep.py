"""Looking after an archive: reading its files again, mending, putting videos back in the queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.adapters.check_log import note_check
from archiver.adapters.clock import SystemClock
from archiver.adapters.lock import running
from archiver.adapters.places import PRIVATE
from archiver.care import verify as care
from archiver.care.repair import Mended, explain
from archiver.care.repair import repair as mend
from archiver.core.model import DAY_S, Holding, VideoId
from archiver.opening import changing
from archiver.reading import reading
from archiver.records.tag_files import write_tag_files
from archiver.surroundings import REAL, Surroundings


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found; ``mended``: what was done about it, where that was asked for."""

    verdict: care.Verdict
    mended: Mended | None = None

    @property
    def exit_code(self) -> int:
        """0 where everything matches."""
        return 0 if self.verdict.is_clean else 1

    def as_json(self) -> dict[str, Any]:
        """The object of ``verify --json``."""
        answer = self.verdict.as_json()
        if self.mended is not None:
            answer["queued"] = [each.as_json() for each in self.mended.queued]
            answer["rewritten"] = [each.as_json() for each in self.mended.rewritten]
        return answer


async def verify(
    dest: str,
    *,
    sample: float | None = None,
    progress: Callable[[Holding], None] | None = None,
) -> VerifyReport:
    """Re-read the files and compare them with ledger and manifest.

    Args:
        sample: the share of the files to read, from 0 to 1, another one every day; None for all.
        progress: told of each file that was looked at.

    Raises:
        DestinationError: there is no archive.
    """
    # Asked before the records are read: what a run adds from now on is none of our business.
    now = SystemClock().now()
    async with reading(dest) as ledger:
        # Nobody at work, nobody killed at it: then also what came a moment ago is a stranger.
        quiet = running(Path(dest) / PRIVATE / "lock") is None and await ledger.last_run_ended()
        verdict = await care.verify(
            dest, ledger.holdings(), sample, progress or (lambda _holding: None),
            night=int(now // DAY_S), started_at=now, leeway_s=0.0 if quiet else care.SKEW_MOST_S,
        )  # fmt: skip
        await explain(ledger, verdict)
    note_check(dest, verdict.as_check(now))
    return VerifyReport(verdict)


async def repair(
    dest: str,
    *,
    sample: float | None = None,
    progress: Callable[[Holding], None] | None = None,
    say: Callable[[str], None] = lambda _text: None,
    surroundings: Surroundings = REAL,
) -> VerifyReport:
    """Verify, then set aside and queue for the next run what does not match, or write it anew.

    Args:
        sample, progress: as for ``verify``.
        say: told what happened to the archive as a whole.

    Raises:
        DestinationError: there is no archive, or a run is going on.
    """
    opening = changing(dest, create=False, say=say, as_it_stands=True, surroundings=surroundings)
    async with opening as archive:
        vault, ledger, clock = archive.vault, archive.ledger, archive.clock
        verdict = await care.verify(
            dest, ledger.holdings(), sample, progress or (lambda _holding: None),
            night=int(clock.now() // DAY_S),
        )  # fmt: skip
        mended = await mend(vault, ledger, verdict, clock)
        await explain(ledger, verdict)
        note_check(dest, verdict.as_check(clock.now()))
        await write_tag_files(vault, ledger, clock.now(), is_checked=True)
        return VerifyReport(verdict, mended)


async def retry(
    dest: str,
    video_ids: Sequence[VideoId] | None,
    *,
    say: Callable[[str], None] = lambda _text: None,
) -> int:
    """Put parked videos back in the queue, all of them or *video_ids*; how many there were.

    Args:
        say: told what happened to the archive as a whole.

    Raises:
        DestinationError: there is no archive, or a run is going on.
    """
    async with changing(dest, create=False, say=say) as archive:
        ids = video_ids
        if ids is None:
            ids = await archive.ledger.parked_ids()
        return await archive.ledger.reopen_parked(ids, archive.clock.now())
