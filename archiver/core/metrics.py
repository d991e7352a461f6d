"""How the last run went, as a text that Prometheus reads (its "text-based format").

Every figure is of one archive, named by a label: several may be collected by one machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from archiver.core.model import Instant
from archiver.core.summary import Summary

_GOOD = "archiver_last_good_run_timestamp_seconds"
_HELP: Mapping[str, str] = {
    "archiver_last_run_timestamp_seconds": "When the last run began, in Unix time.",
    "archiver_last_run_duration_seconds": "How long the last run took.",
    "archiver_last_run_exit_code": "How the last run ended: 0 done, 5 stopped in time, else not.",
    "archiver_last_run_warnings": "What the last run warned of, counted.",
    _GOOD: "When the last run ended that ended with 0 or 5, in Unix time.",
    "archiver_last_run_videos": "The videos that the last run selected, by what became of them.",
    "archiver_last_run_bytes": "Bytes that the last run downloaded, and archived.",
    "archiver_last_run_api_calls": "Calls that the last run sent to the vendor, by purpose.",
    "archiver_last_run_expired": "Versions that ran out before the last run could fetch them.",
    "archiver_videos_to_be_deleted": "Selected videos that the vendor deletes within 31 days.",
    "archiver_videos_not_safe": "Those of them that are not archived.",
}


def exposition(summary: Summary, archive: str, ended_at: Instant, warnings: int, old: str) -> str:
    """The text for a collector.

    Args:
        archive: the destination, as it was named.
        ended_at: when the run ended, Unix seconds.
        warnings: how many the run gave.
        old: the text of the run before, from which the time of the last good end is kept.
    """
    label = f'archive="{_escaped(archive)}"'
    lines: list[str] = []
    for name, samples in _families(summary, ended_at, warnings, _kept(old, label)):
        if samples:
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]
        for more, value in samples.items():
            inner = f"{label},{more}" if more else label
            lines.append(f"{name}{{{inner}}} {value}")
    return "\n".join(lines) + "\n"


def _families(
    summary: Summary, ended_at: Instant, warnings: int, kept: str
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Each metric, and its samples: what is added to the label, and the value."""
    yield "archiver_last_run_timestamp_seconds", {"": f"{summary.started_at:.0f}"}
    yield "archiver_last_run_duration_seconds", {"": f"{summary.seconds:.3f}"}
    yield "archiver_last_run_exit_code", {"": str(summary.exit_code)}
    yield "archiver_last_run_warnings", {"": str(warnings)}
    good = f"{ended_at:.0f}" if summary.is_good else kept
    yield _GOOD, {"": good} if good else {}
    if summary.outcome == "refused" and not summary.selected:
        return  # nothing is known of the videos, which is not the same as none
    told = summary.as_json()
    for name, key, by in (
        ("archiver_last_run_videos", "videos", "state"),
        ("archiver_last_run_bytes", "bytes", "kind"),
        ("archiver_last_run_api_calls", "api_calls", "purpose"),
    ):
        each: Mapping[str, int] = told[key]
        yield name, {f'{by}="{what}"': str(n) for what, n in each.items() if what != "selected"}
    yield "archiver_last_run_expired", {"": str(summary.expired)}
    yield "archiver_videos_to_be_deleted", {"": str(summary.deletion.within_31_days)}
    yield "archiver_videos_not_safe", {"": str(len(summary.deletion.not_safe))}


def _kept(old: str, label: str) -> str:
    """When this archive's last good run ended; another one's time would hide that there is none."""
    sample = rf"^{_GOOD}\{{{re.escape(label)}\}} (\d+(?:\.\d+)?)$"
    found = re.search(sample, old, re.MULTILINE)
    return found[1] if found else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
