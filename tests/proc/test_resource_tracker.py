"""The program and its workers have one resource tracker, as a program and its children do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from actorgrid.testing.waiting import wait_until
from tests.proc.helpers import DEADLINE, Driver, title_of

Drive = Callable[..., Driver]

START = """
import os, signal, sys, time
import actorgrid as ag

ag.init(num_cpus=2)

def named(size=10):
    from multiprocessing.shared_memory import SharedMemory
    return SharedMemory(create=True, size=size)

@ag.remote(max_retries=0)
def dies_with_memory():
    named()
    os.kill(os.getpid(), signal.SIGKILL)

@ag.remote(max_calls=1)
def makes_memory():
    memory = named()
    memory.buf[0] = 7
    memory.close()
    return memory.name, os.getpid()

@ag.remote(max_calls=1)
def first_byte_of(name):
    from multiprocessing.shared_memory import SharedMemory
    memory = SharedMemory(name)
    value = memory.buf[0]
    memory.close()
    return value, os.getpid()

def wait_for_end_of(pid):
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.01)

def dies():
    try:
        ag.get(dies_with_memory.remote())
    except ag.exceptions.WorkerCrashedError:
        print("died:", flush=True)
"""
TRACKER = "multiprocessing.resource_tracker"


def trackers(driver: Driver) -> list[psutil.Process]:
    return [process for process in driver.others() if TRACKER in title_of(process)]


def test_named_memory_of_a_task_that_was_killed_goes_with_the_program(drive: Drive) -> None:
    driver = drive(f"{START}\ndies()\n")
    driver.succeeds()
    driver.leaves_nothing()
    assert "1 leaked shared_memory object" in driver.err


def test_named_memory_that_is_left_goes_with_the_grid_if_the_program_knows_of_none(drive: Drive) -> None:
    driver = drive(f"{START}\ndies()\nag.shutdown()\nprint('over:', flush=True)\ntime.sleep(600)\n")
    driver.said("over")
    assert wait_until(lambda: not driver.others(), DEADLINE), driver.describe()
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()


@pytest.mark.parametrize("victims", [["driver"], ["head"], ["launcher"], ["launcher", "head"], ["head", "launcher"]])
@pytest.mark.parametrize("before", ["", "import multiprocessing.resource_tracker\n"])
def test_named_memory_of_a_task_goes_whoever_is_killed(drive: Drive, victims: list[str], before: str) -> None:
    driver = drive(f"{before}{START}\nag.get(makes_memory.remote())\ndies()\ntime.sleep(600)\n")
    driver.said("died")
    killed = [driver.process.pid if each == "driver" else driver.one(f"actorgrid: {each}").pid for each in victims]
    for pid in [*killed, driver.process.pid]:
        os.kill(pid, signal.SIGKILL)
    driver.leaves_nothing()


def test_memory_that_a_task_has_made_outlives_its_worker(drive: Drive) -> None:
    driver = drive(f"""{START}
from multiprocessing.shared_memory import SharedMemory
name, pid = ag.get(makes_memory.remote())
wait_for_end_of(pid)
memory = SharedMemory(name)
print("byte:", memory.buf[0], flush=True)
memory.close()
memory.unlink()
""")
    assert driver.said("byte") == "7"
    driver.succeeds()
    assert driver.err == ""
    driver.leaves_nothing()


def test_memory_of_the_program_outlives_workers_that_read_it_and_the_grid(drive: Drive) -> None:
    driver = drive(f"""{START}
memory = named()
memory.buf[0] = 9
for _ in range(2):
    value, pid = ag.get(first_byte_of.remote(memory.name))
    assert value == 9
    wait_for_end_of(pid)
ag.shutdown()
again = type(memory)(memory.name)
print("byte:", again.buf[0], flush=True)
again.close()
memory.close()
memory.unlink()
""")
    assert driver.said("byte") == "9"
    driver.succeeds()
    assert driver.err == ""
    driver.leaves_nothing()


def test_nobody_is_started_for_what_nobody_uses(drive: Drive) -> None:
    driver = drive(f"{START}\nag.get(ag.put(1))\nprint('ready:', flush=True)\ntime.sleep(600)\n")
    driver.said("ready")
    driver.one("actorgrid: launcher")
    assert trackers(driver) == []
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()


def test_program_that_has_a_tracker_shares_it(drive: Drive) -> None:
    driver = drive(f"""
from multiprocessing.shared_memory import SharedMemory
own = SharedMemory(create=True, size=10)
{START}
dies()
ag.shutdown()
ag.init()
ag.get(makes_memory.remote())
print("ready:", flush=True)
sys.stdin.read()
time.sleep(600)
""")
    driver.said("ready")
    assert len(trackers(driver)) == 1
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()


@pytest.mark.parametrize("uses", ["", "SharedMemory(create=True, size=10).unlink()"])
def test_grids_one_after_the_other_leave_no_descriptors(drive: Drive, uses: str) -> None:
    driver = drive(f"""{START}
def descriptors():
    return len(os.listdir("/proc/self/fd"))

from multiprocessing.shared_memory import SharedMemory
counts = []
for _ in range(4):
    ag.init(ignore_reinit_error=True)
    dies()
    {uses}
    ag.shutdown()
    counts.append(descriptors())
print("counts:", len(set(counts[1:])), flush=True)
""")
    assert driver.said("counts") == "1"
    driver.succeeds()
    driver.leaves_nothing()


def test_processes_that_a_task_starts_by_itself_have_the_same_one(drive: Drive) -> None:
    driver = drive(f"""{START}
@ag.remote
def starts_another():
    import multiprocessing
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(os.getpid) != os.getpid()

if __name__ == "__main__":
    print("another:", ag.get(starts_another.remote()), flush=True)
    ag.get(makes_memory.remote())
    sys.stdout.flush()
    time.sleep(600)
""")
    assert driver.said("another") == "True"
    assert wait_until(lambda: len(trackers(driver)) == 1, DEADLINE), driver.describe()
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()


def test_program_that_closes_its_descriptors_has_nothing_written_into_its_files(drive: Drive) -> None:
    driver = drive(f"""{START}
os.closerange(3, 65536)
files = [open(f"file{{number}}", "w+") for number in range(20)]
named().unlink()
ag.shutdown()
named().unlink()
ag.init(num_cpus=1)
dies()
ag.shutdown()
print("written:", sum(os.path.getsize(file.name) for file in files), flush=True)
""")
    assert driver.said("written") == "0"
    driver.succeeds()
    driver.leaves_nothing()


def test_program_whose_grid_died_starts_a_tracker_of_its_own_and_its_next_grid_has_that(drive: Drive) -> None:
    driver = drive(f"""{START}
import warnings
from multiprocessing.shared_memory import SharedMemory
warnings.simplefilter("ignore")
from actorgrid.testing.processes import RealGrid
head = RealGrid().head.pid
os.kill(head, signal.SIGKILL)
try:
    ag.get(makes_memory.remote())
except ag.exceptions.HeadDiedError:
    pass
memory = named()
ag.init(num_cpus=1)
dies()
print("there:", SharedMemory(memory.name).name == memory.name, flush=True)
time.sleep(600)
""")
    assert driver.said("there") == "True"
    assert len(trackers(driver)) == 1
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()
