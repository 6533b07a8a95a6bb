"""What joblib's own processes, started in a task, leave in shared memory goes with them, however they end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from actorgrid.testing.leaks import SHARED_MEMORY
from actorgrid.testing.waiting import wait_until
from tests.proc.helpers import DEADLINE, Driver

pytest.importorskip("joblib", reason="what joblib leaves can be seen only with joblib: pip install joblib")

Drive = Callable[..., Driver]

START = """
import os, signal, sys, time
import actorgrid as ag

ag.init(num_cpus=2)

FILE = os.path.abspath("pid")

def squares(wait=False):
    import joblib
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(number, 2) for number in range(4))
    with open(FILE, "w") as file:
        file.write(str(os.getpid()))
    while wait:
        time.sleep(1)
    return os.getpid(), found

task = ag.remote(max_retries=0)(squares)
"""


def of_loky() -> set[str]:
    return {entry.name for entry in SHARED_MEMORY.iterdir() if "loky" in entry.name or "joblib" in entry.name}


def leaves_nothing_of_loky(driver: Driver, before: set[str]) -> None:
    driver.leaves_nothing()
    assert wait_until(lambda: of_loky() <= before, DEADLINE), of_loky() - before


@pytest.mark.parametrize("end", ["", "ag.shutdown()", "os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)"])
def test_with_the_program(drive: Drive, end: str) -> None:
    before = of_loky()
    driver = drive(f"{START}\npid, found = ag.get(task.remote())\nprint('found:', found, flush=True)\n{end}\n")
    assert driver.said("found") == "[0, 1, 4, 9]"
    driver.wait()
    leaves_nothing_of_loky(driver, before)


def test_with_a_grid_that_ends_before_its_program_does(drive: Drive) -> None:
    before = of_loky()
    driver = drive(f"""{START}
ag.get(task.remote())
ag.shutdown()
left = [name for name in os.listdir("/dev/shm") if "loky" in name or "joblib" in name]
print("left:", sorted(set(left) - {before!r}), flush=True)
""")
    assert driver.said("left") == "[]"
    driver.succeeds()
    leaves_nothing_of_loky(driver, before)


@pytest.mark.parametrize("victim", ["head", "launcher"])
def test_with_a_grid_that_is_killed(drive: Drive, victim: str) -> None:
    before = of_loky()
    driver = drive(f"{START}\nag.get(task.remote())\nprint('done:', flush=True)\ntime.sleep(600)\n")
    driver.said("done")
    os.kill(driver.one(f"actorgrid: {victim}").pid, signal.SIGKILL)
    assert wait_until(lambda: of_loky() <= before, DEADLINE), of_loky() - before
    driver.send(signal.SIGKILL)
    leaves_nothing_of_loky(driver, before)


@pytest.mark.parametrize("end", ["ag.cancel(ref, force=True)", "os.kill(int(open(FILE).read()), 9)"])
def test_with_a_worker_that_is_killed(drive: Drive, end: str) -> None:
    before = of_loky()
    driver = drive(f"""{START}
ref = task.remote(wait=True)
while not (os.path.exists(FILE) and os.path.getsize(FILE)):
    time.sleep(0.01)
{end}
try:
    ag.get(ref)
except Exception as error:
    print("ended:", type(error).__name__, flush=True)
time.sleep(600)
""")
    driver.said("ended")
    assert wait_until(lambda: of_loky() <= before, DEADLINE), of_loky() - before
    driver.send(signal.SIGKILL)
    leaves_nothing_of_loky(driver, before)
