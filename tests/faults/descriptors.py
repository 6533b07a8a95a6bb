"""MS and FD: memory, shared memory, descriptors, interrupted system calls."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.faults.catalogue import LIMIT, Case, Elsewhere, Gives, fate, get, numpy, raised, run

# ------------------------------------------------------------------------------------------------- what the tasks do


def exceed_the_address_space() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, hard))
    try:
        return len(bytearray(1 << 33))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _bytes_of(segment: shared_memory.SharedMemory) -> Any:
    return segment.buf


def sum_of_shared_memory(name: str) -> int:
    segment = shared_memory.SharedMemory(name)
    total = int(sum(_bytes_of(segment)[:100]))
    segment.close()
    return total


def descriptors_of_a_program(array: Any) -> tuple[float, list[str]]:
    """Start a program while shared memory is mapped; return the descriptors it was given beyond the standard ones."""
    code = (
        "import os; print(*[os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd') if int(fd) > 2])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, close_fds=False)
    return float(array.sum()), [word for word in told.stdout.split() if "memfd" in word or "socket" in word]


def open_until_it_fails() -> int:
    try:
        while True:
            _opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return len(_opened)


_opened: list[int] = []


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def echo(value: Any) -> Any:
    return value


def interrupted_all_the_time(value: Any) -> Any:
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            assert ag.get(ag.put(value))[0] == value[0]
        return ag.get(run(echo, value))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


# ------------------------------------------------------------------------------------------- how it is brought about


def users_own_shared_memory(folder: Path) -> bool:
    """The runtime neither unlinks a segment of the user's nor warns of it, also when a worker that used it ends."""
    del folder
    segment = shared_memory.SharedMemory(create=True, size=1000)
    try:
        _bytes_of(segment)[:100] = bytes([3]) * 100
        totals = get([run(sum_of_shared_memory, segment.name, max_calls=1) for _ in range(4)])
        return totals == [300] * 4 and Path("/dev/shm", segment.name.lstrip("/")).exists()  # a look
    finally:
        segment.close()
        segment.unlink()


def memory_and_programs(folder: Path) -> Any:
    del folder
    total, inherited = get(run(descriptors_of_a_program, ag.put(numpy().ones(200_000))))
    return [total, inherited]


def view_outlives_its_reference(folder: Path) -> bool:
    del folder
    arrays = [ag.get(ag.put(numpy().full(100_000, number))) for number in range(20)]  # each reference is gone at once
    return [int(array[-1]) for array in arrays] == list(range(20))


def without_descriptors(folder: Path) -> bool:
    """A task takes every descriptor of its worker and keeps them: its worker goes, and nobody else lacks any."""
    taken = run(open_until_it_fails)
    assert get(taken) > 50
    (folder / "file").write_text("text", encoding="utf-8")
    assert get([run(read, folder / "file") for _ in range(16)]) == ["text"] * 16
    large = numpy().arange(100_000)
    back = get([run(echo, large) for _ in range(16)])
    return all(bool((array == large).all()) for array in back)


def driver_is_interrupted_all_the_time(folder: Path) -> bool:
    del folder
    usual = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for number in range(30):
            large = numpy().full(50_000, number)
            assert get([run(echo, number), run(echo, "x")]) == [number, "x"]
            assert int(get(run(echo, large))[-1]) == number
        ready, rest = ag.wait([run(echo, number) for number in range(50)], num_returns=50, timeout=LIMIT)
        return len(ready) == 50 and not rest
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)


def memory_comes_back(folder: Path) -> bool:
    """What dead workers were writing and holding is free again."""
    del folder
    refs = [run(_hold_and_leave, ag.put(numpy().zeros(1 << 20)), max_retries=0) for _ in range(4)]
    assert all(isinstance(fate(ref), ag.exceptions.WorkerCrashedError) for ref in refs)
    full = ag.cluster_resources()["object_store_memory"]
    del refs
    return wait_until(lambda: ag.available_resources()["object_store_memory"] >= 0.9 * full, LIMIT)


def _hold_and_leave(array: Any) -> None:
    ag.put(array + 1)
    os._exit(1)


CASES = [
    Case("MS08", "task exceeds its address space", lambda _: run(exceed_the_address_space),
         raised(MemoryError, "exceed_the_address_space")),
    Case("MS11", "user has shared memory of their own", users_own_shared_memory),
    Case("MS14", "view outlives its reference", view_outlives_its_reference),
    Case("MS16", "program inherits no memory and no link", memory_and_programs, Gives([200_000.0, []])),
    Case("MS10", "memory of dead workers comes back", memory_comes_back),
    Case("FD02", "task keeps every descriptor", without_descriptors),
    Case("FD10-driver", "driver is interrupted all the time", driver_is_interrupted_all_the_time),
    Case("FD10-worker", "worker is interrupted all the time", lambda _: run(interrupted_all_the_time, [5] * 10),
         Gives([5] * 10)),
    Case("FD10-large", "worker with large values is interrupted all the time",
         lambda _: run(interrupted_all_the_time, b"x" * 300_000), Gives(b"x" * 300_000)),
]  # fmt: skip

ELSEWHERE = [
    Elsewhere("MS14", "after shutdown", "tests/proc/test_lifecycles.py::test_array_outlives_its_grid"),
    Elsewhere("FD01", "hard limit at start", "tests/proc/test_limits.py::"
              "test_limit_of_descriptors_that_is_too_low_for_a_grid_says_how_many_there_are_and_how_many_it_takes"),
    Elsewhere("FD01", "soft limit at start", "tests/proc/test_limits.py::"
              "test_program_that_has_too_few_descriptors_left_for_its_grid_is_told_both_numbers"),
    Elsewhere("FD01", "more workers", "tests/proc/test_attacks.py::"
              "test_hard_limit_of_descriptors_bounds_the_number_of_workers_with_a_typed_error"),
    Elsewhere("FD13", "nobody reads any more", "tests/proc/test_attacks.py::"
              "test_grid_works_though_whoever_read_what_the_program_prints_has_gone"),
    Elsewhere("FD13", "program | head -1", "tests/proc/test_attacks.py::"
              "test_broken_pipe_of_the_program_itself_is_its_own_error_and_its_grid_goes_with_it"),
    Elsewhere("FD13", "standard descriptors closed", "tests/proc/test_attacks.py::"
              "test_output_of_tasks_never_goes_into_a_link_where_standard_descriptors_are_closed"),
]  # fmt: skip
