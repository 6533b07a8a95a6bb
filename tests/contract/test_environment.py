"""Small promises about the processes that run tasks."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading

import numpy as np
import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE

pytestmark = pytest.mark.usefixtures("grid")


def test_workers_draw_different_random_numbers() -> None:
    @ag.remote
    class Draw:
        def draw(self) -> tuple[float, float]:
            return random.random(), float(np.random.rand())  # noqa: NPY002  # the global generator is the subject

    drawn = ag.get([drawer.draw.remote() for drawer in [Draw.remote() for _ in range(4)]], timeout=DEADLINE)
    assert len({python for python, _ in drawn}) == 4
    assert len({numpy for _, numpy in drawn}) == 4


def test_task_runs_on_the_main_thread() -> None:
    @ag.remote
    def on_main() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert ag.get(on_main.remote())


@pytest.mark.processes("simulated processes share the standard input of one real one")
def test_task_reads_an_empty_standard_input() -> None:
    @ag.remote
    def read() -> str:
        return sys.stdin.read()

    assert ag.get(read.remote(), timeout=DEADLINE) == ""


@pytest.mark.processes("the simulator refuses what it cannot reproduce: other programs")
def test_task_starts_a_program() -> None:
    @ag.remote
    def run() -> str:
        return subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True).stdout

    assert ag.get(run.remote(), timeout=DEADLINE).strip() == "42"


@pytest.mark.processes("a simulated process cannot fork; the simulator refuses it")
def test_task_forks_a_child_and_waits_for_it() -> None:
    @ag.remote
    def fork() -> int:
        pid = os.fork()
        if not pid:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert ag.get(fork.remote(), timeout=DEADLINE) == 7


def test_worker_runs_many_tasks() -> None:
    @ag.remote
    def pid() -> int:
        return os.getpid()

    assert len(set(ag.get([pid.remote() for _ in range(100)]))) <= 4
