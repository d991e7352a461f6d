"""``make crash``: a crash at every change of the disk, in every protocol; prints what came of it.

Ends with 1 if anything was lost.  Arguments: images at each point, and names of protocols or parts
of names; none for all.
"""

from __future__ import annotations

import logging
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.crash.points import Report, Trial
from tests.crash.protocols import PROTOCOLS

SIDE_BY_SIDE = 2
NESTED_SHARE = 50  # images at a point of a recovery: one for so many at a point of the protocol
HEAD = f"{'protocol':<30}{'points':>8}{'images':>9}{'different':>11}{'nested':>8}{'violations':>12}"


def tried(name: str, images: int) -> tuple[str, Report]:
    """One protocol, by name: it is found again in the process that does the work."""
    logging.disable(logging.WARNING)  # a poor disk is told of once a process; here it is always one
    protocol = next(each for each in PROTOCOLS if each.name == name)
    return name, Trial(protocol, images=images, nested=max(1, images // NESTED_SHARE)).run()


def line(name: str, report: Report) -> str:
    """One row of the table."""
    return (
        f"{name:<30}{report.points:>8}{report.images:>9}{report.different:>11}{report.nested:>8}"
        f"{sum(report.wrong.values()):>12}"
    )


def main(images: int, wanted: list[str]) -> int:
    names = [p.name for p in PROTOCOLS if not wanted or any(word in p.name for word in wanted)]
    total, began = Report(), time.monotonic()
    print(HEAD)
    with ProcessPoolExecutor(SIDE_BY_SIDE) as pool:
        for done in as_completed([pool.submit(tried, name, images) for name in names]):
            name, report = done.result()
            print(line(name, report), flush=True)
            for finding, count in report.wrong.most_common(20):
                print(f"  {count} x {finding}, first {report.where[finding]}", flush=True)
            total.merge(report)
    print(line(f"{len(names)} protocols", total))
    print(f"{total.runs} runs to the end, {time.monotonic() - began:.0f} s")
    return int(bool(total.wrong))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
