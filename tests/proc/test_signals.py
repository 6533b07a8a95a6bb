"""Signals that are meant for nobody in particular, and dispositions that a program inherits."""

from __future__ import annotations

import _thread
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import actorgrid as ag
from actorgrid.core import messages as m
from actorgrid.engine.current import current
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, Gate
from tests.proc.helpers import Driver, title_of

if TYPE_CHECKING:
    from actorgrid.testing import RealGrid

Drive = Callable[..., Driver]

STRAY = ["HUP", "USR1", "USR2", "PIPE", "ALRM", "VTALRM", "PROF", "WINCH", "CONT", "TSTP", "TTIN", "TTOU"]


@ag.remote
def one() -> int:
    return 1


def process(title: str) -> psutil.Process:
    """Return our head or launcher."""
    return next(each for each in psutil.Process().children(recursive=True) if title_of(each) == f"actorgrid: {title}")


@pytest.mark.parametrize("title", ["head", "launcher"])
def test_stray_signals_neither_end_nor_stop_the_grid(grid: RealGrid, title: str) -> None:
    ag.get(one.remote())
    victim = process(title)
    for name in STRAY:
        victim.send_signal(getattr(signal, f"SIG{name}"))
    grid.workers[0].kill()  # the launcher has to start another one
    assert ag.get([one.remote() for _ in range(10)], timeout=DEADLINE) == [1] * 10
    assert process(title).pid == victim.pid


def test_ctrl_c_in_the_first_moments_of_a_grid_leaves_it_as_it_is(drive: Drive) -> None:
    driver = drive("""
import os, signal
import actorgrid as ag
if os.getpgrp() != os.getpid():
    os.setpgid(0, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
one = ag.remote(lambda: 1)
try:
    ag.init(num_cpus=1)
    os.killpg(0, signal.SIGINT)  # what a terminal does: everybody in the group gets it
    signal.pause()
except KeyboardInterrupt:
    print(ag.get(one.remote()))
""")
    driver.succeeds()
    assert (driver.out, driver.err) == ("1\n", "")


def test_head_that_is_told_to_end_says_so(grid: RealGrid) -> None:
    ag.get(one.remote())
    process("head").send_signal(signal.SIGTERM)

    def use_it_until_it_is_gone() -> None:
        while True:
            ag.get(one.remote(), timeout=DEADLINE)

    with pytest.raises(ag.exceptions.HeadDiedError, match="was killed by SIGTERM"):
        use_it_until_it_is_gone()


@ag.remote(max_retries=0)
def is_default(name: str) -> bool:
    """Return whether a signal ends what runs here, and what it starts."""
    number = getattr(signal, f"SIG{name}")
    code = f"import signal; print(signal.getsignal({int(number)}) is signal.SIG_DFL)"
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    return started == "True\n" and signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("name", ["HUP", "USR1", "ALRM", "TSTP"])
def test_tasks_and_what_they_start_get_signals_as_any_program_does(grid: RealGrid, name: str) -> None:
    assert ag.get(is_default.remote(name), timeout=DEADLINE)


def test_stopped_head_goes_on_where_it_was_and_kills_nobody(grid: RealGrid, tmp_path: Path) -> None:
    @ag.remote
    def wait_for(path: Path) -> int:
        assert wait_until(path.exists, DEADLINE)
        return 1

    running = [wait_for.remote(tmp_path / "go") for _ in range(2)]
    before = {worker.pid for worker in grid.workers}
    head = process("head")
    head.suspend()
    late = one.remote()
    (tmp_path / "go").touch()
    ready, _ = ag.wait([late, *running], num_returns=3, timeout=0.2)
    assert late not in ready
    head.resume()
    assert ag.get([*running, late], timeout=DEADLINE) == [1, 1, 1]
    assert before <= {worker.pid for worker in grid.workers}


IGNORED = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
import os, sys
if not os.environ.get("AGAIN"):
    os.execve(sys.executable, [sys.executable, __file__], {**os.environ, "AGAIN": "1"})  # it inherits what is ignored
import actorgrid as ag, subprocess

@ag.remote
def status():
    return subprocess.run(["sh", "-c", "exit 3"]).returncode, signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

ag.init(num_cpus=1)
print("status:", *ag.get(status.remote()), flush=True)
ag.shutdown()
print("down:", flush=True)
"""


def test_program_that_ignores_the_ends_of_its_children_has_a_grid_all_the_same(drive: Drive) -> None:
    driver = drive(IGNORED)
    assert driver.said("status") == "3 True"
    driver.succeeds()
    driver.leaves_nothing()


def test_head_that_fails_says_so_to_whoever_waits_and_everything_ends(grid: RealGrid) -> None:
    @ag.remote
    def never() -> None:
        wait_until(lambda: False, 600)

    ref = never.remote()
    engine: Any = current()
    engine._tell(m.Submit(engine.client.take_ids(1), 1 << 50))  # no user can say this: no such function
    with pytest.raises(ag.exceptions.HeadDiedError, match="the head failed; this is a bug in actorgrid"):
        ag.get(ref, timeout=DEADLINE)


def test_task_that_does_nothing_but_store_large_values_is_cancelled(grid: RealGrid, tmp_path: Path) -> None:
    del grid

    @ag.remote(max_retries=0)
    def store(path: Path) -> None:
        path.touch()
        large = bytes(300_000)
        while True:
            ag.put(large)

    ref = store.remote(tmp_path / "began")
    assert wait_until((tmp_path / "began").exists, DEADLINE)
    ag.cancel(ref)
    with pytest.raises(ag.exceptions.TaskCancelledError):
        ag.get(ref, timeout=DEADLINE)


class EndlessError(Exception):
    """Never comes to say what it is."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def __str__(self) -> str:
        self.path.touch()
        while self.path.exists():
            pass
        return ""


@pytest.mark.parametrize("many", [False, True])
def test_task_whose_error_never_says_what_it_is_is_cancelled(grid: RealGrid, tmp_path: Path, many: bool) -> None:
    @ag.remote(max_retries=0, num_returns=2 if many else 1)
    def fail(path: Path) -> None:
        raise EndlessError(path)

    del grid
    returned: Any = fail.remote(tmp_path / "began")
    ref = returned[1] if many else returned
    assert wait_until((tmp_path / "began").exists, DEADLINE)
    ag.cancel(ref)
    with pytest.raises(ag.exceptions.TaskCancelledError):
        ag.get(ref, timeout=DEADLINE)
    assert ag.get(one.remote(), timeout=DEADLINE) == 1


def test_task_whose_error_never_says_what_it_is_is_stopped_when_its_time_is_over(
    grid: RealGrid, tmp_path: Path
) -> None:
    del grid

    @ag.remote(max_retries=0, run_timeout=0.5)
    def fail(path: Path) -> None:
        raise EndlessError(path)

    with pytest.raises(ag.exceptions.TaskTimeoutError):
        ag.get(fail.remote(tmp_path / "began"), timeout=DEADLINE)


def get_in_time(ref: Any) -> None:
    ag.get(ref, timeout=DEADLINE)


def wait_in_time(ref: Any) -> None:
    ag.wait([ref], timeout=DEADLINE)


@pytest.mark.parametrize("wait", [get_in_time, wait_in_time])
def test_main_thread_is_interrupted_by_another_one_though_that_wakes_nobody(grid: RealGrid, wait: Any) -> None:
    del grid
    gate: Any = Gate.remote()  # type: ignore[attr-defined]  # mypy does not see what a decorator makes of a class
    passing = gate.pass_through.remote()
    ag.get(gate.arrivals.remote(1))  # from here on nothing happens
    engine: Any = current()
    began = time.monotonic()

    def interrupt() -> None:
        if wait_until(lambda: engine.ear.leader is not None):
            _thread.interrupt_main()

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        wait(passing)
    assert time.monotonic() < began + DEADLINE, "the wait ended by itself"
    other.join()
    gate.open.remote()
    ag.get(passing, timeout=DEADLINE)
