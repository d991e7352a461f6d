"""The simulated loop: time, seeds, executors, and ends that never come."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from tests.sim.loop import OWNER, DeadlockError, LivelockError, SimLoop, simulate


def test_time_jumps_to_the_next_timer() -> None:
    async def main() -> list[float]:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(86_400.0 * 30)
        asleep = now()
        with anyio.move_on_after(5.0):
            await anyio.Event().wait()
        return [asleep, now()]

    assert simulate(SimLoop(), main()) == pytest.approx([2_592_000.0, 2_592_005.0])


def test_a_deadlock_is_told_instead_of_waited_for() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        simulate(SimLoop(), main())


def test_a_loop_in_which_no_time_passes_is_told() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(LivelockError):
        simulate(SimLoop(), main())


def test_a_world_without_an_end_is_told() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(LivelockError):
        simulate(SimLoop(steps_most=1000), main())


def test_work_for_an_executor_is_done_here_and_takes_a_moment() -> None:
    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: 7), loop.time()

    result, took_s = simulate(SimLoop(), main())
    assert result == 7
    assert 0 < took_s < 0.01


def test_one_hand_works_in_the_order_of_asking(seed: int) -> None:
    done: list[int] = []
    pool = ThreadPoolExecutor(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(pool, done.append, n) for n in range(20)))

    simulate(SimLoop(seed), main())
    assert done == list(range(20))


def test_a_crash_can_fall_before_and_after_the_work_that_is_under_way() -> None:
    """At the moment of asking some work is done already, some is not: which, the seed says."""
    seen = set()
    for seed in range(20):
        done: list[int] = []

        async def main(done: list[int] = done) -> bool:
            asyncio.get_running_loop().run_in_executor(None, done.append, 1)
            return bool(done)

        seen.add(simulate(SimLoop(seed), main()))
    assert seen == {True, False}


def test_the_end_of_a_pool_does_first_what_it_was_given() -> None:
    for seed in range(10):
        done: list[int] = []
        pool = ThreadPoolExecutor(1)

        async def main(pool: ThreadPoolExecutor = pool, done: list[int] = done) -> list[int]:
            loop = asyncio.get_running_loop()
            for number in range(3):
                loop.run_in_executor(pool, done.append, number)
            pool.shutdown()
            with pytest.raises(RuntimeError):
                loop.run_in_executor(pool, done.append, 3)
            return list(done)

        assert simulate(SimLoop(seed), main()) == [0, 1, 2]


def test_what_fails_in_an_executor_reaches_who_asked() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        simulate(SimLoop(), main())


def test_tasks_and_timers_are_known_by_their_owner() -> None:
    async def main() -> tuple[int, int, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        OWNER.set("program")
        loop.call_later(60.0, print)
        task = asyncio.create_task(asyncio.sleep(30.0))
        await asyncio.sleep(0)
        found = len(loop.tasks["program"]), len(loop.timers("program")), len(loop.timers("other"))
        task.cancel()
        return found

    assert simulate(SimLoop(), main()) == (1, 2, 0)


def test_tasks_that_are_cancelled_together_end_in_the_same_order_in_every_process() -> None:
    """Wherever they lie in memory: else a world that is stopped is not the same twice."""

    async def sleep(number: int, ended: list[int]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(number)

    async def story() -> list[int]:
        ended: list[int] = []
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(sleep, number, ended)
            await anyio.sleep(1.0)
            tasks.cancel_scope.cancel()
        return ended

    assert simulate(SimLoop(), story()) == list(range(100))


def test_a_callback_can_come_between_any_two_turns() -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        heard: list[str] = []
        loop.at_step(loop.steps + 2, lambda: heard.append("now"))
        for _ in range(4):
            heard.append("turn")
            await asyncio.sleep(0)
        return heard

    heard = simulate(SimLoop(), main())
    assert heard.count("now") == 1
    assert heard[0] == "turn"
    assert heard[-1] == "turn"


def test_names_are_answered_by_the_world_alone() -> None:
    async def main() -> object:
        loop = asyncio.get_running_loop()
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("example.com", 443)
        assert isinstance(loop, SimLoop)

        async def names(host: str) -> list[str]:
            return ["192.0.2.1"]

        loop.names = names
        return (await loop.getaddrinfo("example.com", 443))[0][4]

    assert simulate(SimLoop(), main()) == ("192.0.2.1", 443)


def test_there_is_no_way_to_a_real_socket() -> None:
    async def main() -> None:
        with pytest.raises(NotImplementedError):
            await asyncio.get_running_loop().sock_connect(socket.socket(), ("127.0.0.1", 9))

    with pytest.warns(ResourceWarning):
        simulate(SimLoop(), main())
