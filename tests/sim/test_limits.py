"""Limits, at their edges: how often, how long, how many. In virtual time each can be met exactly."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import gc
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.core.head.machine import HeadConfig
from actorgrid.sim import grid
from actorgrid.util import state
from tests.contract.tools import count_run, kill_this_process, runs


def simulated(program: Callable[..., Any], *args: Any, checks: bool = True, **options: Any) -> Any:
    """Run a program on a simulated grid of two CPUs, and return its result."""

    def main() -> Any:
        ag.init(**{"num_cpus": 2} | options)
        return program(*args)

    run = sim.run(main, checks=checks)
    if run.error is not None:
        raise run.error
    return run.value


#: Looking at the clock takes time, too (seconds).
LITTLE = 1e-4


def keeping_two(*args: Any, **options: Any) -> HeadConfig:
    """Return a configuration as real processes have it: the pool is kept as large as there are CPUs."""
    return msgspec.structs.replace(HeadConfig(*args, **options), keep_workers=2)


@ag.remote(num_cpus=0)
def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@ag.remote(max_restarts=-1, max_task_retries=-1)
class Stillborn:
    def __init__(self, births: Path, seconds: float) -> None:
        time.sleep(seconds if count_run(births) > 1 else 0)
        kill_this_process()

    def answer(self) -> None: ...


# ------------------------------------------------------------------------------------------ actors that keep dying


def dies_for_good(births: Path, seconds: float) -> str:
    with pytest.raises(ag.exceptions.ActorDiedError) as caught:
        ag.get(Stillborn.remote(births, seconds).answer.remote(), timeout=60)
    return str(caught.value)


def test_eleven_deaths_within_five_seconds_are_too_many(tmp_path: Path) -> None:
    births = tmp_path / "births"
    told = simulated(dies_for_good, births, 0.1)
    assert runs(births) == 11
    assert "11 deaths within 5 s, no call served between them, are more than restart_intensity=10 allows" in told


def test_deaths_that_are_far_enough_apart_are_not(tmp_path: Path) -> None:
    births = tmp_path / "births"
    with pytest.raises(ag.exceptions.GetTimeoutError):
        simulated(dies_for_good, births, 1.0, restart_intensity=2, restart_period=2.0)
    assert runs(births) > 20  # four within four seconds, with their pauses


def test_two_deaths_are_too_many_if_one_is_allowed(tmp_path: Path) -> None:
    births = tmp_path / "births"
    assert "2 deaths within 2 s" in simulated(dies_for_good, births, 1.0, restart_intensity=1, restart_period=2.0)
    assert runs(births) == 2


# -------------------------------------------------------------------------------------------------------------- time


def late(path: Path, seconds: float, ends: str) -> int:
    """Take so long, and the first time end badly."""
    count = count_run(path)
    time.sleep(seconds)
    if count == 1 and ends == "raises":
        raise ValueError
    if count == 1 and ends == "dies":
        kill_this_process()
    return count


@ag.remote(max_retries=3, retry_exceptions=True)
def late_the_first_time(path: Path, seconds: float, ends: str) -> int:
    return late(path, seconds, ends)


@pytest.mark.parametrize("ends", ["raises", "dies"])
def test_each_run_of_a_task_has_its_own_run_timeout(tmp_path: Path, ends: str) -> None:
    def program() -> int:
        return int(ag.get(late_the_first_time.options(run_timeout=10).remote(tmp_path / "runs", 8, ends)))

    assert simulated(program) == 2


@pytest.mark.parametrize("ends", ["raises", "dies"])
def test_all_runs_of_a_task_share_its_timeout(tmp_path: Path, ends: str) -> None:
    def program() -> float:
        began = time.monotonic()
        with pytest.raises(ag.exceptions.TaskTimeoutError, match="took longer than its timeout of 10 s"):
            ag.get(late_the_first_time.options(timeout=10).remote(tmp_path / "runs", 8, ends))
        return time.monotonic() - began

    assert simulated(program) == pytest.approx(10, abs=0.1)
    assert runs(tmp_path / "runs") == 2


@ag.remote(num_cpus=0, max_restarts=-1, concurrency_groups={"apart": 1})
class Late:
    @ag.method(max_task_retries=3, retry_exceptions=True)
    def late_the_first_time(self, path: Path, seconds: float, ends: str) -> int:
        return late(path, seconds, ends)

    @ag.method(concurrency_group="apart")
    def apart(self, seconds: float) -> float:
        return self.nap(seconds)

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


@pytest.mark.parametrize("ends", ["raises", "dies"])
def test_each_run_of_a_call_has_its_own_run_timeout(tmp_path: Path, ends: str) -> None:
    def program() -> int:
        call = Late.remote().late_the_first_time.options(run_timeout=10)
        return int(ag.get(call.remote(tmp_path / "runs", 8, ends)))

    assert simulated(program) == 2


@pytest.mark.parametrize("method", ["apart", "nap"])
@pytest.mark.parametrize("at_once", [1, 2])
def test_run_timeout_of_a_call_does_not_count_its_time_behind_others(method: str, at_once: int) -> None:
    def program() -> list[float]:
        call = getattr(Late.options(max_concurrency=at_once).remote(), method).options(run_timeout=10)
        found: list[float] = ag.get([call.remote(8) for _ in range(5)])
        return found

    assert simulated(program) == [8] * 5


@ag.remote(max_retries=20, retry_exceptions=True)
def note_and_fail(path: Path) -> None:
    with path.open("a", encoding="ascii") as file:
        file.write(f"{time.monotonic()}\n")
    raise ValueError


def test_pauses_between_the_runs_of_a_task_that_fails_double_up_to_five_seconds(tmp_path: Path) -> None:
    def program() -> None:
        with pytest.raises(ValueError, match=r"^"):
            ag.get(note_and_fail.remote(tmp_path / "times"))

    simulated(program)
    times = [float(line) for line in (tmp_path / "times").read_text(encoding="ascii").splitlines()]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[0] < LITTLE
    longest = [min(0.01 * 2**number, 5.0) for number in range(19)]
    assert all(most / 2 <= pause <= most + LITTLE for pause, most in zip(pauses[1:], longest, strict=True)), pauses


def test_idle_workers_beyond_the_cpus_leave_after_a_second() -> None:
    def alive() -> int:
        return len(state.list_workers(filters=[("is_alive", "=", True), ("worker_type", "=", "WORKER")]))

    def program() -> list[int]:
        ag.get([nap.remote(1) for _ in range(6)])
        counts = [alive()]
        for pause in (0.9, 0.2, 100):
            time.sleep(pause)
            counts.append(alive())
        return counts

    assert simulated(program) == [6, 6, 0, 0]  # a simulated pool keeps none
    with mock.patch.object(grid, "HeadConfig", keeping_two):
        assert simulated(program) == [6, 6, 2, 2]


# ------------------------------------------------------------------------------------------------- what is remembered


@ag.remote
def one() -> int:
    return 1


def test_so_many_tasks_that_finish_are_remembered_in_a_second() -> None:
    def program() -> list[int]:
        counts = []
        for pause in (0.0, 0.0, 0.5, 2.0):
            time.sleep(pause)
            ag.get([one.remote() for _ in range(1200)])
            counts.append(len(state.list_tasks(limit=10_000)))
        return counts

    first, second, third, fourth = simulated(program, checks=False)
    assert 1000 <= first < 1100
    assert first <= second < first + 100
    assert 480 <= third - second <= 600
    assert 1000 <= fourth - third < 1100


def once() -> int:
    return 1


@ag.remote(max_retries=0)
def fail(size: int) -> None:
    raise ValueError("x" * size)


def test_long_errors_are_not_remembered() -> None:
    def program() -> list[bool]:
        kept = []
        for size in (100, 7_000, 50_000):
            with pytest.raises(ValueError, match="x"):
                ag.get(fail.remote(size))
            (task,) = state.list_tasks(filters=[("state", "=", "FAILED")], limit=1, detail=True)
            kept.append("x" * size in (task.error_message or ""))
        return kept

    assert simulated(program) == [True, True, False]


def test_what_has_finished_is_counted_by_name_although_it_is_not_remembered() -> None:
    def program() -> Any:
        ag.get([one.remote() for _ in range(1500)])
        for pause in (0, 0, 0):
            ag.get(nap.remote(pause))
        for _ in range(2):
            another = ag.remote(once)
            ag.get([another.remote() for _ in range(10)])
            del another
            gc.collect()
        tasks = state.summarize_tasks()["cluster"]["summary"]
        return {name: entry["state_counts"] for name, entry in tasks.items()}

    assert simulated(program, checks=False) == {
        "one": {"FINISHED": 1500},
        "nap": {"FINISHED": 3},
        "once": {"FINISHED": 20},
    }


# --------------------------------------------------------------------------------------------------- what is let go


@ag.remote(num_cpus=0)
def make(size: int) -> bytes:
    return bytes(size)


def test_results_that_nobody_waits_for_take_no_room() -> None:
    def program() -> int:
        for _ in range(30):
            make.remote(200_000)
            time.sleep(0.1)  # the same process makes them all
        refs = [ag.put(bytes(200_000)) for _ in range(3)]
        return sum(len(ag.get(ref)) for ref in refs)

    assert simulated(program, object_store_memory=1_000_000, object_spilling_directory="") == 600_000


# ---------------------------------------------------------------------------------------------------------- patience


@ag.remote
def when() -> float:
    now = time.monotonic()
    time.sleep(1)
    return now


def test_task_that_needs_much_is_overtaken_by_32_that_need_less_and_no_more() -> None:
    def program() -> int:
        small = [when.remote()]
        time.sleep(0.1)
        large = when.options(num_cpus=2).remote()
        small += [when.remote() for _ in range(100)]
        began = ag.get(large)
        return sum(each < began for each in ag.get(small))

    assert simulated(program) == 1 + 32
