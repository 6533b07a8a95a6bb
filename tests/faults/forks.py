"""FT: forks, threads, processes below tasks, and tasks below tasks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import os
import random
import ssl
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import actorgrid as ag
from actorgrid.testing.processes import RealGrid
from tests.faults.catalogue import LIMIT, Case, Elsewhere, Gives, fate, get, numpy, run

# ------------------------------------------------------------------------------------------------- what the tasks do


def square(number: int) -> int:
    return number * number


def fork_a_child() -> int:
    child = os.fork()
    if not child:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def use_multiprocessing(method: str) -> list[int]:
    with multiprocessing.get_context(method).Pool(2) as pool:
        squares = pool.map(square, range(10))
        pool.close()
        pool.join()
    return squares


def use_an_executor() -> list[int]:
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        return list(pool.map(square, range(10)))


def start_a_program() -> str:
    return subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True).stdout


def draw() -> tuple[Any, ...]:
    return os.getpid(), random.random(), ssl.RAND_bytes(8), uuid.uuid4(), float(numpy().random.random())


def nest(depth: int) -> int:
    return 0 if not depth else 1 + int(ag.get(run(nest, depth - 1)))


def leave(status: int) -> None:
    os._exit(status)


@ag.remote(num_cpus=0)
class Drawer:
    def draw(self) -> tuple[Any, ...]:
        return draw()


# ------------------------------------------------------------------------------------------- how it is brought about


def launcher_has_one_thread(folder: Path) -> bool:
    del folder
    refs = [run(leave, 1, max_retries=0) for _ in range(8)]
    assert all(fate(ref) for ref in refs)
    return len(list(Path(f"/proc/{RealGrid().launcher.pid}/task").iterdir())) == 1


def different_numbers(folder: Path) -> bool:
    del folder
    drawers: list[Any] = [Drawer.remote() for _ in range(4)]  # type: ignore[attr-defined]  # the decorator
    drawn = list(zip(*get([drawer.draw.remote() for drawer in drawers]), strict=True))
    return all(len(set(numbers)) == 4 for numbers in drawn)


def from_many_threads(folder: Path) -> bool:
    del folder
    shared = run(square, 12)
    results: list[Any] = []

    def use(number: int) -> None:
        mine = get([run(square, number + offset) for offset in range(20)])
        results.append((mine == [(number + offset) ** 2 for offset in range(20)], get(shared)))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    return results == [(True, 144)] * 32


def one_reference_many_waits(folder: Path) -> bool:
    """Sixteen threads wait for one value that is still to come."""
    del folder
    gate, results = run(start_a_program), []
    threads = [threading.Thread(target=lambda: results.append(get(gate))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    return results == ["42\n"] * 16


def from_an_event_loop(folder: Path) -> bool:
    del folder

    async def use(number: int) -> int:
        value: int = await run(square, number)
        return value

    async def main() -> list[int]:
        return await asyncio.wait_for(asyncio.gather(*(use(number) for number in range(200))), LIMIT)

    return asyncio.run(main()) == [number * number for number in range(200)]


def in_a_task(method: str) -> Any:
    return lambda _: run(use_multiprocessing, method, max_calls=1)


SQUARES = [number * number for number in range(10)]

CASES = [
    Case("FT05", "launcher keeps one thread", launcher_has_one_thread),
    Case("FT07", "workers draw different numbers", different_numbers),
    Case("FT08-threads", "32 threads submit and get", from_many_threads),
    Case("FT08-one", "16 threads wait for one reference", one_reference_many_waits),
    Case("FT08-asyncio", "200 coroutines submit and await", from_an_event_loop),
    Case("FT10-fork", "task forks a child", lambda _: run(fork_a_child), Gives(7)),
    *(Case(f"FT10-{method}", f"task uses a pool of processes by {method}",
           in_a_task(method), Gives(SQUARES), slow=method != "fork")
      for method in ("fork", "spawn", "forkserver")),
    Case("FT10-executor", "task uses ProcessPoolExecutor", lambda _: run(use_an_executor), Gives(SQUARES)),
    Case("FT10-program", "task starts a program", lambda _: run(start_a_program), Gives("42\n")),
    Case("FT11", "tasks nest deeper than there are workers", lambda _: run(nest, 16), Gives(16)),
]  # fmt: skip

ELSEWHERE = [
    Elsewhere("FT01", "threads that hold locks", "tests/proc/test_startup.py::"
              "test_grid_starts_while_threads_of_its_program_hold_the_locks_that_a_copy_of_it_would_wait_for"),
    Elsewhere("FT01", "forks of the driver", "tests/proc/test_forks.py::test_multiprocessing_pool_beside_a_grid"),
    Elsewhere("FT01", "two hundred starts", "tests/proc/test_startup.py::"
              "test_no_worker_hangs_though_threads_of_the_driver_print_and_log_all_the_time"),
    Elsewhere("FT02", "used by the driver before", "tests/proc/test_environment.py::"
              "test_numerical_library_that_the_driver_has_used_with_threads_works_in_tasks"),
    Elsewhere("FT02", "preloaded", "tests/proc/test_environment.py::"
              "test_numerical_libraries_of_preloaded_modules_start_no_threads_before_the_fork"),
    Elsewhere("FT10", "child of a task returns", "tests/contract/test_attacks.py::"
              "test_child_that_a_task_forks_may_return_and_only_the_parent_answers"),
]  # fmt: skip
