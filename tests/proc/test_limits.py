"""Limits of the system: of processes, threads and descriptors."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actorgrid.api.starting import DESCRIPTORS, DESCRIPTORS_HERE
from actorgrid.testing.waiting import wait_until
from tests.proc.helpers import DEADLINE, Driver

Drive = Callable[..., Driver]

START = """
import os, sys
import actorgrid as ag

def limit(count):
    open(sys.argv[1] + "/pids.max", "w").write(str(count))
    open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))

@ag.remote
def pid():
    return os.getpid()

@ag.remote
class Actor:
    def pid(self): return os.getpid()
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """Return a control group that may be told how many processes and threads there may be in it."""
    top = Path("/sys/fs/cgroup")
    folder = (top / "pids" if (top / "pids").is_dir() else top) / f"actorgrid-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "pids.max").write_text("max", encoding="ascii")
    except OSError as error:
        if folder.is_dir():
            folder.rmdir()
        pytest.skip(f"control groups that limit processes cannot be made here: {error}")
    yield folder
    assert wait_until(lambda: not (folder / "cgroup.procs").read_text(encoding="ascii"), DEADLINE)
    folder.rmdir()


def run(drive: Drive, program: str, group: Path) -> str:
    driver = drive(START + program, args=[str(group)])
    driver.succeeds()
    driver.leaves_nothing()
    assert driver.err == ""
    return driver.out


def test_grid_that_may_have_fewer_workers_than_cpus_works_with_those(drive: Drive, group: Path) -> None:
    said = run(drive, """
limit(6)  # here two threads, head, launcher, and one worker with two threads
with ag.init(num_cpus=4):
    print(len(set(ag.get([pid.remote() for _ in range(8)], timeout=30))))
""", group)  # fmt: skip
    assert said == "1\n"


def test_actor_that_finds_no_process_says_what_is_needed(drive: Drive, group: Path) -> None:
    said = run(drive, """
limit(6)
with ag.init(num_cpus=4):
    first = Actor.remote()
    ag.get(first.pid.remote(), timeout=30)
    try:
        ag.get(Actor.remote().pid.remote(), timeout=30)
    except ag.exceptions.ActorDiedError as error:
        print(error)
    print(ag.get(first.pid.remote()) > 0)
""", group)  # fmt: skip
    assert "Actor cannot start: the system allows no further worker" in said
    assert "there may be 6 in its control group (pids.max)" in said or "its second thread was refused" in said
    assert "and one more is needed. Raise the limit of processes" in said
    assert said.endswith("True\n")


def test_task_for_which_no_worker_can_be_is_a_resource_limit_error(drive: Drive, group: Path) -> None:
    said = run(drive, """
limit(4)
with ag.init(num_cpus=4):
    try:
        ag.get(pid.remote(), timeout=30)
    except ag.exceptions.ResourceLimitError as error:
        print(error)
""", group)  # fmt: skip
    assert "pid cannot start: the system allows no further worker" in said


@pytest.mark.parametrize("count", [2, 3])
def test_grid_that_cannot_have_its_own_processes_says_so(drive: Drive, group: Path, count: int) -> None:
    # Who is refused first, the driver its thread or the head its launcher, is a matter of who is faster.
    said = run(drive, f"""
limit({count})
try:
    ag.init(num_cpus=4)
    ag.get(pid.remote(), timeout=30)
except (ag.exceptions.ResourceLimitError, ag.exceptions.HeadDiedError) as error:
    print(error)
""", group)  # fmt: skip
    assert "the system allows no further process" in said or "the system refuses what a grid needs" in said


def test_init_without_descriptors_is_a_resource_limit_error(drive: Drive) -> None:
    driver = drive(START + """
import resource
files = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        files.append(open(os.devnull))
except OSError:
    files.pop()
try:
    ag.init(num_cpus=1)
except ag.exceptions.ResourceLimitError as error:
    for file in files:
        file.close()
    print(error)
""")  # fmt: skip
    driver.succeeds()
    driver.leaves_nothing()
    assert "Too many open files" in driver.out


FEW = """
import resource, sys
import actorgrid as ag
one = ag.remote(lambda: 1)  # pickles and all that is imported for it
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
try:
    ag.init(num_cpus=2)
    print("works:", ag.get([one.remote() for _ in range(8)], timeout=30) == [1] * 8)
    ag.shutdown()
except ag.exceptions.ResourceLimitError as error:
    print("refused:", error)
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
print("rest:", ag.is_initialized())
"""


@pytest.mark.parametrize("limit", [8, 10, 12, 14, 16, 24, 64])
def test_limit_of_descriptors_that_is_too_low_for_a_grid_says_how_many_there_are_and_how_many_it_takes(
    drive: Drive, limit: int
) -> None:
    driver = drive(FEW, args=[str(limit), str(limit)])
    driver.succeeds()
    driver.leaves_nothing()
    assert driver.said("rest") == "False"
    assert driver.err == ""
    if limit >= DESCRIPTORS:
        assert driver.said("works") == "True"
    else:
        assert f"RLIMIT_NOFILE={limit}, the hard limit" in driver.said("refused")
        assert f"needs at least {DESCRIPTORS} " in driver.said("refused")


@pytest.mark.parametrize("limit", [4, 8, 12, 20, 64])
def test_program_that_has_too_few_descriptors_left_for_its_grid_is_told_both_numbers(drive: Drive, limit: int) -> None:
    driver = drive(FEW, args=[str(limit), "1024"])
    driver.succeeds()
    driver.leaves_nothing()
    assert driver.err == ""
    if limit >= 20:
        assert driver.said("works") == "True"
    else:
        assert re.search(rf"has \d of its {limit} descriptors left \(RLIMIT_NOFILE={limit}", driver.said("refused"))
        assert f"needs {DESCRIPTORS_HERE} for a grid" in driver.said("refused")


def test_grid_that_a_command_starts_is_refused_too_few_descriptors_in_the_same_words(drive: Drive) -> None:
    driver = drive("""
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
os.execv(sys.executable, [sys.executable, "-m", "actorgrid", "start"])
""")
    assert driver.wait() == 1
    assert f"RLIMIT_NOFILE=12, the hard limit), and needs at least {DESCRIPTORS} " in driver.err
    driver.leaves_nothing()


STORE_OF_FEW = """
import resource, sys
import actorgrid as ag
import numpy as np
made = ag.remote(lambda number: np.full(2_500_000, number))
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))
ag.init(num_cpus=1, object_store_memory=50_000_000)
refs = [made.remote(number) if number % 2 else ag.put(np.full(2_500_000, number)) for number in range(2)]
told = set()
for number in range(2, 12):
    try:
        refs.append(made.remote(number) if number % 2 else ag.put(np.full(2_500_000, number)))
        ag.wait(refs[-1:])
    except Exception as error:
        told.add((type(error), str(error)))
for ref in refs:
    try:
        ag.get(ref)
    except Exception as error:
        told.add((type(error), str(error)))
kinds = ag.exceptions.ResourceLimitError, ag.exceptions.ObjectStoreFullError
print("right:", all(issubclass(kind, kinds) and "descriptor" in text for kind, text in told))
print("told:", told)
print("lives:", ag.get(ag.remote(lambda: 1).remote()))
"""


@pytest.mark.parametrize("limit", [16, 17])
def test_store_for_which_there_are_too_few_descriptors_says_so_and_the_grid_lives_on(drive: Drive, limit: int) -> None:
    driver = drive(STORE_OF_FEW, args=[str(limit)])
    assert driver.said("right") == "True", driver.said("told")
    assert limit > 16 or driver.said("told") != "set()"  # with one more there may be enough
    assert driver.said("lives") == "1"
    driver.succeeds()
    driver.leaves_nothing()


@pytest.mark.parametrize("limit", [17, 20])
def test_segments_for_which_there_are_too_few_descriptors_end_no_grid(drive: Drive, limit: int) -> None:
    driver = drive(STORE_OF_FEW.replace("50_000_000", "1_500_000_000").replace("12)", "50)"), args=[str(limit)])
    assert driver.said("right") == "True", driver.said("told")
    assert driver.said("told") != "set()"
    assert driver.said("lives") == "1"
    driver.succeeds()
    driver.leaves_nothing()


CPUS = """
import os, sys
import actorgrid as ag
mine = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, mine[:int(sys.argv[1])])
if sys.argv[2] == "command":
    os.execv(sys.executable, [sys.executable, "-m", "actorgrid", *sys.argv[3:]])
with ag.init():
    print("cpus:", ag.cluster_resources()["CPU"], ag.available_resources()["CPU"])
"""


@pytest.mark.parametrize(("allowed", "said", "cpus"), [(1, "100", 1), (2, "1", 1), (2, "2", 2), (1, None, 1)])
def test_grid_has_the_cpus_that_its_program_may_use_and_no_more_than_the_environment_says(
    drive: Drive, allowed: int, said: str | None, cpus: int
) -> None:
    if len(os.sched_getaffinity(0)) < allowed:
        pytest.skip(f"needs {allowed} CPUs")
    driver = drive(CPUS, args=[str(allowed), "init"], env={} if said is None else {"ACTORGRID_NUM_CPUS": said})
    assert driver.said("cpus") == f"{cpus}.0 {cpus}.0"
    driver.succeeds()
    driver.leaves_nothing()


def test_number_of_cpus_in_the_environment_that_is_none_starts_nothing(drive: Drive) -> None:
    driver = drive(CPUS, args=["1", "init"], env={"ACTORGRID_NUM_CPUS": "many"})
    assert driver.wait() == 1
    assert driver.err.endswith("ValueError: the environment variable ACTORGRID_NUM_CPUS is no whole number: 'many'\n")
    driver.leaves_nothing()


def test_grid_that_a_command_starts_heeds_the_number_of_cpus_in_the_environment(drive: Drive) -> None:
    driver = drive(CPUS, args=["1", "command", "start"], env={"ACTORGRID_NUM_CPUS": "0"})
    assert driver.wait() == 2
    assert driver.err == "actorgrid: the environment variable ACTORGRID_NUM_CPUS must be at least 1: '0'\n"
    driver.leaves_nothing()


def test_worker_that_cannot_be_replaced_leaves_the_others_at_work(drive: Drive, group: Path) -> None:
    said = run(drive, """
def most(count):
    open(sys.argv[1] + "/pids.max", "w").write(str(count))

@ag.remote(max_retries=0)
def die():
    os._exit(1)

@ag.remote(num_cpus=0)
class Gate:
    def __init__(self): self.there = set()
    def enter(self, pid): self.there.add(pid)
    def count(self): return len(self.there)

@ag.remote
def together(gate):
    ag.get(gate.enter.remote(os.getpid()))
    while ag.get(gate.count.remote()) < 2: pass
    return os.getpid()

limit("max")
with ag.init(num_cpus=2):
    gate, again = Gate.remote(), Gate.remote()
    ag.get(again.count.remote())
    before = set(ag.get([together.remote(gate) for _ in range(2)], timeout=30))
    most(1)  # there are more: nobody may fork any more
    try:
        ag.get(die.remote(), timeout=30)
    except ag.exceptions.WorkerCrashedError:
        left = set(ag.get([pid.remote() for _ in range(40)], timeout=30))
    print(len(before), len(left), left < before)
    most("max")
    print(len(set(ag.get([together.remote(again) for _ in range(2)], timeout=30))))
""", group)  # fmt: skip
    assert said == "2 1 True\n2\n"
