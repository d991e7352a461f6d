"""Draw the life cycle from its table: ``python tools/draw_lifecycle.py > docs/lifecycle.mmd``.

A drawing made by hand drifts from the code; this one cannot.
"""

from __future__ import annotations

from collections import defaultdict

from archiver.core.lifecycle import TRANSITIONS

QUIET = {"Delayed", "Hindered", "GaveUp"}  # the same arrow from every state: said once, in words


def mermaid() -> str:
    """Return the automaton as a Mermaid state diagram, stable from run to run."""
    lines = ["stateDiagram-v2", "    [*] --> discovered: Listed"]
    for source, arrows in TRANSITIONS.items():
        labels: dict[str, list[str]] = defaultdict(list)
        for event, target in arrows.items():
            if event.__name__ not in QUIET:
                labels[target].append(event.__name__)
        lines += [f"    {source} --> {to}: {' / '.join(names)}" for to, names in labels.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(mermaid(), end="")
