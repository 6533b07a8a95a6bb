"""A driver that forks: the grid belongs to the parent; the child is told so and harms nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actorgrid.testing.waiting import wait_until
from tests.proc.helpers import Driver

Drive = Callable[..., Driver]

START = """
import multiprocessing, os, sys, time
import actorgrid as ag

@ag.remote
def echo(x):
    return x

@ag.remote
class Actor:
    def work(self):
        return 1

ag.init(num_cpus=1)
ref = echo.remote(1)
actor = Actor.remote()
ag.get([ref, actor.work.remote()])

def in_child(work):
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        try:
            work()
            print("child: no error", flush=True)
        except BaseException as error:
            print("child:", isinstance(error, RuntimeError) or repr(error), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""
FINISH = "\nprint('parent:', ag.get(echo.remote(41)) + ag.get(actor.work.remote()), flush=True)\n"


@pytest.mark.parametrize(
    "use",
    [
        "ag.get(ref)",
        "ag.put(1)",
        "echo.remote(1)",
        "ag.wait([ref])",
        "actor.work.remote()",
        "Actor.remote()",
        "ag.cluster_resources()",
        "ag.kill(actor)",
        "ag.cancel(ref)",
        "ag.get_actor('x')",
        "ref.future().result(5)",
    ],
)
def test_call_in_a_forked_child_is_a_runtime_error(drive: Drive, use: str) -> None:
    driver = drive(START + f"in_child(lambda: {use})" + FINISH)
    driver.succeeds()
    assert driver.said("child") == "True"
    assert driver.said("parent") == "42"
    driver.leaves_nothing()


@pytest.mark.parametrize(
    "end",
    ["sys.exit(0)", "os._exit(0)", "raise ValueError", "os.kill(os.getpid(), 9)", "ag.shutdown()", "del ref, actor"],
)
def test_end_of_a_forked_child_leaves_the_grid_alone(drive: Drive, end: str) -> None:
    driver = drive(
        START
        + f"""
sys.stdout.flush()
pid = os.fork()
if not pid:
    {end}
    sys.exit(0)
os.waitpid(pid, 0)
"""
        + FINISH
    )
    driver.succeeds()
    assert driver.said("parent") == "42"
    driver.leaves_nothing()


def test_child_that_outlives_the_driver_does_not_keep_the_grid(drive: Drive) -> None:
    driver = drive(
        START
        + """
sys.stdout.flush()
if not os.fork():
    os.setsid()
    print("child:", os.getpid(), flush=True)
    while not os.path.exists("go"):
        time.sleep(0.01)
    os._exit(0)
"""
        + FINISH
    )
    child = int(driver.said("child"))
    driver.succeeds()
    assert wait_until(lambda: {process.pid for process in driver.others()} <= {child}), driver.describe()
    (driver.folder / "go").touch()
    driver.leaves_nothing()


def test_sigterm_ends_a_child_as_if_there_were_no_grid(drive: Drive) -> None:
    # Pool.terminate() relies on it: a handler in Python never runs if the signal comes just before a wait for a lock.
    driver = drive(
        START
        + """
import signal
pid = os.fork()
if not pid:
    time.sleep(600)
    os._exit(0)
os.kill(pid, signal.SIGTERM)
print("child:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
        + FINISH
    )
    driver.succeeds()
    assert driver.said("child") == "-15"
    driver.leaves_nothing()


def test_multiprocessing_pool_beside_a_grid(drive: Drive) -> None:
    driver = drive(
        START
        + """
with multiprocessing.get_context("fork").Pool(2) as pool:
    print("pool:", sum(pool.map(abs, [-1, -2, -3])), flush=True)
"""
        + FINISH
    )
    driver.succeeds()
    assert driver.said("pool") == "6"
    assert driver.said("parent") == "42"
    driver.leaves_nothing()
