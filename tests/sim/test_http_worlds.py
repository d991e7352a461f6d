"""The real program, client and emulator in simulated worlds: every promise holds, again and again.

``make sim SEED=n`` replays a world; here are a few, and what the simulation itself must hold.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from tests.sim import http_world
from tests.sim.http_drawn import FAULTS, VENDOR_FAULTS, draw
from tests.sim.http_world import lived
from tests.sim.loop import SimLoop, simulate
from tests.sim.network import API, Network

TELLS = """
import json, sys
from tests.sim.http_world import run
print(json.dumps([[run(seed).trace, run(seed).steps] for seed in map(int, sys.argv[1:])]))
"""
# What aiohttp takes from outside by itself.  The connector's clock and dice are replaced; cookies,
# multipart bodies, websockets, digests and access logs are not used; the emulator sets its dates.
KNOWN_OUTSIDE = {
    "client.py": {"os.urandom"},
    "client_middleware_digest_auth.py": {"import time", "os.urandom"},
    "connector.py": {"import random", "from time import monotonic"},
    "cookiejar.py": {"import time"},
    "helpers.py": {"import time"},
    "multipart.py": {"import uuid"},
    "web_log.py": {"import time"},
    "web_response.py": {"import time"},
}
OUTSIDE = re.compile(
    r"^\s*(import (?:time|random|uuid|secrets)\b|from (?:time|random|uuid|secrets) import .*)"
    r"|(os\.urandom)",
    re.MULTILINE,
)


def test_every_promise_holds(seed: int) -> None:
    outcome = http_world.run(10 * seed)
    assert not outcome.failure


def test_a_world_is_the_same_in_another_process() -> None:
    """Nothing depends on the order of a set, on an address in memory, or on the machine's clock."""
    seeds = ["20", "40"]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    told = subprocess.run(
        [sys.executable, "-c", TELLS, *seeds], env=environment, capture_output=True, check=True
    )
    here = [http_world.run(int(seed)) for seed in seeds]
    assert json.loads(told.stdout) == [[outcome.trace, outcome.steps] for outcome in here]
    assert all(outcome.steps > 100 for outcome in here)
    assert any(outcome.fired for outcome in here)


def test_a_world_with_fewer_misfortunes_is_otherwise_the_same() -> None:
    """So that a failure can be shrunk to the misfortunes that it needs."""
    whole, part = (draw(20, faults) for faults in (None, frozenset({"gzip"})))
    assert (whole.config.window_s, whole.sizes) == (part.config.window_s, part.sizes)
    assert http_world.run(20, frozenset()).fired == {}


def test_every_misfortune_of_the_emulator_can_be_drawn() -> None:
    assert set(VENDOR_FAULTS) <= FAULTS


def test_nothing_new_in_aiohttp_escapes_the_simulation() -> None:
    """A clock or dice that appear there would make worlds differ from run to run."""
    found = {}
    for path in sorted(Path(aiohttp.__file__).parent.glob("*.py")):
        matches = {one or two for one, two in OUTSIDE.findall(path.read_text())}
        if matches:
            found[path.name] = {re.sub(r" as \w+", "", match).strip() for match in matches}
    assert found == KNOWN_OUTSIDE


def test_a_night_ends_although_the_vendors_clock_goes_to_and_fro(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each leap forward looks like a machine that slept; back again, it must not have counted."""
    monkeypatch.setattr(http_world, "NIGHT_MOST_S", 86_400.0)  # of which two hours are patience
    drawn = draw(421, frozenset({"date-skew", "pending-forever"}))
    config = replace(
        drawn.config, videos=8, channels=1, playlists=0, window_s=86_400.0, rate_limit=None,
        generation_s=(1.0, 2.0),
    )  # fmt: skip
    world = replace(
        drawn, config=config, sizes=(20_000,) * 8, specs=("date-skew:0.3", "pending-forever!"),
        max_wait_s=7200.0, nights=1, requests=4, downloads=8,
    )  # fmt: skip
    outcome = lived(world)
    assert not outcome.failure
    assert outcome.fired["date-skew"] > 5


def test_how_late_the_other_ends_hear_of_it_hangs_on_no_order() -> None:
    """aiohttp closes its connections as a set gives them: by their addresses in memory."""
    assert closed(1) == closed(-1)


def closed(order: int) -> dict[str, float]:
    """Connections -> when their other ends heard that they were closed, in this order."""
    loop, heard = SimLoop(0), dict[str, float]()

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.name = f"connection {len(heard)}"
            heard[self.name] = 0.0

        def connection_lost(self, exc: Exception | None) -> None:
            heard[self.name] = loop.time()

    network = Network(loop, {API: Server})

    async def open_and_close() -> None:
        ends = [(await network.connect(API, lambda: ResponseHandler(loop)))[0] for _ in range(4)]
        for end in ends[::order]:
            end.abort()
        await asyncio.sleep(60.0)

    simulate(loop, open_and_close())
    assert all(heard.values())
    return heard
