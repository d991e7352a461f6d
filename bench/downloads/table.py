"""From the costs of all rounds to one table: medians, spread, and the ratio to the best peer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

GIB = 1 << 30
_HEADS = (
    "tool", "wall s", "min..max", "x best peer", "user s", "sys s", "CPU s/GiB", "x best peer",
    "server CPU s", "peak MiB",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one tool.  Seconds, MiB."""

    tool: str
    is_peer: bool
    wall_s: float
    user_s: float
    sys_s: float
    server_s: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of one tool's rounds.  ``ratio`` and ``cpu_ratio``: to the best peer's."""

    tool: str
    wall_s: float
    least_s: float
    most_s: float
    ratio: float | None
    user_s: float
    sys_s: float
    cpu_s_gib: float
    cpu_ratio: float | None
    server_s: float
    peak_mib: float


def rows(measured: Iterable[Measured], size: int) -> list[Row]:
    """One row a tool, the fastest first.

    Args:
        size: bytes that each run downloaded.
    """
    tools: dict[str, list[Measured]] = {}
    for each in measured:
        tools.setdefault(each.tool, []).append(each)
    peers = [runs for runs in tools.values() if runs[0].is_peer]
    best_s = min((median(_walls(runs)) for runs in peers), default=None)
    best_cpu_s = min((median(_cpus(runs)) for runs in peers), default=None)
    found = [_row(tool, runs, size, best_s, best_cpu_s) for tool, runs in tools.items()]
    return sorted(found, key=lambda row: row.wall_s)


def _row(
    tool: str, runs: Sequence[Measured], size: int, best_s: float | None, best_cpu_s: float | None
) -> Row:
    walls, cpu_s = _walls(runs), median(_cpus(runs))
    return Row(
        tool, median(walls), min(walls), max(walls),
        None if best_s is None else median(walls) / best_s,
        median(each.user_s for each in runs), median(each.sys_s for each in runs),
        cpu_s / (size / GIB), None if best_cpu_s is None else cpu_s / best_cpu_s,
        median(each.server_s for each in runs), median(each.peak_mib for each in runs),
    )  # fmt: skip


def _walls(runs: Sequence[Measured]) -> list[float]:
    return [each.wall_s for each in runs]


def _cpus(runs: Sequence[Measured]) -> list[float]:
    return [each.user_s + each.sys_s for each in runs]


def shown(title: str, found: Sequence[Row], failed: Mapping[str, str]) -> str:
    """The table as Markdown, and below it who failed and why."""
    marks = ["---"] + ["---:"] * (len(_HEADS) - 1)
    lines = [f"### {title}", "", _line(_HEADS), _line(marks), *map(_cells, found)]
    lines += [f"- {tool} failed: {why}" for tool, why in failed.items()]
    return "\n".join([*lines, ""])


def _cells(row: Row) -> str:
    numbers = (
        f"{row.wall_s:.2f}", f"{row.least_s:.2f}..{row.most_s:.2f}", _ratio(row.ratio),
        f"{row.user_s:.2f}", f"{row.sys_s:.2f}", f"{row.cpu_s_gib:.2f}", _ratio(row.cpu_ratio),
        f"{row.server_s:.2f}", f"{row.peak_mib:.0f}",
    )  # fmt: skip
    return _line((row.tool, *numbers))


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
