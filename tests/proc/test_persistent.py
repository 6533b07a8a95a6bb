"""A grid that programs join and leave: what is shared, what ends with whom, and what is left."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

import actorgrid as ag
from actorgrid.exceptions import HeadDiedError
from actorgrid.testing.waiting import wait_until
from actorgrid.util import state
from tests.proc.grids import LIMIT, Grid, command, running

RUNNING = [("status", "=", "RUNNING")]


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[Grid]:
    yield from running(tmp_path)


@ag.remote
def where() -> int:
    return os.getpid()


@ag.remote
def pause() -> None:
    signal.pause()


@ag.remote(num_cpus=0)
class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self, by: int = 1) -> int:
        self.value += by
        return self.value


COUNTER = """
@ag.remote(num_cpus=0)
class Counter:
    def __init__(self): self.value = 0
    def add(self): self.value += 1; return self.value
"""


# ------------------------------------------------------------------------------------------- what is shared, and ends


def test_detached_actor_outlives_the_program_that_made_it(grid: Grid) -> None:
    code = (
        COUNTER
        + "print(ag.get(Counter.options(name='c', lifetime='detached', get_if_exists=True).remote().add.remote()))"
    )
    assert [grid.says(code) for _ in range(3)] == ["1\n", "2\n", "3\n"]


def test_actor_ends_with_the_program_that_made_it_and_its_name_is_free(grid: Grid) -> None:
    assert grid.says(COUNTER + "c = Counter.options(name='c').remote(); print(ag.get(c.add.remote()))") == "1\n"
    assert grid.says("try: ag.get_actor('c')\nexcept ValueError: print('none')") == "none\n"
    grid.join()
    assert ag.available_resources()["CPU"] == 2


def test_names_are_found_in_their_namespace_alone(grid: Grid) -> None:
    grid.join()
    made = Counter.options(name="c", lifetime="detached").remote()
    ag.get(made.add.remote())
    ask = f"ag.shutdown(); ag.init(address={grid.address!r}"
    found = "\ntry: print(ag.get(ag.get_actor('c'{}).add.remote()))\nexcept ValueError: print('none')"
    assert grid.says(ask + ")" + found.format("")) == "none\n"
    assert grid.says(ask + ")" + found.format(", namespace='tests'")) == "2\n"
    assert grid.says(ask + ", namespace='tests')" + found.format("")) == "3\n"


def test_objects_pass_from_program_to_program_through_a_detached_actor(grid: Grid) -> None:
    code = """
import numpy as np
class Keeper:
    def keep(self, refs): self.refs = refs
    def give(self): return self.refs
k = ag.remote(Keeper).options(name='k', lifetime='detached').remote()
ag.get(k.keep.remote([np.arange(300_000)]))
"""
    assert grid.says(code) == ""
    grid.join()
    (array,) = ag.get(ag.get_actor("k").give.remote())
    assert int(array.sum()) == 299_999 * 150_000


def test_killed_program_costs_the_others_nothing(grid: Grid) -> None:
    busy = "f = ag.remote(lambda: time.sleep(600)); refs = [f.remote() for _ in range(9)]; print('on', flush=True)"
    other = grid.program(f"{busy}; ag.get(refs)")
    assert other.stdout is not None
    assert other.stdout.readline() == "on\n"
    grid.join()
    counter = Counter.remote()
    assert ag.get(counter.add.remote()) == 1
    other.kill()
    other.communicate()
    assert ag.get(ag.remote(lambda: "ran").remote(), timeout=LIMIT) == "ran"
    assert ag.get(counter.add.remote()) == 2
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


def test_program_that_leaves_streams_behind_that_have_not_begun_costs_the_others_nothing(grid: Grid) -> None:
    code = """
@ag.remote
def items():
    yield os.getpid()
    time.sleep(600)
streams = [items.remote() for _ in range(6)]
next(streams[0])
print('on', flush=True)
"""
    grid.join()
    for end in ("os._exit(3)", "ag.shutdown(); os._exit(3)"):
        program = grid.program(code + end)
        assert program.communicate(timeout=LIMIT)[0] == "on\n"
        assert ag.get(ag.remote(lambda: "ran").remote(), timeout=LIMIT) == "ran"
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


def test_programs_share_the_resources(grid: Grid) -> None:
    holder = grid.program(
        "h = ag.remote(lambda: input).options(num_cpus=2)\n"
        "class H:\n    def ready(self): return 1\n"
        "h = ag.remote(H).options(num_cpus=2).remote(); ag.get(h.ready.remote()); print('has', flush=True); input()"
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "has\n"
    grid.join()
    ref = ag.remote(lambda: "ran").remote()
    assert ag.wait([ref], timeout=0) == ([], [ref])
    holder.communicate("go", timeout=LIMIT)
    assert ag.get(ref, timeout=LIMIT) == "ran"


def test_each_program_has_its_own_modules_folder_and_arguments(grid: Grid, tmp_path: Path) -> None:
    code = """
import helper
@ag.remote
def look():
    import helper
    return helper.WHO, os.path.basename(os.getcwd())
print(ag.get(look.remote()), helper.WHO, flush=True); input()
"""
    programs = []
    for who in ("one", "two"):
        folder = tmp_path / who
        folder.mkdir()
        (folder / "helper.py").write_text(f"WHO = {who!r}", encoding="utf-8")
        programs.append(grid.program(code, cwd=folder))
    for who, program in zip(("one", "two"), programs, strict=True):
        assert program.stdout is not None
        assert program.stdout.readline() == f"('{who}', '{who}') {who}\n"
        program.communicate("", timeout=LIMIT)


def test_output_is_printed_where_it_belongs(grid: Grid) -> None:
    talker = grid.program("ag.get(ag.remote(lambda: print('from the task')).remote())")
    listener = grid.program("print(ag.get(ag.remote(lambda: 1).remote()))")
    _, err = talker.communicate(timeout=LIMIT)
    assert "from the task" in err
    assert listener.communicate(timeout=LIMIT) == ("1\n", "")


def test_program_that_wants_no_output_gets_none(grid: Grid) -> None:
    code = f"ag.shutdown(); ag.init(address={grid.address!r}, log_to_driver=False)\n"
    assert grid.says(code + "ag.get(ag.remote(lambda: print('unheard')).remote())") == ""


LOGS = """
ag.shutdown()
ag.init(address={address!r}, logging_config=ag.LoggingConfig(encoding={encoding!r}))
import logging
ag.get(ag.remote(lambda: logging.getLogger('mine').info('hello')).remote())
"""


def test_each_program_says_how_its_workers_log(grid: Grid) -> None:
    for encoding, told in (("JSON", '"message": "hello"'), ("TEXT", " -- hello ")):
        program = grid.program(LOGS.format(address=grid.address, encoding=encoding))
        _, err = program.communicate(timeout=LIMIT)
        assert told in err


def test_limit_of_pending_tasks_holds_in_the_workers_of_a_program_that_joins(grid: Grid) -> None:
    grid.join(max_pending_tasks=2, on_max_pending="raise")

    @ag.remote
    def submit() -> None:
        [pause.remote() for _ in range(3)]

    with pytest.raises(ag.exceptions.PendingCallsLimitExceeded):
        ag.get(submit.remote(), timeout=LIMIT)


def test_program_may_leave_and_join_again(grid: Grid) -> None:
    jobs = set()
    for _ in range(3):
        grid.join()
        assert ag.get(ag.remote(lambda: ag.get_runtime_context().namespace).remote()) == "tests"
        here = ag.get_runtime_context().get_job_id()
        assert ag.get(ag.remote(lambda: ag.get_runtime_context().get_job_id()).remote()) == here
        jobs.add(here)
        ag.shutdown()
    assert len(jobs) == 3
    grid.join()
    now, *before = state.list_jobs(detail=True)
    assert (now.status, now.end_time) == ("RUNNING", None)
    assert {job.job_id for job in before} == jobs
    assert {job.status for job in before} == {"SUCCEEDED"}
    times = [(job.start_time or 0, job.end_time or 0) for job in before]
    assert all(0 < start <= end for start, end in times), times


EMPLOYER = """
def job(): return ag.get_runtime_context().get_job_id()
class Employer:
    def hire(self):
        ref = ag.remote(job).remote()
        return job(), ag.get(ref), [ref]
e = ag.remote(Employer).options(name='e', lifetime='detached').remote()
ag.get(e.hire.remote())
print(job(), end='')
"""


def test_what_a_detached_actor_does_for_others_is_of_the_job_that_made_it(grid: Grid) -> None:
    maker = grid.says(EMPLOYER)
    grid.join()
    here = ag.get_runtime_context().get_job_id()
    own, inner, (ref,) = ag.get(ag.get_actor("e").hire.remote(), timeout=LIMIT)
    assert own == inner == maker != here
    assert {row.job_id for row in state.list_tasks(filters=[("name", "=", "job")])} == {maker}
    assert [row.job_id for row in state.list_tasks(filters=[("name", "=", "Employer.hire")])] == [here, maker]
    assert ref.job_id() == here


def test_processes_that_served_a_program_go_with_it(grid: Grid) -> None:
    grid.join()
    served = [psutil.Process(pid) for pid in set(ag.get([where.remote() for _ in range(20)]))]
    ag.shutdown()
    assert wait_until(lambda: not any(process.is_running() for process in served))


# ------------------------------------------------------------------------------------------------------------ the ends


def test_stop_tells_everybody_who_waits(grid: Grid) -> None:
    grid.join()
    ref = pause.remote()
    done = command("stop", "--address", grid.address)
    assert done.returncode == 0
    assert done.stdout == f"the grid at {grid.address} has ended (pid {grid.head.pid})\n"
    with pytest.raises(HeadDiedError, match=r"the grid was stopped \(actorgrid stop\)"):
        ag.get(ref, timeout=LIMIT)
    assert wait_until(grid.is_gone)


@pytest.mark.parametrize("which", ["head", "launcher"])
def test_grid_that_is_killed_leaves_nothing_and_everybody_is_told(grid: Grid, which: str) -> None:
    grid.join()
    ref = pause.remote()
    victim = grid.head if which == "head" else grid.head.children()[0]
    victim.kill()
    with pytest.raises(HeadDiedError):
        ag.get(ref, timeout=LIMIT)
    assert wait_until(grid.is_gone)


def test_socket_that_a_dead_grid_has_left_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "grid.sock"))
    grid = Grid(tmp_path)
    assert grid.says("print(ag.get(ag.put(1)))") == "1\n"
    assert command("stop", "--address", grid.address).returncode == 0
    assert wait_until(grid.is_gone)


def test_program_of_a_grid_that_is_dead_is_told_though_another_one_has_its_address(grid: Grid) -> None:
    grid.join()
    counter = Counter.remote()
    assert ag.get(counter.add.remote()) == 1
    grid.head.kill()
    assert wait_until(grid.is_gone)
    again = Grid(grid.folder)
    try:
        with pytest.raises(HeadDiedError):
            ag.get(counter.add.remote(), timeout=LIMIT)
        assert again.says("print(ag.util.list_named_actors(), ag.get(ag.put(1)))") == "[] 1\n"
    finally:
        ag.shutdown()
        assert command("stop", "--address", again.address).returncode == 0
        assert wait_until(again.is_gone)


def kill_at_work(grid: Grid, work: str) -> None:
    """Kill a program that has joined, when it has begun ``work``, which says "on", and waits for it."""
    victim = grid.program(f"{work}; sys.stdout.flush(); ag.get(refs)")
    assert victim.stdout is not None
    assert victim.stdout.readline() == "on\n"
    victim.kill()
    victim.communicate()


def has_at_most(grid: Grid, count: int) -> bool:
    return grid.descriptors_beside_workers() <= count


def test_programs_that_are_killed_one_after_the_other_cost_a_survivor_nothing_and_leave_nothing(grid: Grid) -> None:
    grid.join()
    counter = Counter.remote()
    work = "refs = [ag.remote(lambda: time.sleep(600)).remote() for _ in range(9)]; ag.put(bytes(1 << 20)); print('on')"
    most = 0
    for number in range(8):
        kill_at_work(grid, work)
        assert ag.get(counter.add.remote(), timeout=LIMIT) == number + 1
        assert wait_until(lambda: ag.available_resources().get("CPU") == 2)
        assert (len(state.list_objects()), len(state.list_jobs(filters=RUNNING))) == (0, 1)
        most = most or grid.descriptors_beside_workers() + 2  # one worker may be about to start
        assert wait_until(partial(has_at_most, grid, most)), number


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a grid that remembers few of the tasks that are over: what it remembers grows until there are so many."""
    monkeypatch.setenv("ACTORGRID_TASK_EVENTS", "20")


@pytest.mark.slow
@pytest.mark.usefixtures("forgetful", "grid")
def test_hundred_killed_programs_leave_the_memory_of_the_head_as_it_was(grid: Grid) -> None:
    grid.join()
    counter = Counter.remote()
    work = (
        "refs = [ag.remote(lambda: time.sleep(600)).remote() for _ in range(50)]; ag.put(bytes(1 << 20)); print('on')"
    )
    used: list[int] = []
    for number in range(100):
        kill_at_work(grid, work)
        assert ag.get(counter.add.remote(), timeout=LIMIT) == number + 1
        assert wait_until(lambda: ag.available_resources().get("CPU") == 2)
        used.append(grid.head.memory_info().rss)
    assert (len(state.list_objects()), len(state.list_jobs(filters=RUNNING))) == (0, 1)
    assert max(used[90:]) - max(used[20:30]) < 2 << 20, used[::10]  # of 70 programs
