"""Killed at random moments, again and again: what was told stays true, and the work is not lost."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from tests.crash.program import (
    Place,
    Warm,
    is_complete,
    is_valid_bag,
    nothing_is_lost,
    requests_were_not_repeated,
    vendor,
)

KILLS_EACH = 20  # to one archive
REPEATED_MOST = 8 << 20  # bytes of a file that may come again after a kill
AT_ONCE = 6  # extras under way: half of eight calls, and two pictures
IN_SOCKETS = 4 << 20  # what the vendor counts as sent and no process ever saw


def options(seed: int) -> list[str]:
    """A vendor for some three seconds of work, in which every step overlaps with every other."""
    return [
        "--seed", str(seed), "--videos", "40", "--size", "50k-400k", "--generation", "0.05-0.6",
        "--line", "4M", "--window", "1h",
    ]  # fmt: skip


def kill_again_and_again(root: Path, seed: int, kills: int) -> None:
    """*kills* kills and one run to the end; everything that must hold."""
    chance = random.Random(seed)
    with vendor(*options(seed)) as them:
        program = Warm(place := Place(root, them.env))
        landed = 0
        for number in range(kills):
            # Every third comes at once: into the opening, and into its own recovery.
            wait_s = (
                chance.uniform(0.0, 0.06) if chance.random() < 1 / 3 else chance.uniform(0, 0.4)
            )
            result = program.run(*place.run_args(), kill_after_s=wait_s)
            assert result.code in (-9, 0), result.err
            landed += result.code == -9
            nothing_is_lost(place)
            if number % 4 == 3:
                after_a_kill(place, program)
        assert landed > kills // 2, "the work ended before the kills did"
        last = program.run(*place.run_args())
        assert (last.code, last.summary["outcome"]) == (0, "complete"), last.err
        is_complete(place, them, catalogue(place, program))
        requests_were_not_repeated(them)
        stats = them.get("stats")
        sizes = [video["size"] for video in them.get("videos")]
        broken = stats["downloads"] - len(sizes)
        most = min(REPEATED_MOST + IN_SOCKETS, max(sizes))
        assert stats["bytes_sent"] - sum(sizes) <= broken * most
        assert stats["credential_leaks"] == 0


def after_a_kill(place: Place, program: Warm) -> None:
    """Questions are answered, and the next command with the lock makes the bag valid."""
    if not place.is_made:
        return
    told = program.run("list", str(place.dest), "--json")
    assert told.code in (0, 4), told.err  # 4: the kill came before there was anything to list
    rows = [json.loads(line) for line in told.out.splitlines()]
    listed = {row["path"] for row in rows if row["state"] == "archived"}
    assert place.acknowledged.keys() <= listed
    place.acknowledged.update({row["path"]: row["sha256"] for row in rows if row["path"]})
    again = program.run("retry", str(place.dest))
    assert again.code == 0, again.err
    is_valid_bag(place.dest)


def catalogue(place: Place, program: Warm) -> list[dict[str, object]]:
    """What the archive says it holds."""
    told = program.run("list", str(place.dest), "--json")
    return [json.loads(line) for line in told.out.splitlines()]


def test_twenty_kills_and_one_run_to_the_end(tmp_path: Path) -> None:
    """Complete, right, nothing asked twice, nothing lost that was told."""
    kill_again_and_again(tmp_path, seed=1, kills=KILLS_EACH)


def test_extras_that_are_killed_again_and_again_go_on(tmp_path: Path) -> None:
    """Every file once and in the bag; what is asked for again was under way when the kill came."""
    chance = random.Random(4)
    with vendor(*options(4)) as them:
        env = {name: told for name, told in them.env.items() if name != "ARCHIVER_NO_EXTRAS"}
        program = Warm(place := Place(tmp_path, env))
        landed = 0
        for number in range(12):
            result = program.run(*place.run_args(), kill_after_s=chance.uniform(0.05, 0.5))
            assert result.code in (-9, 0), result.err
            landed += result.code == -9
            nothing_is_lost(place)
            if number % 4 == 3:
                after_a_kill(place, program)
        assert landed > 6, "the work ended before the kills did"
        last = program.run(*place.run_args())
        assert (last.code, last.summary["outcome"]) == (0, "complete"), last.err
        is_valid_bag(place.dest)
        names = [path.name for path in (place.dest / "data").rglob("*") if path.is_file()]
        assert len([name for name in names if name.endswith(".jpg")]) == 40
        assert not [name for name in names if "(2)" in name or " r2.jpg" in name]
        assert not [name for name in names if " r2." in name and name.endswith(".vtt")]
        asked = them.get("stats")["extras_by_path"]
        again = sum(count - 1 for count in asked.values())
        assert again <= landed * AT_ONCE, again


def test_a_large_file_goes_on_where_it_was_durable(tmp_path: Path) -> None:
    """At most 8 MiB of a download come a second time, however often it is killed."""
    size = 24_000_000
    options = ["--videos", "1", "--size", str(size), "--generation", "0", "--line", "24M"]
    with vendor(*options) as them:
        program = Warm(place := Place(tmp_path, them.env))
        for reached in (9 << 20, 18 << 20):
            kill_at_size(place, reached)
        last = program.run(*place.run_args())
        assert last.code == 0, last.err
        is_complete(place, them, catalogue(place, program))
        requests_were_not_repeated(them)
        stats = them.get("stats")
        assert stats["downloads"] == stats["ranges"] + 1 == 3
        assert stats["bytes_sent"] - size <= 2 * (REPEATED_MOST + IN_SOCKETS)
        assert last.summary["bytes"]["downloaded"] < size / 2


def kill_at_size(place: Place, reached: int) -> None:
    with place.process(*place.run_args()) as process:
        while max(place.part_bytes(), default=0) < reached:
            assert process.poll() is None
            time.sleep(0.01)  # until the file has grown
        process.kill()


@pytest.mark.slow
def test_killed_while_the_archive_is_made(tmp_path: Path) -> None:
    """A kill at any moment of the very first opening leaves a place that the next run takes."""
    options = ["--videos", "2", "--size", "20k", "--generation", "0"]
    with vendor(*options) as them:
        program = Warm(Place(tmp_path / "none"))
        for number in range(3):
            program.place = place = Place(tmp_path / str(number), them.env)
            killed = program.run(*place.run_args(), kill_after_s=0.02 * (number + 1))
            assert killed.code in (-9, 0), killed.err
            last = program.run(*place.run_args())
            assert last.code == 0, last.err
            is_complete(place, them, catalogue(place, program))
