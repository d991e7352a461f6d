"""What a set-up installs is written down by hash, and agrees with pyproject.toml."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.lock import LOCKS, wanted

ROOT = Path(__file__).parent.parent
PLACES = [
    {
        "python_version": python, "python_full_version": f"{python}.1", "sys_platform": system,
        "implementation_name": "cpython", "platform_python_implementation": "CPython", "extra": "",
    }
    for python in ("3.11", "3.12", "3.13")
    for system in ("linux", "darwin")
]  # fmt: skip


def text(lock: str) -> str:
    return (ROOT / f"requirements/{lock}.txt").read_text()


def entries(lock: str) -> list[tuple[Requirement, list[str]]]:
    """Each package of the lock, with its hashes."""
    joined = re.sub(r"\\\n\s*", " ", text(lock))
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    parts = [re.split(r"\s+(?=--)", line) for line in lines]
    return [(Requirement(asked), hashes) for asked, *hashes in parts]


def versions(lock: str, place: dict[str, str]) -> dict[str, str]:
    """What the lock installs at *place*, by name."""
    found: dict[str, str] = {}
    for asked, _ in entries(lock):
        if asked.marker is None or asked.marker.evaluate(place):
            name = canonicalize_name(asked.name)
            assert name not in found, f"{name} has two versions at {place}"
            found[name] = str(asked.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize(
    "place", PLACES, ids=lambda at: f"{at['sys_platform']}-{at['python_version']}"
)
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_what_pyproject_asks_for(lock: str, place: dict[str, str]) -> None:
    """Whoever changes a bound and forgets `make lock` is told."""
    there = versions(lock, place)
    for line in wanted(lock):
        asked = Requirement(line)
        if asked.marker is not None and not asked.marker.evaluate(place):
            continue
        version = there.get(canonicalize_name(asked.name))
        assert version is not None, f"make lock: {asked.name} is missing"
        assert asked.specifier.contains(version), f"make lock: {asked.name} {version}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_named_by_version_and_hashes_and_no_address(lock: str) -> None:
    """A version alone can be uploaded anew; an address ties a set-up to one registry."""
    for asked, rest in entries(lock):
        assert [one.operator for one in asked.specifier] == ["=="], asked
        assert rest, asked
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word) for word in rest), asked
        assert asked.url is None
    assert not re.search(r"://|--(extra-)?index|--find-links|\bfile:", text(lock))


@pytest.mark.parametrize(("less", "more"), list(pairwise(LOCKS)))
def test_a_larger_set_up_only_adds(less: str, more: str) -> None:
    """What the tests saw is what the user runs."""
    small = {f"{asked.name}{asked.specifier}": hashes for asked, hashes in entries(less)}
    large = {f"{asked.name}{asked.specifier}": hashes for asked, hashes in entries(more)}
    assert small.items() <= large.items()
