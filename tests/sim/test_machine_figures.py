"""What a simulated process is told of the machine, of its group, and of its threads."""

from __future__ import annotations

import os
import posix
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import SimulationError


@ag.remote(max_retries=0)
def run_there(code: Callable[[], Any]) -> Any:
    return code()


def value_of(program: Callable[[], Any], seed: int = 0) -> Any:
    result = sim.run(program, seed=seed)
    if result.error is not None:
        raise result.error
    return result.value


@pytest.mark.parametrize(
    "ask",
    [lambda: int(os.getpgrp()), lambda: os.getpgid(0), lambda: os.getpgid(os.getpid()), lambda: os.getsid(0)],
)
def test_all_processes_are_of_the_group_of_the_program(ask: Callable[[], int]) -> None:
    assert value_of(lambda: (ask(), ag.get(run_there.remote(ask)))) == (1000, 1000)


def test_group_of_a_process_that_is_not_simulated_is_not_to_be_known() -> None:
    real = os.getpid()
    with pytest.raises(ProcessLookupError, match="no simulated process has this id"):
        value_of(lambda: os.getpgid(real))


def test_load_of_the_machine_is_none() -> None:
    assert value_of(lambda: os.getloadavg()) == (0.0, 0.0, 0.0)  # noqa: PLW0108  # looked up when it is called


def test_time_between_two_switches_of_threads_is_left_as_it_is() -> None:
    before = sys.getswitchinterval()
    value_of(lambda: sys.setswitchinterval(before * 2))
    assert sys.getswitchinterval() == before


def test_native_identifier_of_a_main_thread_is_the_process_and_those_of_others_differ() -> None:
    def look() -> tuple[bool, int]:
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(threading.get_native_id()))
        thread.start()
        thread.join()
        return threading.get_native_id() == os.getpid(), len({*seen, os.getpid()})

    assert value_of(lambda: (look(), ag.get(run_there.remote(look)))) == ((True, 2), (True, 2))


def test_module_behind_os_is_the_same_as_os() -> None:
    def program() -> tuple[int, bool]:
        return posix.getpid(), posix.times().elapsed < 1

    assert value_of(program) == (1000, True)
    assert value_of(lambda: posix.urandom(8), 1) == value_of(lambda: posix.urandom(8), 1)
    assert value_of(lambda: posix.urandom(8), 1) != value_of(lambda: posix.urandom(8), 2)


REFUSED: dict[str, Callable[[], Any]] = {
    "setpgid": lambda: os.setpgid(0, 0),
    "setsid": lambda: os.setsid(),  # noqa: PLW0108  # looked up when it is called
    "nice": lambda: os.nice(0),
    "setpriority": lambda: os.setpriority(os.PRIO_PROCESS, 0, 0),
    "sched_setaffinity": lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_the_one_real_process_is_refused(name: str) -> None:
    with pytest.raises(SimulationError, match="simulator cannot run"):
        value_of(REFUSED[name])
    with pytest.raises(SimulationError, match="simulator cannot run"):
        value_of(lambda: ag.get(run_there.remote(REFUSED[name])))
