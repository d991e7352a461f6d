"""``make crash``, ``make nth``, ``make kill``: crashes and failures at every place there is.

``python -m tests.crash cut IMAGES [NAME…]``: a power cut at each point of the named protocols,
all without names;
``python -m tests.crash nth STRIDE [NAME…]``: each STRIDE-th call of the named ports fails;
``python -m tests.crash kill N``: N kills of real processes.
Prints what came of it, and ends with 1 if anything was lost.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from tests.crash.killing import Life, lives
from tests.crash.nth import BENCHES, NIGHT, Bench, Tally
from tests.crash.points import Report, Trial
from tests.crash.protocols import PROTOCOLS

SIDE_BY_SIDE = 2
NESTED_SHARE = 100  # images at a point of a recovery: one for so many at a point of the protocol
TWIN_EACH = 3  # a kill is gone on from at every so manieth point
SHOWN_MOST = 20
CUT_HEAD = (
    f"{'protocol':<30}{'points':>8}{'images':>9}{'different':>11}{'nested':>8}{'violations':>12}"
)
NTH_HEAD = f"{'port':<50}{'failures':>10}  {'how the runs ended':<34}{'violations':>12}"


def cut(number: int, images: int) -> tuple[str, Report]:
    """A power cut at every point of one protocol."""
    # A poor disk is told of once in a process; here it is always another disk.
    logging.disable(logging.WARNING)
    protocol = PROTOCOLS[number]
    nested = max(1, images // NESTED_SHARE)
    return protocol.name, Trial(protocol, images=images, nested=nested, twin_each=TWIN_EACH).run()


def fail(number: int, stride: int) -> tuple[str, Tally]:
    """One port, one call after the other."""
    return bench_name(number), Bench(*BENCHES[number], stride=stride).run()


def bench_name(number: int) -> str:
    """The port, the way it fails, and in what."""
    port, way = BENCHES[number]
    return f"{port.name}: {port.kind}" + (f", {way.name}" if way is not NIGHT else "")


def cut_line(name: str, report: Report) -> str:
    """One row of the table of ``cut``."""
    return (
        f"{name:<30}{report.points:>8}{report.images:>9}{report.different:>11}{report.nested:>8}"
        f"{sum(report.wrong.values()):>12}"
    )


def nth_line(name: str, tally: Tally) -> str:
    """One row of the table of ``nth``."""
    codes = ", ".join(f"{count} x {code}" for code, count in sorted(tally.codes.items()))
    return f"{name:<50}{tally.failures:>10}  {codes:<34}{len(tally.wrong):>12}"


def side_by_side(work: Callable[..., Any], jobs: Sequence[tuple[int, ...]]) -> Iterator[Any]:
    """What *work* says to each of *jobs*, as it comes."""
    with ProcessPoolExecutor(SIDE_BY_SIDE) as pool:
        for done in as_completed([pool.submit(work, *job) for job in jobs]):
            yield done.result()


def cut_all(images: int, wanted: list[str]) -> bool:
    """All protocols that are wanted; whether nothing was lost."""
    total, began = Report(), time.monotonic()
    numbers = [n for n, each in enumerate(PROTOCOLS) if is_wanted(each.name, wanted)]
    print(CUT_HEAD)
    for name, report in side_by_side(cut, [(number, images) for number in numbers]):
        print(cut_line(name, report), flush=True)
        for finding, count in report.wrong.most_common(SHOWN_MOST):
            print(f"  {count} x {finding}, first {report.where[finding]}", flush=True)
        total.merge(report)
    print(cut_line(f"{len(numbers)} protocols", total))
    print(f"{total.runs} runs to the end, {time.monotonic() - began:.0f} s")
    return not total.wrong


def fail_all(stride: int, wanted: list[str]) -> bool:
    """All ports that are wanted; whether nothing was lost."""
    total, began = Tally(), time.monotonic()
    numbers = [n for n in range(len(BENCHES)) if is_wanted(bench_name(n), wanted)]
    print(NTH_HEAD)
    for name, tally in side_by_side(fail, [(number, stride) for number in numbers]):
        print(nth_line(name, tally), flush=True)
        for finding in tally.wrong[:SHOWN_MOST]:
            print(f"  {finding}", flush=True)
        total.failures += tally.failures
        total.codes += tally.codes
        total.wrong += tally.wrong
    print(nth_line(f"{len(numbers)} ports and ways", total))
    print(f"{time.monotonic() - began:.0f} s")
    return not total.wrong


def kill_all(kills: int) -> bool:
    """So many kills, of the archives of two worlds side by side; whether nothing was lost."""
    total, began = Life(), time.monotonic()
    share = -(-kills // SIDE_BY_SIDE)
    for life in side_by_side(lives, [(seed, share) for seed in range(SIDE_BY_SIDE)]):
        total.add(life)
    seconds = time.monotonic() - began
    for phase, count in total.phases.most_common():
        print(f"{count:>7}  {phase}")
    for finding in total.wrong[:SHOWN_MOST]:
        print(finding)
    print(
        f"{total.kills} kills of {total.archives} archives, {total.kills / seconds:.1f} a second, "
        f"{len(total.wrong)} violations"
    )
    return not total.wrong


def is_wanted(name: str, wanted: list[str]) -> bool:
    """*name* holds one of the words, or there are none."""
    return not wanted or any(word in name for word in wanted)


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    match what:
        case "cut":
            is_well = cut_all(int(rest[0]), rest[1:])
        case "nth":
            is_well = fail_all(int(rest[0]), rest[1:])
        case _:
            is_well = kill_all(int(rest[0]))
    sys.exit(not is_well)
