"""A program ends while calls of an executor are under way: they are waited for, unless a signal ends it.

Those of a pool are not, as in the standard library, whose pools have daemons for processes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.proc.helpers import Driver

Drive = Callable[..., Driver]

SLOW = """
import os, threading, time
import actorgrid as ag
from actorgrid.util import ActorGridExecutor

def slow(number, seconds):
    open(f"started{number}", "w").close()
    time.sleep(seconds)
    open(f"ended{number}", "w").close()

def begin(executor, seconds, calls=3):
    for number in range(calls):
        executor.submit(slow, number, seconds)
    while not os.path.exists("started0"):
        time.sleep(0.001)
"""


@pytest.mark.parametrize("ending", ["", "executor.shutdown(wait=False)", "del executor"])
def test_calls_are_waited_for_when_a_program_ends(drive: Drive, ending: str) -> None:
    driver = drive(f"{SLOW}\nexecutor = ActorGridExecutor(1)\nbegin(executor, 0.2)\n{ending}")
    driver.leaves_nothing()
    assert driver.wait() == 0
    assert sorted(path.name for path in driver.folder.glob("ended*")) == ["ended0", "ended1", "ended2"]
    assert driver.err == ""


def test_calls_are_waited_for_when_a_program_fails(drive: Drive) -> None:
    driver = drive(f"{SLOW}\nbegin(ActorGridExecutor(1), 0.2)\nraise ValueError('the end')")
    driver.leaves_nothing()
    assert driver.wait() == 1
    assert len(list(driver.folder.glob("ended*"))) == 3
    assert driver.err.count("Traceback") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_program_at_once(drive: Drive, number: signal.Signals) -> None:
    driver = drive(f"{SLOW}\nbegin(ActorGridExecutor(1), 600)\nprint('ready:', flush=True)\ntime.sleep(600)")
    driver.wait_for("ready")
    driver.send(number)
    driver.leaves_nothing()
    assert driver.wait() != 0


POOL = "from actorgrid.util.multiprocessing import Pool\nag.init(num_cpus=2)\npool = Pool(1)"
JOBS = """
import joblib
from actorgrid.util.joblib import register_actorgrid

register_actorgrid()
"""
BEGUN = "while not os.path.exists('started0'):\n    time.sleep(0.001)"


@pytest.mark.parametrize("ending", ["", "pool.close()", "del pool", "raise ValueError('the end')"])
def test_calls_of_a_pool_end_with_the_program(drive: Drive, ending: str) -> None:
    calls = "result = pool.starmap_async(slow, [(0, 600), (1, 600)], chunksize=1, callback=print)"
    driver = drive(f"{SLOW}\n{POOL}\n{calls}\nitems = pool.imap(time.sleep, [600] * 9)\n{BEGUN}\n{ending}")
    driver.leaves_nothing()
    assert driver.wait() == ("raise" in ending)
    assert not list(driver.folder.glob("ended*"))
    assert driver.out == ""
    assert driver.err.count("Traceback") == ("raise" in ending)
    assert "raise" in ending or driver.err == ""


def test_calls_of_joblib_that_nobody_reads_end_with_the_program(drive: Drive) -> None:
    pytest.importorskip("joblib")
    calls = "joblib.Parallel(return_as='generator')(joblib.delayed(slow)(number, 600) for number in range(3))"
    driver = drive(
        f"{SLOW}\n{JOBS}\nwith joblib.parallel_config('actorgrid', n_jobs=2):\n    results = {calls}\n{BEGUN}"
    )
    driver.leaves_nothing()
    assert driver.wait() == 0
    assert not list(driver.folder.glob("ended*"))


def test_exit_handler_that_uses_a_pool_after_the_grid_is_told_so(drive: Drive) -> None:
    late = """
import atexit

@atexit.register
def late():
    try:
        pool.apply(abs, (1,))
    except RuntimeError as error:
        print(f"refused: {error}", flush=True)
"""
    driver = drive(f"{late}{SLOW}\n{POOL}\npool.apply(abs, (1,))")
    assert driver.wait() == 0
    assert "refused: cannot schedule new futures after interpreter shutdown" in driver.out


def test_exit_handler_that_comes_after_the_grid_is_told_so(drive: Drive) -> None:
    late = """
import atexit

@atexit.register
def late():
    try:
        executor.submit(abs, 1)
    except RuntimeError as error:
        print(f"refused: {error}", flush=True)
"""
    driver = drive(f"{late}{SLOW}\nexecutor = ActorGridExecutor(1)\nexecutor.submit(abs, 1).result()")
    assert driver.wait() == 0
    assert "refused: cannot schedule new futures after interpreter shutdown" in driver.out


def test_thread_of_an_executor_that_is_dropped_ends(drive: Drive) -> None:
    driver = drive(f"""{SLOW}
ag.init(num_cpus=1)
before = set(threading.enumerate())
executor = ActorGridExecutor()
executor.submit(abs, 1).result()
[thread] = set(threading.enumerate()) - before
del executor
thread.join(60)
print(f"alive: {{thread.is_alive()}}", flush=True)
""")
    assert driver.wait() == 0
    assert "alive: False" in driver.out


def test_pool_with_an_initializer_may_be_ended_after_its_grid(drive: Drive) -> None:
    calls = "pool.apply(abs, (1,))\nag.shutdown()\npool.terminate()\npool.join()"
    driver = drive(f"{SLOW}\n{POOL.replace('Pool(1)', 'Pool(1, int)')}\n{calls}")
    assert (driver.wait(), driver.err) == (0, "")
